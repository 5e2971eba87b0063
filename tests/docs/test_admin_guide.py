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
from tests.plugins.turn.site import TurnSite
from tests.wire import WireClient, call
from tornado_webrtc.admin.application import PATHS
from tornado_webrtc.ban import MAX_REASON_BYTES
from tornado_webrtc.cli import main
from tornado_webrtc.server import Server, load

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")
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
[plugins]
disabled = logging_console
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


def test_every_path_is_described() -> None:
    for path, _ in PATHS:
        if path.replace("-", "").strip("/").isalpha():
            assert f" {path}`" in PAGE, path


def test_numbers() -> None:
    assert f"at most {MAX_REASON_BYTES} bytes" in PAGE
