"""docs/admin.md is true: its commands do what it shows, in order, on a server like its own."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.admin.conftest import Operated
from tests.docs.source import ROOT, calls_of
from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite
from tests.plugins.turn.site import TurnSite
from tests.wire import WireClient, call
from tornado_webrtc.admin.application import PATHS
from tornado_webrtc.admin.handler import MAX_DRAIN_S
from tornado_webrtc.ban import MAX_REASON_BYTES, MAX_SECONDS
from tornado_webrtc.cli import main
from tornado_webrtc.plugins.metrics.metric import METRICS
from tornado_webrtc.relay import Counters
from tornado_webrtc.server import Server, load
from tornado_webrtc.turn.policy import Reason
from tornado_webrtc.turn.server import MAX_STRANGER_BYTES, MAX_WAITING_REQUESTS

__all__ = ["site"]

PAGE = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
COMMANDS, _, HTTP = PAGE.partition("\n## HTTP\n")

CONF = """\
[general]
bind = 127.0.0.1,
port = {port}
[signaling]
ping_s = {ping_s}
[turn]
bind = 127.0.0.1,
public_ip = 127.0.0.1
port = 0
port_tcp = 0
allow_peers = 127.0.0.0/8
"""


@dataclass
class Scene:
    """Alice and Bob in a call that is relayed."""

    operated: Operated
    conf: Path

    def run(self, command: str) -> str:
        """What a command prints."""
        arguments = [*shlex.split(command)[1:], "--socket", str(self.operated.path)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    async def curl(self, command: str) -> Any:
        """What is answered to a request as curl makes it."""
        words = iter(shlex.split(command))
        method, path, body = "GET", "", b""
        for word in words:
            if word == "-X":
                method = next(words)
            elif word == "-d":
                method, body = "POST", next(words).encode()
            elif word.startswith("http://localhost/"):
                path = word.removeprefix("http://localhost")
        status, answer = await self.operated.ask(method, path, content=body)
        assert status < 300, answer
        return answer


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setenv("COLUMNS", "100")
    conf = tmp_path / "server.ini"
    conf.write_text(CONF.format(port=0, ping_s=20))
    server = Server(*load(conf))
    await server.start()
    server.ban("ip", "198.51.100.7", reason="flood")
    with ExitStack() as stack:
        try:
            async with (
                await WireClient.connect(server.port) as alice,
                await WireClient.connect(server.port) as bob,
            ):
                await alice.register("alice")
                await bob.register("bob")
                await call(alice, bob)
                await relay(TurnSite(server, stack))
                yield Scene(Operated(server), conf)
        finally:
            await server.stop()


async def relay(site: TurnSite) -> None:
    """Let an allocation relay something in both directions."""
    client = await site.udp(credential=site.credential("bob", site.server.secrets[0]))
    peer = site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    client.send_channel(b"ping")
    assert await peer.receive() == (b"ping", relayed)
    peer.send(b"pong", relayed)
    await client.data()


def examples(text: str, program: str) -> list[tuple[str, str]]:
    """Each command line of a program with what is shown below it."""
    blocks = re.findall(r"```console\n\$ ([^\n]*)\n(.*?)```", text, re.DOTALL)
    return [(command, shown) for command, shown in blocks if command.startswith(f"{program} ")]


def shape(text: str) -> str:
    """A text without what is different each time: numbers, durations, paths, columns' widths."""
    text = re.sub(r"\S*server\.ini", "CONF", text)
    text = re.sub(r"\b(uvloop|asyncio)\b", "LOOP", text)
    text = re.sub(r"\S*\d[^\s,]*", "#", text)
    text = re.sub(r"# (?:s|min|h|d|B|kB|MB)\b", "#", text)
    return re.sub(r"\s+", " ", re.sub(r"#(?: #)+", "#", text)).strip()


async def test_commands_print_what_is_shown(scene: Scene) -> None:
    shown = examples(COMMANDS, "tornado-webrtc")
    verbs = {command.split()[1] for command, _ in shown}
    assert verbs == {"status", "kick", "ban", "unban", "drain", "reload", "log-level"}
    scene.conf.write_text(CONF.format(port=1, ping_s=30))
    for command, output in shown:
        printed = await asyncio.to_thread(scene.run, command)
        assert shape(printed) == shape(output), command


async def test_requests_are_answered_as_shown(scene: Scene) -> None:
    shown = examples(HTTP, "curl")
    assert len(shown) == 4
    for command, output in shown:
        answer = await scene.curl(command)
        assert keys(answer) == keys(json.loads(output)), command


