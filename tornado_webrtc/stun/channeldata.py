"""ChannelData: data after four bytes of header (RFC 8656 sections 12.4 to 12.6)."""

from __future__ import annotations

import struct

from tornado_webrtc.errors import DecodeError

__all__ = ["HEADER_BYTES", "MAX_CHANNEL", "MIN_CHANNEL", "decode", "encode"]

MIN_CHANNEL = 0x4000
MAX_CHANNEL = 0x7FFE
"""Clients of RFC 8656 stay below 0x5000, those of RFC 5766 use all of these."""

HEADER_BYTES = 4

_HEADER = struct.Struct("!HH")
_pack = _HEADER.pack
_unpack_from = _HEADER.unpack_from
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def encode(number: int, data: bytes, *, pad: bool) -> bytes:
    """Encode a ChannelData message.

    Args:
        number: A bound channel's number.
        data: At most 65535 bytes, perhaps none.
        pad: "Over TCP and TLS-over-TCP, the ChannelData message MUST be
            padded to a multiple of four bytes"; the length does not count
            the padding.

    Raises:
        ValueError: If number or length do not fit their fields.
    """
    try:
        frame = _pack(number, len(data)) + data
    except struct.error as error:
        raise ValueError(f"channel {number:#x}, {len(data)} bytes: {error}") from error
    return frame + _PADDING[len(data) & 3] if pad else frame


def decode(frame: bytes) -> tuple[int, bytes]:
    """Decode a ChannelData message.

    Args:
        frame: One message; padding may follow ("Over UDP, the padding is not
            required but MAY be included").

    Returns:
        The channel number and the data without padding.

    Raises:
        DecodeError: If this is no ChannelData, or "too short to contain the
            claimed length of the ChannelData message". Nothing else is raised for any input.
    """
    size = len(frame) - HEADER_BYTES
    if size < 0:
        raise DecodeError(f"ChannelData of {len(frame)} bytes")
    number, length = _unpack_from(frame)
    if not MIN_CHANNEL <= number <= MAX_CHANNEL:
        raise DecodeError(f"channel number {number:#06x}, not 0x4000 to 0x7ffe")
    if length > size:
        raise DecodeError(f"ChannelData of {length} bytes, {size} came")
    return number, frame[HEADER_BYTES : HEADER_BYTES + length]
