"""The commands for a server that runs, with a real one at the other end of a real socket."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from click.testing import CliRunner, Result

from tests.admin.conftest import Operate, Operated, operate, serve
from tests.plugins.turn.site import SETTINGS, found
from tests.service import Served
from tests.wire import WireClient, call, until
from tornado_webrtc import hookimpl
from tornado_webrtc.cli import main
from tornado_webrtc.commands import operate as module
from tornado_webrtc.commands.operate import COMMANDS
from tornado_webrtc.commands.option import EXIT_CONFIG, EXIT_FAILED, EXIT_UNAVAILABLE
from tornado_webrtc.errors import AdminError, ConfigError, Problem
from tornado_webrtc.hooks import AuthRequest, Identity
from tornado_webrtc.reload import ReloadReport

__all__ = ["operate", "serve"]

Run = Callable[..., Awaitable[Result]]
EXIT_USAGE = 2


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments], prog_name="tornado-webrtc")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


async def run_on(operated: Operated, *arguments: object) -> Result:
    """Run a command against a server of this process, which goes on meanwhile."""
    return await asyncio.to_thread(run, *arguments, "--socket", operated.path)


async def said(operated: Operated, *arguments: object) -> str:
    """What a command that succeeds prints."""
    result = await run_on(operated, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


async def answered(operated: Operated, *arguments: object) -> Any:
    """The same for programs."""
    return json.loads(await said(operated, *arguments, "--json"))


async def failed(operated: Operated, *arguments: object) -> tuple[int, str]:
    """How a command exits that does not succeed, and what it says."""
    result = await run_on(operated, *arguments)
    assert result.stdout == ""
    return result.exit_code, result.stderr


class Accounts:
    """Whoever shows a token is who the token says."""

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | None:
        return Identity(request.token) if request.token else None


# --- status ------------------------------------------------------------------------


async def test_status(operate: Operate) -> None:
    operated = await operate(plugins=[found()], turn=SETTINGS)
    async with await WireClient.connect(operated.server.port) as ann:
        await ann.register("1", name="\x1b[2JAnn")
        text = await said(operated, "status")
        assert text.startswith("tornado-webrtc ")
        assert f"http://127.0.0.1:{operated.server.port}" in text
        assert "\npeers  sessions  allocations  bans\n1      0 " in text
        assert (await answered(operated, "status"))["collections"]["peers"] == 1
        assert "\x1b" not in await said(operated, "status", "peers")
        assert (await answered(operated, "status", "peers"))["peers"][0]["id"] == "1"
        assert (await said(operated, "status", "peers", "1")).startswith("id          1\n")
        assert (await answered(operated, "status", "peers", "1"))["remote_ip"] == "127.0.0.1"
    assert await said(operated, "status", "allocations") == "no allocations\n"
    assert "turn  " in await said(operated, "status", "plugins")


async def test_status_of_what_is_not_there(operate: Operate) -> None:
    operated = await operate()
    code, text = await failed(operated, "status", "rooms")
    assert code == EXIT_FAILED
    assert text == (
        "tornado-webrtc: There is nothing called 'rooms'; "
        "there are bans, peers, plugins, sessions.\n"
    )
    code, text = await failed(operated, "status", "peers", "\x1b[2J")
    assert (code, text) == (1, "tornado-webrtc: There is no '\\x1b[2J' among the peers.\n")


async def test_status_of_many(operate: Operate) -> None:
    operated = await operate()
    clients = [await WireClient.connect(operated.server.port) for _ in range(12)]
    for number, client in enumerate(clients):
        await client.register(f"{'long' * number}-{number}", name="山田" * number)
    lines = (await said(operated, "status", "peers")).splitlines()
    assert len(lines) == 13
    assert {line.index("127.0.0.1") > 0 for line in lines[1:]} == {True}
    for client in clients:
        await client.drop()


# --- kick --------------------------------------------------------------------------


async def test_kick(operate: Operate) -> None:
    operated = await operate()
    async with await WireClient.connect(operated.server.port) as ann:
        await ann.register("ann")
        assert await said(operated, "kick", "ann", "--reason", "no spam") == "ann is removed\n"
        closed = await ann.read_until_closed()
        assert (closed.code, closed.reason) == (4403, "no spam")
    code, text = await failed(operated, "kick", "ann")
    assert (code, text) == (1, "tornado-webrtc: There is no 'ann' among the peers.\n")


async def test_kick_ends_a_call(operate: Operate) -> None:
    operated = await operate()
    port = operated.server.port
    async with await WireClient.connect(port) as ann, await WireClient.connect(port) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        answer = await answered(operated, "kick", "1-2", "--of", "sessions")
        assert answer == {"ended": "1-2"}
        assert await ann.read_type("bye")


async def test_kick_and_ban_who_is_authenticated(operate: Operate) -> None:
    operated = await operate(plugins=[Accounts()])
    headers = {"Authorization": "Bearer ann@example.org"}
    async with await WireClient.connect(operated.server.port, headers=headers) as ann:
        await ann.register("1")
        text = await said(operated, "kick", "1", "--ban", "1h", "--reason", "spam")
        assert text == (
            "1 is removed\nuser:ann@example.org is banned for 1 h\nended: 1 connection\n"
        )
        assert (await ann.read_until_closed()).reason == "banned: spam"


async def test_kick_and_ban_by_address_or_id(operate: Operate) -> None:
    operated = await operate()
    for by, ban_id in (("peer", "peer:a/b"), ("ip", "ip:127.0.0.1")):
        async with await WireClient.connect(operated.server.port) as ann:
            await ann.register("a/b")
            answer = await answered(operated, "kick", "/a/b", "--ban", "60", "--by", by)
            assert (answer["ban"]["id"], answer["ban"]["left_s"]) == (ban_id, 60)
            assert (await ann.read_until_closed()).code == 4403
            await said(operated, "unban", ban_id)


async def test_a_call_is_no_peer_to_ban(operate: Operate) -> None:
    operated = await operate()
    port = operated.server.port
    async with await WireClient.connect(port) as ann, await WireClient.connect(port) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        kick = ("kick", "1-2", "--of", "sessions", "--ban", "60", "--by", "peer")
        code, text = await failed(operated, *kick)
        assert code == EXIT_FAILED
        assert "it belongs to no one peer; say --by ip or --by user, or kick a peer." in text
        assert text.endswith("1-2 is not removed\n")
        assert not operated.server.bans
        assert await ann.settled() == []


async def test_kick_does_not_ban_a_proxy_by_accident(operate: Operate) -> None:
    operated = await operate()
    async with await WireClient.connect(operated.server.port) as ann:
        await ann.register("1")
        code, text = await failed(operated, "kick", "1", "--ban", "60")
        assert code == EXIT_FAILED
        assert "it comes from 127.0.0.1, this machine itself: perhaps a proxy" in text
        assert text.endswith("if that is what you want.\n1 is not removed\n")
        code, text = await failed(operated, "kick", "1", "--ban", "60", "--by", "user")
        assert code == EXIT_FAILED
        assert "it is not authenticated" in text
        assert await ann.settled() == []
    assert (await failed(operated, "kick", "1", "--by", "ip"))[0] == EXIT_USAGE


@pytest.mark.parametrize(
    ("entry", "by", "expected"),
    [
        ({"id": "1", "remote_ip": "203.0.113.7"}, None, ("ip", "203.0.113.7")),
        ({"id": "1", "remote_ip": "2001:db8::7"}, None, ("ip", "2001:db8::/64")),
        ({"id": "1", "remote_ip": "203.0.113.7", "user": "ann"}, None, ("ip", "203.0.113.7")),
        ({"id": "1", "remote_ip": "203.0.113.7", "user": "ann"}, "user", ("user", "ann")),
        ({"id": "1", "remote_ip": "::1", "subject": "ann"}, None, ("user", "ann")),
        ({"id": "1", "remote_ip": "::1"}, "ip", ("ip", "::/64")),
        ({"id": "lobby/1", "peer_id": "1"}, "peer", ("peer", "1")),
        ({"id": "7", "peer_id": "a/b", "user": "a/b"}, "peer", ("peer", "a/b")),
    ],
)
def test_whom_to_ban(entry: dict[str, str], by: str | None, expected: tuple[str, str]) -> None:
    assert module._whom_to_ban(entry, by) == expected


def test_what_cannot_be_banned() -> None:
    with pytest.raises(AdminError, match="it has no address of its own"):
        module._whom_to_ban({"id": "1-2", "caller": "1", "callee": "2"}, None)
    with pytest.raises(AdminError, match="it belongs to no one peer; say --by ip or --by"):
        module._whom_to_ban({"id": "7", "peer_id": None, "user": "gateway"}, "peer")


# --- bans --------------------------------------------------------------------------


async def test_ban_and_unban(operate: Operate) -> None:
    operated = await operate()
    text = await said(operated, "ban", "ip:203.0.113.7/24", "--for", "1h", "--reason", "spam")
    assert text == "ip:203.0.113.0/24 is banned for 1 h\nnobody from there is here now\n"
    text = await said(operated, "ban", "user:ann")
    assert text == "user:ann is banned for ever\nnobody of that name is here now\n"
    listed = await said(operated, "status", "bans")
    assert "ip:203.0.113.0/24  " in listed
    assert "spam" in listed
    text = await said(operated, "unban", "ip:203.0.113.9/24")
    assert text == "ip:203.0.113.0/24 is not banned any more\n"
    assert [ban.id for ban in operated.server.bans] == ["user:ann"]
    code, text = await failed(operated, "unban", "ip:203.0.113.9/24")
    assert (code, text) == (1, "tornado-webrtc: There is no 'ip:203.0.113.0/24' among the bans.\n")


async def test_ids_are_taken_as_they_are_shown(operate: Operate) -> None:
    operated = await operate()
    shown = r"tr\u200boll\\n"
    async with await WireClient.connect(operated.server.port) as troll:
        await troll.register("tr\u200boll\\n")
        assert f"\n{shown}  " in await said(operated, "status", "peers")
        text = await said(operated, "status", "peers", shown)
        assert text.startswith(f"id          {shown}\n")
        assert await said(operated, "kick", shown) == f"{shown} is removed\n"
        assert (await troll.read_until_closed()).code == 4403
    text = await said(operated, "ban", f"peer:{shown}")
    assert text == f"peer:{shown} is banned for ever\nnobody of that id is here now\n"
    assert [ban.value for ban in operated.server.bans] == ["tr\u200boll\\n"]
    assert f"\npeer:{shown}  " in await said(operated, "status", "bans")
    text = await said(operated, "unban", f"peer:{shown}")
    assert text == f"peer:{shown} is not banned any more\n"


async def test_ban_that_cannot_be_stored(
    operate: Operate, expect_log: Callable[[str], None]
) -> None:
    expect_log("a restart will lose changes of the bans")
    operated = await operate()
    kept = operated.server.config.general.state_dir / "bans.json"
    kept.mkdir()
    assert "The ban could not be stored: a restart ends it." in await said(
        operated, "ban", "peer:ann"
    )
    kept.rmdir()


@pytest.mark.parametrize(
    "arguments",
    [
        ["ban"],
        ["ban", "203.0.113.7"],
        ["ban", "ip:ann"],
        ["ban", "ip:0.0.0.0/0"],
        ["ban", "room:lobby"],
        ["ban", "peer:ann", "--for", "soon"],
        ["unban", "ann"],
        ["kick"],
        ["kick", "ann", "--ban", "soon"],
        ["kick", "ann", "--ban", "60", "--by", "name"],
        ["drain", "--seconds", "soon"],
        ["log-level"],
        ["log-level", "loud"],
        ["log-level", "inherited"],
        ["reload", "more"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (EXIT_USAGE, "")
    assert "Error: " in result.stderr


# --- drain, reload, log level ------------------------------------------------------


async def test_drain(operate: Operate) -> None:
    operated = await operate()
    port = operated.server.port
    async with await WireClient.connect(port) as ann, await WireClient.connect(port) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        text = await said(operated, "drain", "--seconds", "10m")
        assert text == (
            "the server takes nothing new; left: 1 session; it stops then, or after 10 min\n"
        )
        await until(lambda: str(operated.server.state) == "draining")
        await ann.send("bye", {"session_id": "1-2", "to": "2", "from": "1"})
        await until(operated.server.drained.is_set)
    text = await said(operated, "drain")
    assert text == "the server takes nothing new, and nothing is left: it stops\n"
    assert (await answered(operated, "drain"))["left"] == {"sessions": 0}


@pytest.mark.parametrize("how", ["over", "stopped", "too late"])
async def test_drain_and_wait(operate: Operate, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    operated = await operate()
    port = operated.server.port
    async with await WireClient.connect(port) as ann, await WireClient.connect(port) as ben:
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        seconds = 0.3 if how == "too late" else 600
        waiting = asyncio.create_task(said(operated, "drain", "--wait", "--seconds", seconds))
        await until(lambda: str(operated.server.state) == "draining")
        if how == "over":
            await ann.send("bye", {"session_id": "1-2", "to": "2", "from": "1"})
        elif how == "stopped":
            await operated.server.stop()
        expected = "nothing is left, the server stops\n"
        if how == "too late":
            expected = "the time was up; left: 1 session\n"
        assert await waiting == expected


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (ReloadReport(), "nothing has changed\n"),
        (
            ReloadReport(
                applied=("signaling.ping_s", "general.domain"),
                needs_restart=("turn.port",),
                certificate=True,
            ),
            (
                "applied: signaling.ping_s, general.domain\napplied: a new certificate\n"
                "changed, but needs a restart: turn.port\n"
            ),
        ),
    ],
)
async def test_reload(
    operate: Operate, monkeypatch: pytest.MonkeyPatch, report: ReloadReport, text: str
) -> None:
    operated = await operate()
    monkeypatch.setattr(operated.server, "reload", AsyncMock(return_value=report))
    assert await said(operated, "reload") == text
    assert (await answered(operated, "reload"))["applied"] == list(report.applied)


async def test_reload_of_a_configuration_with_problems(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = await operate()

    async def fail() -> None:
        raise ConfigError([Problem("server.ini, line 2, general.port", "is no number", "Fix it.")])

    monkeypatch.setattr(operated.server, "reload", fail)
    code, text = await failed(operated, "reload")
    assert code == EXIT_CONFIG
    assert text == (
        "tornado-webrtc: 1 problem in the configuration:\n\n"
        "server.ini, line 2, general.port: is no number\n    Fix it.\n"
    )
    result = await run_on(operated, "reload", "--json")
    assert (result.exit_code, result.stderr) == (EXIT_CONFIG, text)
    answer = json.loads(result.stdout)
    assert answer["error"]["code"] == "bad-config"
    assert [each["message"] for each in answer["problems"]] == ["is no number"]


async def test_log_level(operate: Operate) -> None:
    operated = await operate()
    root = logging.getLogger()
    before, name = root.level, "tornado_webrtc.tried"
    logging.getLogger(name)
    try:
        was = logging.getLevelName(before)
        text = await said(operated, "log-level", "error")
        assert text == f"log level of everything: ERROR, was {was}\n"
        text = await said(operated, "log-level", "DEBUG", name)
        assert text == f"log level of {name}: DEBUG, was INHERITED\n"
        answer = await answered(operated, "log-level", "inherited", name)
        assert answer == {"logger": name, "level": "INHERITED", "before": "DEBUG"}
    finally:
        root.setLevel(before)
    code, text = await failed(operated, "log-level", "debug", "tornado_webrtc.tired")
    assert code == EXIT_FAILED
    assert text.endswith("did you mean tornado_webrtc.tried?\n")


# --- which server ------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_nobody_listens(tmp_path: Path, command: Any) -> None:
    arguments = {"kick": ["1"], "ban": ["peer:1"], "unban": ["peer:1"], "log-level": ["info"]}
    socket = tmp_path / "admin.sock"
    result = run(command.name, *arguments.get(command.name, []), "--socket", socket)
    assert (result.exit_code, result.stdout) == (EXIT_UNAVAILABLE, "")
    assert result.stderr.startswith(f"tornado-webrtc: no server listens on {socket} (there is no")
    assert "--conf FILE" in result.stderr


@pytest.mark.parametrize("before", [True, False])
async def test_configuration_leads_to_the_socket(operate: Operate, before: bool) -> None:
    operated = await operate()
    conf = operated.server.config.general.state_dir.parent / "server.ini"
    conf.write_text("[general]\nport = broken in the meantime\n[what is this]\n")
    option = ["--conf", conf]
    arguments = [*option, "status"] if before else ["status", *option]
    result = await asyncio.to_thread(run, *arguments)
    assert result.exit_code == 0, result.stderr


def test_configuration_without_a_socket(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[admin]\nsocket =\n")
    result = run("status", "--conf", conf)
    assert result.exit_code == EXIT_FAILED
    assert result.stderr.endswith("has no socket: [admin] socket is empty\n")


def test_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    result = run("status", "--conf", tmp_path / "gone.ini")
    assert result.exit_code == EXIT_CONFIG
    assert "gone.ini" in result.stderr


# --- processes ---------------------------------------------------------------------


def as_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tornado_webrtc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.usefixtures("turn_on_loopback")
def test_process_is_killed_started_again_watched_and_drained(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nbind = 127.0.0.1,\nport = 0\n")
    socket = tmp_path / "state" / "admin.sock"
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        served.process.kill()
        served.process.wait()
    assert socket.exists()
    (tmp_path / "notify").unlink()
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        watched = as_process("status", "--conf", conf)
        assert (watched.returncode, watched.stderr) == (0, "")
        assert f"\nprocess        {served.process.pid}, node " in watched.stdout
        second = as_process("--conf", conf)
        assert second.returncode == EXIT_FAILED
        assert f"another server listens on {socket}; stop it, or give this one" in second.stderr
        banned = as_process("ban", "ip:203.0.113.0/24", "--conf", conf)
        assert banned.stdout == (
            "ip:203.0.113.0/24 is banned for ever\nnobody from there is here now\n"
        )
        drained = as_process("drain", "--conf", conf)
        assert drained.stdout.endswith("nothing is left: it stops\n")
        assert served.exit_code() == 0
        assert f"operators are answered on {socket}" in served.log
        assert "Traceback" not in served.log
    assert sorted(path.name for path in socket.parent.iterdir()) == [
        "admin.sock.lock",
        "bans.json",
        "node_id",
        "secret",
    ]
    gone = as_process("status", "--conf", conf)
    assert gone.returncode == EXIT_UNAVAILABLE
