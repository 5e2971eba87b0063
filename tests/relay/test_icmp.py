"""The error queue of a relay socket."""

import secrets
import socket
import struct
from collections.abc import Iterator

import pytest

from tornado_webrtc.relay.icmp import IcmpError, decode_error, take_errors
from tornado_webrtc.relay.socket import open_relay

PEER = ("192.0.2.1", 7)
LOCAL, ICMP, ICMP6 = 1, 2, 3


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    relays = open_relay(
        "127.0.0.1", range(49152, 65536), random=secrets.randbelow, advertised="127.0.0.1"
    )
    assert relays is not None
    yield relays[0].sock
    relays[0].close()


def extended_error(origin: int, icmp_type: int, code: int, info: int = 0) -> bytes:
    return struct.pack("=IBBBxII", 111, origin, icmp_type, code, info, 0) + bytes(16)


def test_port_unreachable(sock: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.2", 0))
        address = nobody.getsockname()
    for _ in range(2):
        sock.sendto(b"anybody?", address)
        assert list(take_errors(sock)) == [IcmpError(address, 3, 3, bytes(4))]
    assert list(take_errors(sock)) == []


def test_datagram_too_long_to_be_sent_whole_is_no_icmp_error(sock: socket.socket) -> None:
    with pytest.raises(OSError, match="too long"):
        sock.sendto(bytes(65508), ("127.0.0.2", 7))
    assert list(take_errors(sock)) == []


def test_closed_socket_has_no_errors(sock: socket.socket) -> None:
    sock.close()
    assert list(take_errors(sock)) == []


@pytest.mark.parametrize(
    ("origin", "icmp_type", "code", "data"),
    [
        (ICMP, 3, 4, "000004d2"),  # fragmentation needed: the next hop's MTU
        (ICMP, 3, 3, "00000000"),
        (ICMP, 3, 1, "00000000"),
        (ICMP, 11, 0, "00000000"),
        (ICMP6, 2, 0, "000004d2"),  # packet too big
        (ICMP6, 1, 4, "00000000"),
        (ICMP6, 3, 4, "00000000"),
    ],
)
def test_error_data_is_the_mtu_or_zero(origin: int, icmp_type: int, code: int, data: str) -> None:
    value = extended_error(origin, icmp_type, code, 1234)
    assert decode_error(value, PEER) == IcmpError(PEER, icmp_type, code, bytes.fromhex(data))


@pytest.mark.parametrize("value", [b"", bytes(15), extended_error(LOCAL, 0, 0, 1234)])
def test_what_is_no_icmp_error(value: bytes) -> None:
    assert decode_error(value, PEER) is None
