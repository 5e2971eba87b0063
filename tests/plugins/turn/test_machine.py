"""What is read of this machine is true: it can be bound to, and it leads where it says."""

import asyncio
import socket
import threading
from ipaddress import ip_address

import pytest

from tornado_webrtc.errors import PluginError
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.plugins.turn import machine as machine_module
from tornado_webrtc.plugins.turn.machine import (
    UnansweredError,
    look_up,
    read_machine,
    source_address,
    together,
)

LOOPBACK = ip_address("127.0.0.1")
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def test_sources_can_be_bound_to_and_are_one_per_family() -> None:
    machine = read_machine()
    assert machine.addresses == machine_addresses()
    for address in machine.sources:
        with socket.socket(FAMILY[address.version], socket.SOCK_DGRAM) as sock:
            sock.bind((str(address), 0))
    assert len({each.version for each in machine.sources}) == len(machine.sources)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_source_towards_itself_is_itself(ip: str) -> None:
    address = ip_address(ip)
    if address in machine_addresses():
        assert source_address(address) == address


def test_no_way_is_no_source() -> None:
    """Only a socket that asked for it may send to everybody."""
    assert source_address(ip_address("255.255.255.255")) is None


async def test_name_becomes_addresses_once_each() -> None:
    found = await look_up("localhost")
    assert found
    assert all(each.is_loopback for each in found)
    assert len(set(found)) == len(found)


async def test_address_stands_for_itself() -> None:
    assert await look_up("127.0.0.1") == [LOOPBACK]


@pytest.mark.parametrize("name", ["turn..example", f"{'a.' * 200}example"])
async def test_name_that_stands_for_nothing(name: str) -> None:
    """Neither is asked for: a label is empty, the name is too long."""
    with pytest.raises(PluginError, match=r"turn.public_ip: .* cannot be looked up \(.+\); write"):
        await look_up(name)


async def test_name_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that hangs must not use up the time of `check`, which could not say why then."""
    asked = threading.Event()

    def hang(*_: object, **_more: object) -> None:
        asked.wait(20)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(machine_module, "LOOKUP_S", 0.05)
    text = r"turn.bind: turn.example cannot be looked up \(no answer within 0.05 s\); write"
    try:
        with pytest.raises(UnansweredError, match=text):
            await look_up("turn.example", "turn.bind")
    finally:
        asked.set()


async def test_names_are_looked_up_together() -> None:
    both = asyncio.Barrier(2)

    async def find(name: str) -> str:
        async with asyncio.timeout(10):
            await both.wait()
        return name.upper()

    assert await together(map(find, ("a", "b"))) == ["A", "B"]


async def test_of_several_names_that_fail_the_first_is_told() -> None:
    failed = asyncio.Event()

    async def fail_late(name: str) -> None:
        await failed.wait()
        raise UnansweredError("turn", name)

    async def fail(name: str) -> None:
        failed.set()
        raise PluginError("turn", name)

    with pytest.raises(UnansweredError, match="first"):
        await together([fail_late("first"), fail("second")])
