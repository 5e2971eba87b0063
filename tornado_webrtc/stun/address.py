"""Transport addresses: what identifies a client, and how addresses stand in messages."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.header import COOKIE_BYTES, MAGIC_COOKIE

__all__ = [
    "IPV4",
    "IPV6",
    "FiveTuple",
    "TransportAddress",
    "decode_address",
    "decode_xor_address",
    "encode_address",
    "encode_xor_address",
]

IPV4 = 1
IPV6 = 2
"""Address families (RFC 8489 section 14.1)."""

_COOKIE_UPPER = MAGIC_COOKIE >> 16
_MAX_PORT = 0xFFFF
_VALUE_BYTES = {bytes([IPV4]): 8, bytes([IPV6]): 20}


class TransportAddress(NamedTuple):
    """An IP address and a port.

    Attributes:
        host: The address as `ipaddress` writes it, so that equal addresses
            are equal texts.
        port: 0 to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> int:
        """`IPV4` or `IPV6`."""
        return IPV6 if ":" in self.host else IPV4

    @property
    def packed(self) -> bytes:
        """The address alone: 4 or 16 bytes in network order."""
        return _packed(self.host)


class FiveTuple(NamedTuple):
    """What identifies an allocation (RFC 8656 section 2).

    Attributes:
        transport: Between client and server: "udp", "tcp", "tls" or "dtls".
        client: The client's address as the server sees it.
        server: The server's address that the client uses.
    """

    transport: str
    client: TransportAddress
    server: TransportAddress

    @property
    def is_stream(self) -> bool:
        """Whether ChannelData is padded and messages need framing."""
        return self.transport in {"tcp", "tls"}


def encode_address(address: TransportAddress) -> bytes:
    """Encode MAPPED-ADDRESS and its kin (RFC 8489 section 14.1).

    Raises:
        ValueError: If the host is no IP address or the port is out of range.
    """
    packed = _packed(address.host)
    return bytes((0, address.family)) + _port(address) + packed


def decode_address(value: bytes) -> TransportAddress:
    """Decode MAPPED-ADDRESS and its kin (RFC 8489 section 14.1).

    Args:
        value: Attribute value without padding: 8 bytes (IPv4) or 20 (IPv6).

    Raises:
        DecodeError: As `decode_xor_address`.
    """
    _check(value)
    return TransportAddress(_host(value[4:]), int.from_bytes(value[2:4]))


def encode_xor_address(address: TransportAddress, transaction_id: bytes) -> bytes:
    """Encode XOR-MAPPED-ADDRESS and its kin (RFC 8489 section 14.2).

    Raises:
        ValueError: If the host is no IP address or the port is out of range.
    """
    packed = _xor(_packed(address.host), transaction_id)
    port = int.from_bytes(_port(address)) ^ _COOKIE_UPPER
    return bytes((0, address.family)) + port.to_bytes(2) + packed


def decode_xor_address(value: bytes, transaction_id: bytes) -> TransportAddress:
    """Decode XOR-MAPPED-ADDRESS and its kin (RFC 8489 section 14.2).

    The port is XORed with the upper 16 bits of the magic cookie, an IPv4
    address with the cookie, an IPv6 address with cookie + transaction id.

    Args:
        value: Attribute value without padding: 8 bytes (IPv4) or 20 (IPv6).
        transaction_id: The 12 bytes from the message header.

    Returns:
        The address in host order, with the family it was sent in.

    Raises:
        DecodeError: If the length does not fit the family, or the family is
            neither 0x01 nor 0x02. Nothing else is raised for any input.
    """
    _check(value)
    port = int.from_bytes(value[2:4]) ^ _COOKIE_UPPER
    return TransportAddress(_host(_xor(value[4:], transaction_id)), port)


def _check(value: bytes) -> None:
    # "The first 8 bits ... MUST be set to 0 and MUST be ignored by receivers."
    expected = _VALUE_BYTES.get(value[1:2])
    if expected is None:
        raise DecodeError(f"address family {value[1:2].hex() or 'missing'}, not 01 or 02")
    if len(value) != expected:
        raise DecodeError(f"an address of {len(value)} bytes, its family has {expected}")


def _port(address: TransportAddress) -> bytes:
    if not 0 <= address.port <= _MAX_PORT:
        raise ValueError(f"port {address.port} is not between 0 and {_MAX_PORT}")
    return address.port.to_bytes(2)


def _xor(packed: bytes, transaction_id: bytes) -> bytes:
    mask = (COOKIE_BYTES + transaction_id)[: len(packed)]
    return (int.from_bytes(packed) ^ int.from_bytes(mask)).to_bytes(len(packed))


@lru_cache(4096)
def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host).packed


@lru_cache(4096)
def _host(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))
