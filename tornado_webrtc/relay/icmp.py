"""What came back for datagrams that did not reach their peer (RFC 8656 section 11.5).

Relay sockets have IP_RECVERR (IPV6_RECVERR) set, so the kernel keeps the ICMP
errors of their datagrams in the socket's error queue, see ip(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from tornado_webrtc.relay.socket import SocketAddress

__all__ = ["IcmpError", "decode_error", "take_errors"]

# struct sock_extended_err: errno, origin, type, code, padding, info (the MTU), data.
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_FRAGMENTATION_NEEDED = (_ORIGIN_ICMP, 3, 4)
_PACKET_TOO_BIG = (_ORIGIN_ICMP6, 2, 0)
_ANCILLARY_BYTES = 256
_AT_ONCE = 64


class IcmpError(NamedTuple):
    """An ICMP message about a datagram of ours.

    Attributes:
        peer: Where the datagram should have gone.
        type: ICMP or, for an IPv6 peer, ICMPv6 type.
        code: ICMP or ICMPv6 code.
        data: "Error Data" of the ICMP attribute (RFC 8656 section 18.13): the
            next hop's MTU if the datagram was too big, else zero.
    """

    peer: SocketAddress
    type: int
    code: int
    data: bytes


def take_errors(sock: socket.socket) -> Iterator[IcmpError]:
    """Empty a socket's error queue, up to a bound; what is left wakes the loop again."""
    for _ in range(_AT_ONCE):
        try:
            _, ancillary, _, peer = sock.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return
        for _, _, value in ancillary:
            if (error := decode_error(value, peer)) is not None:
                yield error


def decode_error(value: bytes, peer: SocketAddress) -> IcmpError | None:
    """Decode a struct sock_extended_err; None if it tells of no ICMP message."""
    if len(value) < _EXTENDED_ERROR.size:
        return None
    _, origin, icmp_type, code, info, _ = _EXTENDED_ERROR.unpack_from(value)
    if origin not in {_ORIGIN_ICMP, _ORIGIN_ICMP6}:
        return None  # the machine's own: it was told when it sent
    too_big = (origin, icmp_type, code) in {_FRAGMENTATION_NEEDED, _PACKET_TOO_BIG}
    return IcmpError(peer, icmp_type, code, info.to_bytes(4) if too_big else bytes(4))
