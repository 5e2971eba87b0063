"""The guide's example works: found in a folder, checked, started, asked, stopped."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from tornado_webrtc.config import Draft
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.hooks import CallRequest, Denied, MessageHandler
from tornado_webrtc.pluginmanager import PluginManager, configure
from tornado_webrtc.signaling import Peer, PeerAddress

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "do_not_disturb.py"

ALICE = Peer("alice", "Alice", "", "", PeerAddress("node", 1))
BOB = Peer("bob", "Bob", "", "", PeerAddress("node", 2))


@dataclass
class Message:
    """A message as the server shows it to a plugin; keeps what is answered."""

    peer: Peer
    data: Any
    type: str = "dnd"
    to: str | None = None
    sent: list[tuple[object, ...]] = field(default_factory=list)

    def reply(self, message_type: str, data: object) -> None:
        self.sent.append((message_type, data))

    def send(self, peer_id: str, message_type: str, data: object) -> bool:
        self.sent.append((peer_id, message_type, data))
        return True

    def error(self, reason: str, code: str) -> None:
        self.sent.append(("error", code))


def configured(tmp_path: Path, section: str = "") -> PluginManager:
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(EXAMPLE, folder)
    file = tmp_path / "server.ini"
    file.write_text(f"[plugins]\npath = plugins\ndisabled = logging_console, turn\n{section}")
    config, found = configure(Draft.read(file, {}))
    return PluginManager(found, config, config.plugins.required)


class Running:
    """The example in a server that consists of hooks only."""

    def __init__(self, plugins: PluginManager) -> None:
        self.plugins = plugins
        self.handler: MessageHandler
        self.rules: list[Any]

    async def start(self) -> None:
        await self.plugins.start(None)
        collected = await self.plugins.collect("message_types", "http_handlers", server=None)
        ((name, types),) = collected["message_types"]
        assert name == "do_not_disturb"
        self.handler = types["dnd"]
        self.rules = [rule for _, rules in collected["http_handlers"] for rule in rules]

    async def say(self, peer: Peer, data: object) -> list[tuple[object, ...]]:
        message = Message(peer, data)
        await self.plugins.hooks.run("do_not_disturb", "the handler", self.handler, message)
        return message.sent

    async def call(self, caller: Peer, callee: Peer) -> Denied | None:
        request = CallRequest(caller, callee, "session")
        return await self.plugins.hooks.permit("permit_call", request=request)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(configured(tmp_path))
    await made.start()
    yield made
    await made.plugins.stop(None)


async def test_busy_peer_is_not_called(running: Running) -> None:
    assert await running.call(ALICE, BOB) is None
    assert await running.say(BOB, {"on": True}) == [("dnd", {"on": True})]
    denied = await running.call(ALICE, BOB)
    assert denied == Denied("Peer [bob] does not want to be disturbed.", "do-not-disturb")
    assert await running.call(BOB, ALICE) is None
    assert await running.say(BOB, {"on": False}) == [("dnd", {"on": False})]
    assert await running.call(ALICE, BOB) is None


async def test_switching_off_what_is_not_on(running: Running) -> None:
    assert await running.say(BOB, {"on": False}) == [("dnd", {"on": False})]


@pytest.mark.parametrize("data", [None, [], "on", {}, {"on": 1}, {"on": "true"}, {"on": None}])
async def test_bad_data(running: Running, data: object) -> None:
    assert await running.say(BOB, data) == [("error", "bad-message")]
    assert await running.call(ALICE, BOB) is None


async def test_peer_that_leaves_is_forgotten(running: Running) -> None:
    await running.say(BOB, {"on": True})
    running.plugins.hooks.notify("peer_left", peer=ALICE, reason="left")
    assert await running.call(ALICE, BOB) is not None
    running.plugins.hooks.notify("peer_left", peer=BOB, reason="left")
    assert await running.call(ALICE, BOB) is None


async def test_namesake_in_another_scope(running: Running) -> None:
    namesake = Peer("bob", "Bob", "", "attic", PeerAddress("node", 3))
    await running.say(namesake, {"on": True})
    assert await running.call(ALICE, BOB) is None


async def fetch(rules: list[Any], path: str) -> HTTPResponse:
    sock, port = bind_unused_port()
    server = HTTPServer(Application(rules))
    server.add_sockets([sock])
    client = AsyncHTTPClient(force_instance=True)
    try:
        return await client.fetch(f"http://127.0.0.1:{port}{path}", raise_error=False)
    finally:
        client.close()
        server.stop()
        await server.close_all_connections()


async def test_list_of_busy_peers(running: Running) -> None:
    for peer in (BOB, ALICE):
        await running.say(peer, {"on": True})
    response = await fetch(running.rules, "/api/dnd")
    assert response.code == 200
    assert json.loads(response.body) == {"ids": ["alice", "bob"]}


async def test_settings(tmp_path: Path) -> None:
    section = "[do_not_disturb]\nreason = sleeps\npublic_list = no\n"
    running = Running(configured(tmp_path, section))
    await running.start()
    assert running.rules == []
    await running.say(BOB, {"on": True})
    denied = await running.call(ALICE, BOB)
    assert denied is not None
    assert denied.reason == "Peer [bob] sleeps."
    await running.plugins.stop(None)


def test_misspelt_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reason"):
        configured(tmp_path, "[do_not_disturb]\nreson = sleeps\n")
