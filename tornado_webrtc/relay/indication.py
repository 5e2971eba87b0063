"""Data indications, written around data that is in a buffer already.

What a peer sends is received with room before it, and headers are written into
that room: no datagram is copied.
"""

from __future__ import annotations

import struct

from tornado_webrtc.stun.attribute import DATA, XOR_PEER_ADDRESS
from tornado_webrtc.stun.header import HEADER_BYTES, MAGIC_COOKIE, MAX_LENGTH

__all__ = ["HEADROOM", "TAILROOM", "IndicationWriter"]

HEADROOM = 48
"""Bytes that a Data indication may need before the data (an IPv6 peer)."""

TAILROOM = 3
"""Bytes that padding may need behind the data."""

_DATA_INDICATION = 0x0017
_XOR_PEER_ADDRESS, _DATA = XOR_PEER_ADDRESS.code, DATA.code
_COOKIE_UPPER = MAGIC_COOKIE >> 16
_PADDING = bytes(3)

# STUN header; XOR-PEER-ADDRESS with its value; the header of DATA.
_IPV4 = struct.Struct("!HHI12s HHBBHI HH")
_IPV6 = struct.Struct("!HHI12s HHBBH16s HH")


class IndicationWriter:
    """Writes Data indications (RFC 8656 section 11.3) into one buffer.

    Args:
        buffer: Holds the data, with `HEADROOM` before and `TAILROOM` behind it.
        first_transaction_id: Of 96 bits, at random. An indication has no answer
            that somebody could forge, so the following ones count up from it.
    """

    __slots__ = ("_buffer", "_transaction_id")

    def __init__(self, buffer: bytearray, first_transaction_id: int) -> None:
        self._buffer = buffer
        self._transaction_id = first_transaction_id

    def write(self, offset: int, size: int, ip: bytes, port: int) -> tuple[int, int] | None:
        """Turn data into a Data indication.

        Args:
            offset: Where the data is in the buffer.
            size: Its length.
            ip: The peer's IP address, 4 or 16 bytes.
            port: The peer's port.

        Returns:
            Begin and end of the message in the buffer; None if it would be
            longer than a STUN message can be.
        """
        header = _IPV4 if len(ip) == 4 else _IPV6  # noqa: PLR2004 - an IPv4 address
        end = offset + (size + 3 & ~3)
        begin = offset - header.size
        if (length := end - begin - HEADER_BYTES) > MAX_LENGTH:
            return None
        number = self._transaction_id = (self._transaction_id + 1) & ((1 << 96) - 1)
        transaction_id = number.to_bytes(12)
        start = (_DATA_INDICATION, length, MAGIC_COOKIE, transaction_id, _XOR_PEER_ADDRESS)
        xport = port ^ _COOKIE_UPPER
        if header is _IPV4:
            xaddress: int | bytes = int.from_bytes(ip) ^ MAGIC_COOKIE
            family, value_bytes = 1, 8
        else:
            xaddress = (int.from_bytes(ip) ^ (MAGIC_COOKIE << 96 | number)).to_bytes(16)
            family, value_bytes = 2, 20
        self._buffer[offset + size : offset + size + 3] = _PADDING
        header.pack_into(
            *(self._buffer, begin, *start, value_bytes),
            *(0, family, xport, xaddress, _DATA, size),
        )
        return begin, end