def keys(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """The keys and what kind of thing each of them has."""
    return [(name, type(value).__name__) for name, value in answer.items()]


# --- what is counted --------------------------------------------------------------------------


def counted(part: str) -> set[str]:
    """The names in the page's table of what a part counts."""
    _, found, rest = COMMANDS.partition(f"\n| {part} | |\n|---|---|\n")
    assert found, part
    cells = re.findall(r"^\| (.*?) \|", rest.partition("\n\n")[0], re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) == len(set(names))
    return set(names)


def test_what_signaling_counts() -> None:
    named = {str(call[0]) for call in calls_of("count", below="tornado_webrtc/web") if call}
    made = {name for name in named if re.fullmatch(r"connections|[a-z]+\.[a-z-]+", name)}
    assert made >= {"refused.limit", "closed.no-hello", "closed.binary"}
    assert counted("signaling") == made | {"message.TYPE", "error.CODE", "lists.bytes"}
    documented = counted("signaling")
    for prefix in ("closed", "refused"):
        (causes,) = zip(*METRICS[f"connections_{prefix}"].known, strict=True)
        assert {f"{prefix}.{cause}" for cause in causes} == {
            name for name in documented if name.startswith(f"{prefix}.")
        }


def test_what_turn_counts() -> None:
    folders = ("tornado_webrtc/turn", "plugins/turn")
    dropped = {call[0] for folder in folders for call in calls_of("dropped", below=folder)}
    assert dropped >= {"challenge-limit", "no-permission", "too-many-streams"}
    assert None not in dropped
    policy = (ROOT / "tornado_webrtc/turn/policy.py").read_text(encoding="utf-8")
    refused: set[object] = {
        Reason[name].value for name in re.findall(r"Verdict\(False, Reason\.(\w+)", policy)
    }
    refused |= {call[1] for call in calls_of("_refused", below="tornado_webrtc/turn") if call[1]}
    assert len(refused) == 5
    made = {f"dropped-{cause}" for cause in dropped} | {f"refused-peer-{why}" for why in refused}
    made |= {f"relay-{name.replace('_', '-')}" for name in Counters._fields}
    made |= {"binding", "error-CODE"}
    ports = {f"relay-ports-ipv{version}{used}" for version in (4, 6) for used in ("", "-used")}
    assert counted("turn") == made | ports
    (known,) = zip(*METRICS["turn_refused_peers"].known, strict=True)
    assert set(known) == refused


async def test_what_is_counted_is_in_the_tables(scene: Scene) -> None:
    _, status = await scene.operated.ask("GET", "/status")
    for part in ("signaling", "turn", "listener", "server"):
        documented = counted(part)
        for name in status["counters"][part] | status["gauges"].get(part, {}):
            short = re.sub(
                r"^(message\.)\w+$", r"\1TYPE", re.sub(r"^(error-)\d+$", r"\1CODE", name)
            )
            assert short in documented or (part, name) in GAUGES, name
    listed = {*status["counters"]["listener"], *status["gauges"]["listener"]}
    assert counted("listener") == listed
    assert counted("server") == status["counters"]["server"].keys()


GAUGES = {("signaling", "peers"), ("signaling", "scopes")}
"""What `status` shows as well, in another place."""


# --- ids in scopes ----------------------------------------------------------------------------


async def test_ids_with_special_characters(site: PluginSite) -> None:
    await site.start("[rooms]\n", socket="admin.sock")
    await call(await site.join("alice", "board room"), await site.join("bob", "board room"))
    laptop = await site.join("alice/laptop")
    shown = await asyncio.to_thread(operate, site, "status peers")
    assert {"board%20room/alice", "board%20room/bob", "/alice/laptop"} <= set(shown.split())
    with pytest.raises(AssertionError, match="/alice/laptop"):  # it names the one there is
        await asyncio.to_thread(operate, site, "kick alice/laptop")
    await asyncio.to_thread(operate, site, "kick /alice/laptop")
    assert (await laptop.read_until_closed()).code == 4403
    with pytest.raises(AssertionError, match="There is no"):
        await asyncio.to_thread(operate, site, "kick 'board room/alice-bob' --of sessions")
    await asyncio.to_thread(operate, site, "kick board%20room/alice-bob --of sessions")
    await asyncio.to_thread(operate, site, "kick board%20room/alice")
    for each in ("board%20room/alice", "board%20room/alice-bob", "/alice/laptop"):
        assert f"`{each}`" in PAGE


def operate(site: PluginSite, command: str) -> str:
    """What a command prints."""
    arguments = [*shlex.split(command), "--socket", str(site.server.config.admin_socket)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_path_is_described() -> None:
    for path, _ in PATHS:
        if path.replace("-", "").strip("/").isalpha():
            assert f" {path}`" in PAGE, path


def test_numbers() -> None:
    assert f"at most {MAX_REASON_BYTES} bytes" in PAGE
    assert "ten years are the\nlongest" in PAGE
    assert MAX_SECONDS == 10 * 366 * 86400
    assert "seven days at most" in PAGE
    assert MAX_DRAIN_S == 7 * 86400
    assert f"more than {MAX_STRANGER_BYTES:,} bytes, from a client without" in PAGE
    assert f"or for a look-up, or {MAX_WAITING_REQUESTS} do" in PAGE
