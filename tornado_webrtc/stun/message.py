"""STUN messages: decoded as far as their attributes' places, and encoded."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.attribute import (
    FINGERPRINT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    Attribute,
)
from tornado_webrtc.stun.header import (
    ATTRIBUTE_HEADER_BYTES,
    HEADER_BYTES,
    MAGIC_COOKIE,
    MAX_LENGTH,
    TRANSACTION_ID_BYTES,
    is_stun,
)
from tornado_webrtc.stun.integrity import (
    append_fingerprint,
    append_integrity,
    compute_fingerprint,
)
from tornado_webrtc.stun.value import MAX_VALUE_BYTES

__all__ = [
    "HEADER_BYTES",
    "MAGIC_COOKIE",
    "TRANSACTION_ID_BYTES",
    "Message",
    "MessageClass",
    "Method",
    "decode",
    "encode",
    "is_stun",
]

T = TypeVar("T")

_HEADER = struct.Struct("!HHI12s")
_TLV = struct.Struct("!HH")
_COMPREHENSION_OPTIONAL = 0x8000
_FINGERPRINT_BYTES = 4

# What counts after the integrity: the sender has vouched for nothing else.
_AFTER_INTEGRITY = {
    MESSAGE_INTEGRITY.code: frozenset({MESSAGE_INTEGRITY_SHA256.code, FINGERPRINT.code}),
    MESSAGE_INTEGRITY_SHA256.code: frozenset({FINGERPRINT.code}),
}


class Method(IntEnum):
    """Methods of STUN (RFC 8489), TURN (RFC 8656) and TURN over TCP (RFC 6062)."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009
    CONNECT = 0x00A
    CONNECTION_BIND = 0x00B
    CONNECTION_ATTEMPT = 0x00C


class MessageClass(IntEnum):
    """Message classes (RFC 8489 section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


_CLASSES = tuple(MessageClass)


class Message:
    """A message that was received and is well-formed; its values are decoded when asked for.

    Attributes:
        method: A `Method`, or any other number that came.
        message_class: Request, indication, success or error response.
        transaction_id: 12 bytes.
        raw: The whole message.
    """

    __slots__ = ("_places", "message_class", "method", "raw", "transaction_id")

    def __init__(
        self,
        method: int,
        message_class: MessageClass,
        transaction_id: bytes,
        raw: bytes,
        places: list[tuple[int, int, int]],
    ) -> None:
        self.method = method
        self.message_class = message_class
        self.transaction_id = transaction_id
        self.raw = raw
        self._places = places

    def __repr__(self) -> str:
        codes = " ".join(f"{code:#06x}" for code, _, _ in self._places)
        return f"<Message {self.method:#05x} {self.message_class.name} {codes}>"

    def get(self, attribute: Attribute[T]) -> T | None:
        """Return the value of an attribute, None if there is none.

        Of several "only the first occurrence needs to be processed" (RFC 8489
        section 14).

        Raises:
            DecodeError: If the value is malformed.
        """
        place = self.place(attribute)
        return None if place is None else self._decode(attribute, *place)

    def get_all(self, attribute: Attribute[T]) -> list[T]:
        """Return the values of all occurrences, in order; raises as `get` does."""
        return [
            self._decode(attribute, start, length)
            for code, start, length in self._places
            if code == attribute.code
        ]

    def has(self, attribute: Attribute[Any]) -> bool:
        """Tell whether an attribute is there, well-formed or not."""
        return self.place(attribute) is not None

    def place(self, attribute: Attribute[Any]) -> tuple[int, int] | None:
        """Return where in `raw` an attribute's value begins, and its length."""
        wanted = attribute.code
        for code, start, length in self._places:
            if code == wanted:
                return start, length
        return None

    def unknown_comprehension_required(self, known: Container[int]) -> tuple[int, ...]:
        """Return the attributes for which a request is answered 420 (RFC 8489 section 6.3.1).

        Args:
            known: The numbers that the receiver understands.
        """
        found = (code for code, _, _ in self._places if code < _COMPREHENSION_OPTIONAL)
        return tuple(dict.fromkeys(code for code in found if code not in known))

    def _decode(self, attribute: Attribute[T], start: int, length: int) -> T:
        return attribute.decode(self.raw[start : start + length], self.transaction_id)


