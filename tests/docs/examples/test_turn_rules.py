"""The guide's TURN example works: its settings, its credential, its rules, its log."""

import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.plugins.turn.client import TurnClient
from tests.plugins.turn.site import HOST, TurnSite
from tornado_webrtc.config import Draft
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.pluginmanager import configure
from tornado_webrtc.server import Server

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "turn_rules.py"
ENCODER = ("encoder", "a password")
PASSWORD = "password = a password\n"
CONFIGURATION = f"""
[general]
bind = {HOST},
port = 0
[turn]
bind = {HOST},
public_ip = {HOST},
port = 0
port_tcp = 0
secret = the-first-secret,
[plugins]
path = plugins
required = turn, turn_rules
disabled = logging_console
[turn_rules]
"""

Start = Callable[[str], Awaitable[TurnSite]]


def configured(tmp_path: Path, section: str) -> Server:
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(EXAMPLE, folder)
    file = tmp_path / "server.ini"
    file.write_text(CONFIGURATION + section)
    config, found = configure(Draft.read(file, {}))
    return Server(config, found)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as servers:
        with ExitStack() as clients:

            async def started(section: str) -> TurnSite:
                server = configured(tmp_path, section)
                servers.push_async_callback(server.stop)
                await server.start()
                return TurnSite(server, clients)

            yield started


async def allocate_and_end(client: TurnClient) -> None:
    await client.allocate()
    assert await client.refresh(0) == 0


async def test_the_encoder_and_credentials_of_the_server(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site = await start(PASSWORD)
    encoder = await site.udp(credential=ENCODER)
    await allocate_and_end(encoder)
    await allocate_and_end(await site.udp("alice"))
    lines = [each.getMessage() for each in caplog.records if each.name.endswith("turn_rules")]
    assert lines[:2] == [
        f"'encoder' relays at {HOST}:{encoder.relayed.port}",
        "'encoder' is done (refreshed to 0): 0 bytes",
    ]
    assert [line.split()[0] for line in lines[2:]] == ["'alice'"] * 2


@pytest.mark.parametrize("credential", [("encoder", "another"), ("recorder", "a password")])
async def test_others_are_not_let_in(start: Start, credential: tuple[str, str]) -> None:
    site = await start(PASSWORD)
    assert await (await site.udp(credential=credential)).try_to_allocate() == 401


async def test_without_a_password_there_is_no_encoder(start: Start) -> None:
    site = await start("")
    assert await (await site.udp(credential=("encoder", ""))).try_to_allocate() == 401


@pytest.mark.parametrize(("networks", "answer"), [(f"{HOST}/32", 0), ("10.0.0.0/8", 403)])
async def test_networks(start: Start, networks: str, answer: int) -> None:
    site = await start(f"networks = {networks},\n")
    assert await (await site.udp()).try_to_allocate() == answer


async def test_tcp_is_switched_off(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site = await start("tcp = no\n")
    client = await site.tcp()
    assert await client.try_to_allocate() == 403
    assert f"{client.username!r} may not allocate: TCP is not wanted" in caplog.messages
    assert await (await site.udp()).try_to_allocate() == 0


def test_misspelt_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="networks"):
        configured(tmp_path, "networks = 10.0.0.0/33,\n")
