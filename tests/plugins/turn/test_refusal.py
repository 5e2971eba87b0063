"""What the operator reads of refused clients."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.plugins.turn.site import LOOPBACK, StartTurn
from tests.plugins.turn.test_driver import Doorkeeper
from tornado_webrtc.config.address import PortRange
from tornado_webrtc.hooks import Denied
from tornado_webrtc.plugins.turn.refusal import RefusalLog
from tornado_webrtc.stun.address import TransportAddress


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the plugin has logged of refusals."""
    caplog.set_level(logging.INFO, "tornado_webrtc.plugins.turn")
    return lambda: [text for text in caplog.messages if "was refused" in text]


def test_each_cause_once_a_minute(said: Callable[[], list[str]]) -> None:
    now = [0.0]
    log = RefusalLog(logging.getLogger("tornado_webrtc.plugins.turn"), lambda: now[0])
    for number in range(3):
        log.tell("no room", f"198.51.100.{number}:9", "alice")
        log.tell("no way: ", f"198.51.100.{number}:9", "x" * 1000, f"because {number}")
    log.tell("no port", "198.51.100.3:9", "")
    now[0] = 60.0
    log.tell("no room", "198.51.100.9:9", "bob\n")
    assert said() == [
        "198.51.100.0:9 as 'alice' was refused: no room",
        f"198.51.100.0:9 as '{'x' * 64}' was refused: no way: because 0",
        "198.51.100.3:9 was refused: no port",
        "198.51.100.9:9 as 'bob\\n' was refused: no room (3 refusals since this was last logged)",
    ]


async def test_wrong_password(start_turn: StartTurn, said: Callable[[], list[str]]) -> None:
    site = await start_turn()
    client = await site.udp()
    client.password = "wrong"
    assert await client.try_to_allocate() == 401
    (text,) = said()
    assert client.username in text
    assert "unknown user, or wrong password (401)" in text
    assert "wrong'" not in text


@pytest.mark.parametrize(
    ("settings", "clients", "error", "expected"),
    [
        ({"max_allocations_per_user": 1}, 2, 486, "max_allocations_per_user is reached (486)"),
        ({"max_allocations": 1}, 2, 486, "max_allocations is reached (486)"),
        (
            {"relay_ports": PortRange(1, 1), "bind": ("127.0.0.1",)},
            0,
            508,
            "no port is free in turn.relay_ports",
        ),
    ],
)
async def test_limits(
    start_turn: StartTurn,
    said: Callable[[], list[str]],
    settings: dict[str, Any],
    clients: int,
    error: int,
    expected: str,
) -> None:
    if not clients:
        taken = (await start_turn()).peer()
        port = taken.address.port
        settings = {"relay_ports": PortRange(port, port)}
        clients = 1
    site = await start_turn(**settings)
    codes = [await (await site.udp()).try_to_allocate() for _ in range(clients)]
    assert codes[-1] == error
    (text,) = said()
    assert expected in text


async def test_permissions_and_channels(
    start_turn: StartTurn, said: Callable[[], list[str]]
) -> None:
    site = await start_turn(max_permissions=1, allow_peers=LOOPBACK)
    client = await site.udp()
    await client.allocate()
    peers = [TransportAddress("127.0.0.1", 1), TransportAddress("127.0.0.2", 2)]
    assert await client.permit(*peers) == 508
    (text,) = said()
    assert "max_permissions is reached (508)" in text


async def test_plugins_reasons(start_turn: StartTurn, said: Callable[[], list[str]]) -> None:
    doorkeeper = Doorkeeper(lambda: Denied("no money"), lambda _: Denied("a bad place"))
    site = await start_turn(doorkeeper, allow_peers=LOOPBACK)
    client = await site.udp()
    assert await client.try_to_allocate() == 403
    doorkeeper.verdict = lambda: None
    assert await client.try_to_allocate() == 0
    assert await client.permit(TransportAddress("127.0.0.1", 1)) == 403
    assert [text.partition("refused: ")[2] for text in said()] == [
        "a plugin denied an allocation (403): no money",
        "a plugin denied a peer (403): a bad place",
    ]


async def test_private_peers_are_everyday_life(
    start_turn: StartTurn, said: Callable[[], list[str]]
) -> None:
    """Browsers try every address of the other side."""
    site = await start_turn()
    client = await site.udp()
    await client.allocate()
    assert await client.permit(TransportAddress("10.0.0.1", 1)) == 403
    assert said() == []
