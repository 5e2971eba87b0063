"""Opening relay and listening sockets; the two shapes of an address."""

import errno
import ipaddress
import os
import resource
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tornado_webrtc.errors import ListenError
from tornado_webrtc.relay.socket import (
    RelaySocket,
    open_listeners,
    open_relay,
    socket_address,
    transport_address,
)
from tornado_webrtc.stun.address import TransportAddress

# A loopback address that no other process uses: the tests need certain ports of it.
HOST = str(ipaddress.ip_address(0x7F400000 + os.getpid()))
PORTS = range(49152, 65536)

Open = Callable[..., list[RelaySocket] | None]


@pytest.fixture
def opening() -> Iterator[Open]:
    """`open_relay`, with everything closed at the end."""
    opened: list[RelaySocket] = []

    def call(
        ports: range = PORTS,
        *,
        bind: str = HOST,
        even: bool = False,
        reserve_next: bool = False,
        advertised: str = "203.0.113.5",
    ) -> list[RelaySocket] | None:
        relays = open_relay(
            bind,
            ports,
            even=even,
            reserve_next=reserve_next,
            random=secrets.randbelow,
            advertised=advertised,
        )
        opened.extend(relays or [])
        return relays

    yield call
    for relay in opened:
        relay.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_relay_is_bound_to_a_port_of_the_range(opening: Open) -> None:
    ports = range(50000, 50100)
    relays = [relay for _ in range(20) for relay in opening(ports) or []]
    assert len({relay.local.port for relay in relays}) == 20
    for relay in relays:
        assert relay.sock.getsockname() == relay.local
        assert relay.local.host == HOST
        assert relay.local.port in ports
        assert relay.advertised == ("203.0.113.5", relay.local.port)
        assert relay.family == 1
        assert not relay.sock.getblocking()


def test_ipv6(opening: Open) -> None:
    (relay,) = opening(bind="::1", advertised="2001:db8::5") or []
    assert relay.family == 2
    assert relay.local.host == "::1"
    assert relay.sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_port_is_chosen_by_the_random_source() -> None:
    numbers = iter([7, 7, 9])
    first, second = (
        open_relay(HOST, range(50200, 50300), random=lambda _: next(numbers), advertised=HOST)
        for _ in "12"
    )
    assert first is not None
    assert second is not None
    assert [first[0].local.port, second[0].local.port] == [50207, 50209]
    first[0].close()
    second[0].close()


@pytest.mark.parametrize("start", [50400, 50401])
def test_even_port(opening: Open, start: int) -> None:
    opened = [opening(range(start, 50420), even=True) or [] for _ in range(9)]
    found = {relay.local.port for (relay,) in opened}
    assert len(found) == 9
    assert not any(port % 2 for port in found)


def test_next_port_is_reserved(opening: Open) -> None:
    """EVEN-PORT with its R bit (RFC 8656 section 18.6)."""
    ports = range(50501, 50507)  # two pairs, and ends that have no neighbour
    pairs = [opening(ports, reserve_next=True) or [] for _ in "12"]
    found = sorted([relay.local.port for relay in pair] for pair in pairs)
    assert found == [[50502, 50503], [50504, 50505]]
    assert opening(ports, reserve_next=True) is None


def test_half_a_pair_is_no_pair(opening: Open) -> None:
    opening(range(50601, 50602))
    before = open_files()
    assert opening(range(50600, 50602), reserve_next=True) is None
    assert open_files() == before


def test_full_range_is_swept(opening: Open) -> None:
    ports = range(50700, 50720)
    assert {(opening(ports) or [])[0].local.port for _ in ports} == set(ports)
    before = open_files()
    assert opening(ports) is None
    assert open_files() == before


def test_tries_are_bounded() -> None:
    asked: list[int] = []

    def same(limit: int) -> int:
        asked.append(limit)
        return 0

    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind((HOST, 51000))
    with taken:
        relays = open_relay(HOST, range(51000, 60000), random=same, advertised=HOST)
    assert relays is not None
    assert relays[0].local.port == 51001
    relays[0].close()
    assert len(asked) < 100


@pytest.mark.parametrize("ports", [range(0), range(51001, 51002)])
def test_range_without_such_a_port(opening: Open, ports: range) -> None:
    assert opening(ports, even=True) is None
    assert opening(ports, reserve_next=True) is None


@pytest.mark.parametrize("bind", ["203.0.113.77", "2001:db8::77", "localhost", "", "::1%none"])
def test_address_that_is_none_of_ours(opening: Open, bind: str) -> None:
    with pytest.raises(ListenError, match="this machine has no such address"):
        opening(bind=bind)


def test_too_many_open_files(opening: Open) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(ListenError, match="too many open files; raise the limit"):
            opening()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_listeners_share_a_port() -> None:
    sockets = open_listeners([HOST, "127.0.0.6", "::1"], 0)
    try:
        assert [sock.getsockname()[0] for sock in sockets] == [HOST, "127.0.0.6", "::1"]
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


def test_free_port_is_looked_for_again_when_it_is_taken_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unlucky(socket.socket):
        failures = 3

        def bind(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            if address[0] == "127.0.0.6" and Unlucky.failures:
                Unlucky.failures -= 1
                raise OSError(errno.EADDRINUSE, "taken")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Unlucky)
    before = open_files()
    for sock in open_listeners([HOST, "127.0.0.6"], 0):
        sock.close()
    assert Unlucky.failures == 0
    Unlucky.failures = 1000
    with pytest.raises(ListenError, match="it is in use"):
        open_listeners([HOST, "127.0.0.6"], 0)
    assert open_files() == before


def test_no_address_is_no_socket() -> None:
    assert open_listeners([], 0) == []


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(ListenError, match=f"port {port} does not exist"):
        open_listeners([HOST], port)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, "port 80 of 127[0-9.]+: this user may not; choose a port above 1023"),
        (errno.ENODEV, "No such device"),
    ],
)
def test_other_reasons(monkeypatch: pytest.MonkeyPatch, code: int, message: str) -> None:
    class Refused(socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(code, "refused")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(ListenError, match=message):
        open_listeners([HOST], 80)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("192.0.2.1", 7), ("192.0.2.1", 7)),
        (("2001:db8::1", 7), ("2001:db8::1", 7, 0, 0)),
        (("2001:DB8:0::1", 7), ("2001:db8::1", 7, 0, 0)),
        (("::ffff:c000:201", 7), ("::ffff:192.0.2.1", 7, 0, 0)),
        (("fe80::1%1", 7), ("fe80::1", 7, 0, 1)),
    ],
)
def test_address_as_the_kernel_shows_it(
    address: tuple[str, int], expected: tuple[str | int, ...]
) -> None:
    assert socket_address(TransportAddress(*address)) == expected


@pytest.mark.parametrize("host", ["", "localhost", "192.0.2", "2001:db8::g", "fe80::1%none"])
def test_no_address(host: str) -> None:
    with pytest.raises(ValueError, match="no IP address"):
        socket_address(TransportAddress(host, 7))


def test_scope_is_kept() -> None:
    assert transport_address(("192.0.2.1", 7)) == ("192.0.2.1", 7)
    assert transport_address(("2001:db8::1", 7, 0, 0)) == ("2001:db8::1", 7)
    link_local = transport_address(("fe80::1", 7, 0, 1))
    assert link_local == ("fe80::1%1", 7)
    assert socket_address(link_local) == ("fe80::1", 7, 0, 1)
