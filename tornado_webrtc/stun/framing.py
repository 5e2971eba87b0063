"""Messages out of a byte stream, and what a first byte says."""

from __future__ import annotations

import struct
from enum import Enum, auto

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.channeldata import MAX_CHANNEL, MIN_CHANNEL
from tornado_webrtc.stun.header import COOKIE_BYTES, HEADER_BYTES, MAX_LENGTH

__all__ = ["MAX_BYTES", "Framer", "Kind", "classify"]

MAX_BYTES = HEADER_BYTES + MAX_LENGTH
"""The longest message: a STUN message can be longer than ChannelData."""

_LEAST_BYTES = 4
_COOKIE_END = 8
_unpack_from = struct.Struct("!HH").unpack_from


class Kind(Enum):
    """What may come to a port."""

    STUN = auto()
    ZRTP = auto()
    DTLS = auto()
    CHANNEL_DATA = auto()
    RTP = auto()
    UNKNOWN = auto()


def classify(first_byte: int) -> Kind:
    """Tell what begins with a byte (RFC 7983 section 7).

    ChannelData is 64 to 127 here, where the RFC has 64 to 79: clients of RFC
    5766 use channel numbers up to 0x7FFE.
    """
    return _KINDS[first_byte]


_RANGES = {
    Kind.STUN: range(4),
    Kind.ZRTP: range(16, 20),
    Kind.DTLS: range(20, 64),
    Kind.CHANNEL_DATA: range(64, 128),
    Kind.RTP: range(128, 192),
}
_KINDS = [
    next((kind for kind, numbers in _RANGES.items() if first_byte in numbers), Kind.UNKNOWN)
    for first_byte in range(256)
]


class Framer:
    """Cuts what a TCP or TLS client sends into STUN and ChannelData messages.

    There "the ChannelData message MUST be padded to a multiple of four bytes"
    (RFC 8656 section 12.5); frames come out without that padding. Between
    calls it holds less than one message.

    Args:
        max_bytes: What a message may have.

    Attributes:
        max_bytes: May be changed between calls.
    """

    __slots__ = ("_broken", "_buffer", "_wanted", "max_bytes")

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()
        self._wanted = _LEAST_BYTES
        self._broken = ""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the stream.

        Returns:
            The messages that are complete now, in order.

        Raises:
            DecodeError: If what comes next is neither STUN nor ChannelData, or
                it is too long. Nothing that follows can be told apart any more: the stream
                has to be closed, and every further call raises the same.
        """
        if self._broken:
            raise DecodeError(self._broken)
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        try:
            return self._cut(data)
        except DecodeError as error:
            self._broken = str(error)
            raise

    def _cut(self, data: bytes) -> list[bytes]:
        frames = []
        start, end = 0, len(data)
        wanted, max_bytes = _LEAST_BYTES, self.max_bytes
        while end - start >= _LEAST_BYTES:
            number, length = _unpack_from(data, start)
            if MIN_CHANNEL <= number <= MAX_CHANNEL:
                size = channeldata.HEADER_BYTES + length
            else:
                size = _stun_bytes(data, start, number, length)
            if size > max_bytes:
                raise DecodeError(f"a message of {size} bytes, the most is {max_bytes}")
            following = start + (size + 3 & ~3)
            if following > end:
                # The cookie is looked at as soon as it can be there.
                wanted = following - start if end - start >= _COOKIE_END else _COOKIE_END
                break
            frames.append(data[start : start + size])
            start = following
        if start < end:
            self._buffer += data[start:]
            self._wanted = wanted
        return frames


def _stun_bytes(data: bytes, start: int, first: int, length: int) -> int:
    """Return how long a STUN message is whose first 4 bytes or more are there."""
    if _KINDS[data[start]] is not Kind.STUN or length % 4:
        raise DecodeError(f"{first:#06x}, length {length}: neither STUN nor ChannelData")
    cookie = data[start + 4 : start + _COOKIE_END]
    if cookie != COOKIE_BYTES[: len(cookie)]:
        raise DecodeError(f"magic cookie {cookie.hex()}: not STUN")
    return HEADER_BYTES + length
