"""The 20 bytes that every message begins with (RFC 8489 section 5)."""

from __future__ import annotations

__all__ = [
    "ATTRIBUTE_HEADER_BYTES",
    "COOKIE_BYTES",
    "HEADER_BYTES",
    "MAGIC_COOKIE",
    "MAX_LENGTH",
    "TRANSACTION_ID_BYTES",
    "is_stun",
    "with_length",
]

MAGIC_COOKIE = 0x2112A442
"""Bytes 4 to 7."""

COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4)

HEADER_BYTES = 20
TRANSACTION_ID_BYTES = 12

MAX_LENGTH = 0xFFFC
"""The most that the length field can say: attributes are padded to 4 bytes."""

ATTRIBUTE_HEADER_BYTES = 4

_MAX_FIRST_BYTE = 3


def is_stun(data: bytes) -> bool:
    """Tell STUN from whatever else comes to the same port, by the header alone.

    "The most significant 2 bits of every STUN message MUST be zeroes", and
    methods of more than 8 bits are reserved so that the first byte is 0 to 3
    (section 18.2; RFC 7983 section 7).
    """
    return len(data) >= HEADER_BYTES and data[0] <= _MAX_FIRST_BYTE and data[4:8] == COOKIE_BYTES


def with_length(message: bytes, total: int) -> bytes:
    """Let a message's length field say that the message is `total` bytes long.

    Raises:
        ValueError: If the field cannot say so.
    """
    length = total - HEADER_BYTES
    if length > MAX_LENGTH:
        raise ValueError(f"a message of {length} bytes after its header, at most {MAX_LENGTH}")
    return message[:2] + length.to_bytes(2) + message[4:]
