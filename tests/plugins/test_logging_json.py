"""JSON lines of a whole server: a call can be followed by its ids, no secret is in them."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.plugins.conftest import ALLOCATION, TRAFFIC
from tests.service import Served
from tests.wire import WireClient, until
from tornado_webrtc.config import Config, Signaling
from tornado_webrtc.config.specification import make_validator, parse_specification
from tornado_webrtc.hooks import Hooks, PluginContext, SocketAddress
from tornado_webrtc.implementation import faults, hook_manager
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.plugins import logging_json
from tornado_webrtc.plugins.logging_json import Plugin
from tornado_webrtc.redaction import REDACTED, RedactingFormatter

OTHER = logging.getLogger("tornado_webrtc.somebody")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

CANDIDATE = "candidate:1 1 udp 2122260223 10.20.30.40 46154 typ host generation 0 ufrag uFr4"
CREDENTIALS = "a=ice-ufrag:uFr4\r\na=ice-pwd:iCePwd00\r\n"
SDP = f"v=0\r\no=- 1 2 IN IP4 10.20.30.40\r\n{CREDENTIALS}a={CANDIDATE}\r\n"
SECRETS = ("uFr4", "iCePwd00", "10.20.30.40", "s3cr3t")

CARELESS = '''
"""Logs everything that it should not."""

import logging

from tornado_webrtc import hookimpl

log = logging.getLogger("careless")


@hookimpl
def permit_message(message):
    log.info("%s of %s: %s", message.type, message.peer, message.data)
    log.info("and as JSON", extra={"data": message.data, "session_id": message.data["session_id"]})


@hookimpl
def authenticate(request):
    log.warning("headers %s, query %s", request.headers, request.query)
    log.warning("which is %s", {"token": request.token})


@hookimpl
def session_answered(session):
    raise ValueError("cannot write to redis://user:s3cr3t@cache.example about " + session.id)
'''

CONF = """
[general]
bind = 127.0.0.1
port = 0
state_dir = state
[turn]
bind = 127.0.0.1
port = 0
port_tcp =
public_ip = 93.184.216.34/127.0.0.1
[plugins]
path = mine
[logging_json]
"""


def folder(tmp_path: Path, *settings: str) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "careless.py").write_text(CARELESS)
    path = tmp_path / "server.ini"
    path.write_text(CONF + "\n".join(settings))
    return path


def lines_of(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    for line in found:
        assert TIME.fullmatch(line["time"])
        assert {"level", "logger"} <= set(line)
        assert ("event" in line) != ("message" in line)
    return found


def events(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("event") == name]


async def call_and_leave(port: int) -> None:
    """A call with descriptions, candidates and tokens that are worth something."""
    headers = {"Authorization": "Bearer s3cr3t"}
    path = "/ws?token=s3cr3t"
    session = {"session_id": "alice-bob", "media": "video"}
    async with (
        await WireClient.connect(port, path=path, headers=headers) as alice,
        await WireClient.connect(port, path=path) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        description = {"sdp": SDP, "type": "offer"}
        await alice.send("offer", {"to": "bob", "description": description, **session})
        await bob.read_type("offer")
        candidate = {"candidate": CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0}
        await alice.send("candidate", {"to": "bob", "candidate": candidate, **session})
        await bob.read_type("candidate")
        await bob.send("answer", {"to": "alice", "description": description, **session})
        await alice.read_type("answer")
        await alice.send("bye", {"session_id": "alice-bob"})
        await bob.read_type("bye")


# --- a real server -----------------------------------------------------------------------


async def test_call_can_be_followed_and_tells_no_secret(tmp_path: Path) -> None:
    conf = folder(tmp_path, "file = log.json", "console = on")
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        await call_and_leave(served.port())
        path = tmp_path / "log.json"
        await until(lambda: path.read_text().count('"peer_left"') == 2)
        served.process.terminate()
        assert served.exit_code() == 0
        console = served.log
    text = path.read_text()
    assert [secret for secret in SECRETS if secret in text + console] == []
    lines = lines_of(text)

    (offered,) = events(lines, "session_offered")
    (answered,) = events(lines, "session_answered")
    (ended,) = events(lines, "session_ended")
    assert offered["session_id"] == answered["session_id"] == ended["session_id"] == "alice-bob"
    assert (ended["answered"], ended["reason"]) == (True, "bye")
    assert ended["rang_s"] == answered["rang_s"] >= 0
    assert ended["talked_s"] >= 0

    joined = {line["peer_id"]: line for line in events(lines, "peer_joined")}
    left = {line["peer_id"]: line for line in events(lines, "peer_left")}
    access = {line["request_id"]: line for line in lines if line["logger"].endswith(".access")}
    for peer, leg in (("alice", "caller"), ("bob", "callee")):
        assert offered[f"{leg}_peer_id"] == peer
        for field in ("connection_id", "request_id"):
            assert offered[f"{leg}_{field}"] == joined[peer][field] == left[peer][field]
        upgrade = access[joined[peer]["request_id"]]
        assert (upgrade["path"], upgrade["status"]) == ("/ws", 101)
    assert joined["alice"]["name"] == "peer alice"


async def test_careless_plugin_is_legible_all_the_same(tmp_path: Path) -> None:
    conf = folder(tmp_path, "file = log.json", "console = on")
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        await call_and_leave(served.port())
        await until(lambda: "session_ended" in (tmp_path / "log.json").read_text())
        served.process.terminate()
        assert served.exit_code() == 0
    lines = lines_of((tmp_path / "log.json").read_text())
    careless = [line for line in lines if line["logger"] == "careless"]
    assert [line["message"].split()[0] for line in careless if "offer of" in line["message"]]
    structured = next(line for line in careless if line["message"] == "and as JSON")
    assert structured["session_id"] == "alice-bob"
    assert structured["data"]["description"] == {"sdp": REDACTED, "type": "offer"}
    (failure,) = [line for line in lines if "exception" in line]
    assert failure["exception"]["type"] == "ValueError"
    text = f"cannot write to redis://{REDACTED}@cache.example about alice-bob"
    assert failure["exception"]["text"] == text
    assert failure["exception"]["traceback"][-1] == f"ValueError: {text}"


async def test_standard_output_replaces_the_console(tmp_path: Path) -> None:
    with Served(tmp_path, ["--conf", folder(tmp_path)]) as served:
        assert served.heard() == "READY=1"
        await until(lambda: '"message":"open http' in served.log)
        served.process.terminate()
        assert served.exit_code() == 0
        lines = served.log.splitlines()
    assert [line for line in lines if not line.startswith("{")] == [lines[-1]]
    assert lines[-1].endswith(" INFO    stopped"), "the readable lines are back at the end"
    decoded = lines_of(served.log)
    (started,) = events(decoded, "server_started")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", started["addresses"][0])
    assert {"careless", "logging_json", "turn"} <= set(started["plugins"])
    assert decoded[-1]["event"] == "server_stopped"


async def test_addresses_are_shortened_everywhere(tmp_path: Path) -> None:
    conf = folder(tmp_path, "anonymize_addresses = yes", "file = log.json", "console = on")
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        await until(lambda: "relays are bound" in (tmp_path / "log.json").read_text())
        await until(lambda: "relays are bound" in served.log)
        console = served.log
    assert "clients are told 93.184.216.0;" in (tmp_path / "log.json").read_text()
    assert "clients are told 93.184.216.0;" in console
    assert "93.184.216.34" not in (tmp_path / "log.json").read_text() + console


FULL_DISK = """
import os
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
from tornado_webrtc.cli import main
main()
"""
CLOSED = """
import os, sys
os.close(1)
sys.__stdout__ = sys.stdout = None
from tornado_webrtc.cli import main
main()
"""


async def test_full_disk_does_not_take_the_server_down(tmp_path: Path) -> None:
    with Served(tmp_path, ["--conf", folder(tmp_path)], FULL_DISK) as served:
        assert served.heard() == "READY=1"
        await until(lambda: "No space left on device" in served.log)
        served.process.terminate()
        assert served.exit_code() == 0
        told = [line for line in served.log.splitlines() if "logging_json" in line]
    assert re.fullmatch(r"tornado-webrtc: logging_json: 1 line was not written: .*", told[0])
    assert len(told) == 2, "one at once, one at the end: nothing in between"


async def test_closed_standard_output_costs_only_the_plugin(tmp_path: Path) -> None:
    with Served(tmp_path, ["--conf", folder(tmp_path)], CLOSED) as served:
        assert served.heard() == "READY=1"
        await until(lambda: "logging_json is left out" in served.log)
        assert "standard output is closed" in served.log
        async with await WireClient.connect(served.port()) as client:
            await client.register("alice")


# --- the plugin alone -------------------------------------------------------------------------


def settings_of(written: Mapping[str, Any]) -> dict[str, Any]:
    spec, validator = parse_specification(logging_json.SETTINGS), make_validator(None)
    return {
        name: validator.check(spec[name], written.get(name), missing=name not in written)
        for name in spec.scalars
    }


class Site:
    """The plugin with its hooks, without a server."""

    def __init__(self, **written: Any) -> None:
        self.settings = settings_of(written)
        log = plugin_logger("logging_json")
        self.config = Config(plugin_settings={"logging_json": self.settings})
        self.plugin = Plugin(PluginContext("logging_json", self.settings, self.config, log))
        manager = hook_manager()
        manager.register(self.plugin, "logging_json")
        self.hooks = Hooks(manager)
        self.path = Path(written.get("file", ""))

    async def __aenter__(self) -> "Site":
        await self.hooks.ask_plugin("logging_json", "start", server=None)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.hooks.ask_plugin("logging_json", "stop", server=None)

    def lines(self) -> list[dict[str, Any]]:
        return lines_of(self.path.read_text())


def test_plugin_is_sound() -> None:
    assert faults(logging_json) == []
    assert not hasattr(logging_json, "ENABLED_BY_DEFAULT")


async def test_records_of_everybody_are_written(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("unheard of")
    async with Site(file=str(tmp_path / "log")) as site:
        OTHER.info("below the level")
        OTHER.warning("unheard of", extra={"request_id": "ab"})
        logging.getLogger("aiosomething").error("failed")
    messages = [(line["logger"], line["message"]) for line in site.lines()]
    assert messages == [("tornado_webrtc.somebody", "unheard of"), ("aiosomething", "failed")]
    assert site.lines()[0]["request_id"] == "ab"


async def test_loggers_can_be_left_out(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log(r"skipped|kept")
    async with Site(file=str(tmp_path / "log"), skip_loggers=["tornado_webrtc.a"]) as site:
        for name in ("tornado_webrtc.a", "tornado_webrtc.a.b"):
            logging.getLogger(name).warning("skipped")
        logging.getLogger("tornado_webrtc.ab").warning("kept")
    assert [line["message"] for line in site.lines()] == ["kept"]


async def test_turn_events(tmp_path: Path) -> None:
    async with Site(file=str(tmp_path / "log")) as site:
        tell = site.hooks.notify
        tell("allocation_created", allocation=ALLOCATION)
        tell("allocation_refreshed", allocation=ALLOCATION)
        tell("permission_created", allocation=ALLOCATION, peer_ip="192.0.2.9")
        peer = SocketAddress("192.0.2.9", 5000)
        tell("channel_bound", allocation=ALLOCATION, number=0x4000, peer=peer)
        tell("allocation_deleted", allocation=ALLOCATION, traffic=TRAFFIC, reason="expired")
    created, _, permission, channel, deleted = site.lines()
    assert {name: value for name, value in created.items() if name != "time"} == {
        "level": "INFO",
        "logger": "tornado_webrtc.events",
        "event": "allocation_created",
        "allocation_id": 7,
        "user": "alice",
        "username": "1767225600:alice",
        "client": "192.0.2.1:4711",
        "transport": "tcp",
        "relayed": "[2001:db8::5]:50000",
    }
    assert permission["peer_ip"] == "192.0.2.9"
    assert (channel["channel"], channel["peer_address"]) == (0x4000, "192.0.2.9:5000")
    assert (deleted["bytes_to_peer"], deleted["dropped"]) == (1234, 1)
    assert deleted["reason"] == "expired"
    assert deleted["lasted_s"] >= 0
    assert [line["event"] for line in site.lines()] == [
        *("allocation_created", "allocation_refreshed", "permission_created"),
        *("channel_bound", "allocation_deleted"),
    ]


async def test_events_can_be_left_out(tmp_path: Path) -> None:
    async with Site(file=str(tmp_path / "log"), events="no") as site:
        site.hooks.notify("allocation_created", allocation=ALLOCATION)
        site.hooks.notify("server_draining", server=None)
    assert site.lines() == []


async def test_changed_settings_are_named_and_taken_over(tmp_path: Path) -> None:
    async with Site(file=str(tmp_path / "log")) as site:
        anonymous = {**site.settings, "anonymize_addresses": True}
        new = Config(
            signaling=Signaling(ping_s=7.5, allowed_origins=("https://s3cr3t.example",)),
            plugin_settings={"logging_json": anonymous, "other": {"password": "s3cr3t"}},
        )
        site.hooks.notify("settings_changed", old=site.config, new=new)
        site.hooks.notify("permission_created", allocation=ALLOCATION, peer_ip="192.0.2.9")
    changed, permission = site.lines()
    assert changed["changed"] == [
        "logging_json.anonymize_addresses",
        "other.password",
        "signaling.allowed_origins",
        "signaling.ping_s",
    ]
    assert permission["peer_ip"] == "192.0.2.0"
    assert "s3cr3t" not in site.path.read_text()


async def test_record_that_cannot_be_a_line_is_counted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    expect_log: ExpectLog,
) -> None:
    expect_log("unheard of")

    def fail(*_arguments: object) -> None:
        raise RuntimeError("whatever")

    async with Site(file=str(tmp_path / "log")) as site:
        assert site.hooks.collect("counters") == [("logging_json", {"lines-dropped": 0})]
        monkeypatch.setattr(site.plugin._format, "record", fail)
        OTHER.warning("unheard of")
        assert site.hooks.collect("counters") == [("logging_json", {"lines-dropped": 1})]
    assert site.hooks.collect("counters") == [("logging_json", {})]
    assert site.path.read_text() == ""
    assert "a record of tornado_webrtc.somebody has no line: RuntimeError" in capfd.readouterr().err


# --- the console ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("console", "with_file", "quiet"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("on", False, False),
        ("off", True, True),
    ],
)
async def test_console_is_given_back(
    tmp_path: Path, expect_log: ExpectLog, console: str, with_file: bool, quiet: bool
) -> None:
    expect_log("unheard of")
    root, handler = logging.getLogger(), logging.StreamHandler()
    formatter = RedactingFormatter("%(message)s")
    handler.setFormatter(formatter)
    root.addHandler(handler)
    file = {"file": str(tmp_path / "log")} if with_file else {}
    before = root.handlers[:]
    async with Site(console=console, anonymize_addresses="yes", **file):
        assert (handler not in root.handlers) == quiet
        assert formatter.redaction.anonymous
        OTHER.warning("unheard of")
    assert sorted(map(id, root.handlers)) == sorted(map(id, before))
    assert not formatter.redaction.anonymous


# --- check ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "rotation", "problem"),
    [
        ("log", "size", ""),
        ("sub/log", "size", "there is no folder"),
        ("folder", "size", "is a folder"),
        ("there", "size", "cannot be written by this user"),
        ("closed/log", "size", "this user cannot make files in"),
        ("closed/mine", "size", "this user cannot make files in"),
        ("closed/mine", "external", ""),
    ],
)
def test_check(unprivileged: Path, file: str, rotation: str, problem: str) -> None:
    (unprivileged / "folder").mkdir()
    (unprivileged / "there").touch(mode=0o400)
    (unprivileged / "closed").mkdir()
    (unprivileged / "closed" / "mine").touch()
    (unprivileged / "closed").chmod(0o500)
    site = Site(file=str(unprivileged / file), rotation=rotation)
    found = site.plugin.check()
    (unprivileged / "closed").chmod(0o700)
    assert len(found) == bool(problem)
    assert all(each.startswith("logging_json.file: ") for each in found)
    assert problem in "".join(found)


def test_check_of_standard_output() -> None:
    assert Site().plugin.check() == []