def decode(data: bytes) -> Message:
    """Decode a message as far as its attributes' places (RFC 8489 section 6.3).

    Attributes that follow MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 are
    left out, "with the exception of the MESSAGE-INTEGRITY-SHA256 and
    FINGERPRINT attributes" (section 9).

    Args:
        data: One message, nothing before or after it.

    Raises:
        DecodeError: If this is no STUN message, its length or an attribute's
            length is wrong, or there is a FINGERPRINT that is not the last
            attribute or not right. Nothing else is raised for any input.
    """
    if not is_stun(data):
        raise DecodeError("not a STUN message")
    kind, length, _, transaction_id = _HEADER.unpack_from(data)
    if length != len(data) - HEADER_BYTES or length % 4:
        raise DecodeError(f"a STUN message of {len(data)} bytes says that {length} follow 20")
    method = kind & 0x0F | kind >> 1 & 0x70 | kind >> 2 & 0xF80
    message_class = _CLASSES[kind >> 4 & 1 | kind >> 7 & 2]
    places = list(_counting(_attributes(data)))
    return Message(method, message_class, transaction_id, data, places)


def _attributes(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield code, start of the value and length of each attribute."""
    at = HEADER_BYTES
    end = len(data)
    while at < end:
        code, length = _TLV.unpack_from(data, at)
        at += ATTRIBUTE_HEADER_BYTES
        if length > end - at:
            raise DecodeError(f"attribute {code:#06x} of {length} bytes, {end - at} are left")
        if code == FINGERPRINT.code:
            _check_fingerprint(data, at, length)
        yield code, at, length
        at += length + -length % 4


def _check_fingerprint(data: bytes, start: int, length: int) -> None:
    if length != _FINGERPRINT_BYTES or start + length != len(data):
        raise DecodeError("FINGERPRINT is not the last attribute")
    if int.from_bytes(data[start:]) != compute_fingerprint(data[: start - ATTRIBUTE_HEADER_BYTES]):
        raise DecodeError("FINGERPRINT is wrong")


def _counting(places: Iterator[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Leave out what follows the integrity."""
    allowed: frozenset[int] | None = None
    for place in places:
        if allowed is None or place[0] in allowed:
            yield place
            allowed = _AFTER_INTEGRITY.get(place[0], allowed)


def encode(
    method: int,
    message_class: MessageClass,
    transaction_id: bytes,
    attributes: Sequence[tuple[Attribute[Any], Any]] = (),
    *,
    key: bytes | None = None,
    integrity: Attribute[bytes] = MESSAGE_INTEGRITY,
    fingerprint: bool = False,
) -> bytes:
    """Encode a message; padding bytes are zero.

    Args:
        method: A `Method`.
        message_class: Request, indication, success or error response.
        transaction_id: 12 bytes; a response has the request's.
        attributes: With their values, in the order in which they are sent.
        key: Appends an integrity attribute made with it.
        integrity: MESSAGE_INTEGRITY or MESSAGE_INTEGRITY_SHA256.
        fingerprint: Appends FINGERPRINT.

    Raises:
        ValueError: If a value does not fit its attribute, the message would
            be longer than its length field can say, or the transaction id
            is not 12 bytes long.
    """
    if len(transaction_id) != TRANSACTION_ID_BYTES:
        raise ValueError(f"a transaction id of {len(transaction_id)} bytes, not 12")
    body = b"".join(
        _encode_attribute(attribute, attribute.encode(value, transaction_id))
        for attribute, value in attributes
    )
    if len(body) > MAX_LENGTH:
        raise ValueError(f"attributes of {len(body)} bytes, at most {MAX_LENGTH}")
    message = _HEADER.pack(_kind(method, message_class), len(body), MAGIC_COOKIE, transaction_id)
    message += body
    if key is not None:
        message = append_integrity(message, key, integrity)
    return append_fingerprint(message) if fingerprint else message


def _kind(method: int, message_class: MessageClass) -> int:
    """Interleave method and class (RFC 8489 section 5, figure 3)."""
    bits = method & 0x0F | (method & 0x70) << 1 | (method & 0xF80) << 2
    return bits | (message_class & 1) << 4 | (message_class & 2) << 7


def _encode_attribute(attribute: Attribute[Any], value: bytes) -> bytes:
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"{attribute} of {len(value)} bytes, at most {MAX_VALUE_BYTES}")
    return _TLV.pack(attribute.code, len(value)) + value + bytes(-len(value) % 4)
