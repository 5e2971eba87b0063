"""Attributes: one constant for each, with its number and how its value is encoded.

Numbers below 0x8000 are comprehension-required: a server that does not know
one answers 420 (RFC 8489 section 14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tornado_webrtc.stun import value
from tornado_webrtc.stun.value import (
    AddressErrorCode,
    ChangeRequest,
    ErrorCode,
    Icmp,
    PasswordAlgorithm,
)

__all__ = [
    "ACCESS_TOKEN",
    "ADDITIONAL_ADDRESS_FAMILY",
    "ADDRESS_ERROR_CODE",
    "ALTERNATE_DOMAIN",
    "ALTERNATE_SERVER",
    "CHANGE_REQUEST",
    "CHANNEL_NUMBER",
    "CONNECTION_ID",
    "DATA",
    "DONT_FRAGMENT",
    "ERROR_CODE",
    "EVEN_PORT",
    "FINGERPRINT",
    "ICE_CONTROLLED",
    "ICE_CONTROLLING",
    "ICMP",
    "KNOWN",
    "LIFETIME",
    "MAPPED_ADDRESS",
    "MESSAGE_INTEGRITY",
    "MESSAGE_INTEGRITY_SHA256",
    "MOBILITY_TICKET",
    "NONCE",
    "OTHER_ADDRESS",
    "PADDING",
    "PASSWORD_ALGORITHM",
    "PASSWORD_ALGORITHMS",
    "PRIORITY",
    "REALM",
    "REQUESTED_ADDRESS_FAMILY",
    "REQUESTED_TRANSPORT",
    "RESERVATION_TOKEN",
    "RESPONSE_ORIGIN",
    "RESPONSE_PORT",
    "SOFTWARE",
    "THIRD_PARTY_AUTHORIZATION",
    "UNKNOWN_ATTRIBUTES",
    "USERHASH",
    "USERNAME",
    "USE_CANDIDATE",
    "XOR_MAPPED_ADDRESS",
    "XOR_PEER_ADDRESS",
    "XOR_RELAYED_ADDRESS",
    "AddressErrorCode",
    "Attribute",
    "ChangeRequest",
    "ErrorCode",
    "Icmp",
    "PasswordAlgorithm",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attribute(Generic[T]):
    """One kind of attribute.

    Attributes:
        code: Its number.
        name: Its name as the RFC writes it.
        encode: Turns a value and the transaction id into bytes; raises
            `ValueError` for a value that does not fit.
        decode: Turns bytes without padding and the transaction id into a
            value; raises `DecodeError` and nothing else.
    """

    code: int
    name: str
    encode: Callable[[T, bytes], bytes]
    decode: Callable[[bytes, bytes], T]

    def __str__(self) -> str:
        return self.name


KNOWN: dict[int, Attribute[Any]] = {}
"""Every attribute of this module by its number."""


def _define(code: int, name: str, pair: value.Pair[T]) -> Attribute[T]:
    encode, decode = pair
    attribute = KNOWN[code] = Attribute(code, name, encode, decode)
    return attribute


# "Fewer than 128 characters", which "can be as long as ... 763 bytes when decoding them".
_TEXT = value.text(max_bytes=763, max_characters=127)
# RFC 8489: "fewer than 509 bytes"; RFC 5389: "less than 513 bytes".
_NAME = value.text(max_bytes=512, max_characters=512)
_BYTE = value.unsigned(1, reserved=3)

# --- STUN: RFC 8489 section 14 -----------------------------------------------

MAPPED_ADDRESS = _define(0x0001, "MAPPED-ADDRESS", value.ADDRESS)
XOR_MAPPED_ADDRESS = _define(0x0020, "XOR-MAPPED-ADDRESS", value.XOR_ADDRESS)
USERNAME = _define(0x0006, "USERNAME", _NAME)
USERHASH = _define(0x001E, "USERHASH", value.opaque(32, 32))
MESSAGE_INTEGRITY = _define(0x0008, "MESSAGE-INTEGRITY", value.opaque(20, 20))
MESSAGE_INTEGRITY_SHA256 = _define(0x001C, "MESSAGE-INTEGRITY-SHA256", value.opaque(16, 32, 4))
FINGERPRINT = _define(0x8028, "FINGERPRINT", value.unsigned(4))
ERROR_CODE = _define(0x0009, "ERROR-CODE", value.ERROR_CODE)
REALM = _define(0x0014, "REALM", _TEXT)
NONCE = _define(0x0015, "NONCE", _TEXT)
PASSWORD_ALGORITHMS = _define(0x8002, "PASSWORD-ALGORITHMS", value.PASSWORD_ALGORITHMS)
PASSWORD_ALGORITHM = _define(0x001D, "PASSWORD-ALGORITHM", value.PASSWORD_ALGORITHM)
UNKNOWN_ATTRIBUTES = _define(0x000A, "UNKNOWN-ATTRIBUTES", value.CODES)
SOFTWARE = _define(0x8022, "SOFTWARE", _TEXT)
ALTERNATE_SERVER = _define(0x8023, "ALTERNATE-SERVER", value.ADDRESS)
ALTERNATE_DOMAIN = _define(
    0x8003, "ALTERNATE-DOMAIN", value.text(max_bytes=255, max_characters=255)
)

# --- TURN: RFC 8656 section 18 -----------------------------------------------

CHANNEL_NUMBER = _define(0x000C, "CHANNEL-NUMBER", value.unsigned(2, reserved=2))
LIFETIME = _define(0x000D, "LIFETIME", value.unsigned(4))
XOR_PEER_ADDRESS = _define(0x0012, "XOR-PEER-ADDRESS", value.XOR_ADDRESS)
DATA = _define(0x0013, "DATA", value.opaque())
XOR_RELAYED_ADDRESS = _define(0x0016, "XOR-RELAYED-ADDRESS", value.XOR_ADDRESS)
REQUESTED_ADDRESS_FAMILY = _define(0x0017, "REQUESTED-ADDRESS-FAMILY", _BYTE)
EVEN_PORT = _define(0x0018, "EVEN-PORT", value.RESERVE_NEXT)
REQUESTED_TRANSPORT = _define(0x0019, "REQUESTED-TRANSPORT", _BYTE)
DONT_FRAGMENT = _define(0x001A, "DONT-FRAGMENT", value.FLAG)
RESERVATION_TOKEN = _define(0x0022, "RESERVATION-TOKEN", value.opaque(8, 8))
ADDITIONAL_ADDRESS_FAMILY = _define(0x8000, "ADDITIONAL-ADDRESS-FAMILY", _BYTE)
ADDRESS_ERROR_CODE = _define(0x8001, "ADDRESS-ERROR-CODE", value.ADDRESS_ERROR_CODE)
ICMP = _define(0x8004, "ICMP", value.ICMP)

# --- Extensions of TURN ------------------------------------------------------

# RFC 6062 section 6.2.
CONNECTION_ID = _define(0x002A, "CONNECTION-ID", value.unsigned(4))
# RFC 7635 sections 6.1 and 6.2; what a token contains is for who holds its key.
ACCESS_TOKEN = _define(0x001B, "ACCESS-TOKEN", value.opaque())
THIRD_PARTY_AUTHORIZATION = _define(0x802E, "THIRD-PARTY-AUTHORIZATION", _NAME)
# RFC 8016 section 3.2.
MOBILITY_TICKET = _define(0x8030, "MOBILITY-TICKET", value.opaque())

# --- NAT behavior discovery: RFC 5780 section 7 ------------------------------

CHANGE_REQUEST = _define(0x0003, "CHANGE-REQUEST", value.CHANGE_REQUEST)
PADDING = _define(0x0026, "PADDING", value.opaque())
# "A 16-bit unsigned integer in network byte order followed by 2 bytes of padding."
RESPONSE_PORT = _define(0x0027, "RESPONSE-PORT", value.unsigned(2, reserved=2))
RESPONSE_ORIGIN = _define(0x802B, "RESPONSE-ORIGIN", value.ADDRESS)
OTHER_ADDRESS = _define(0x802C, "OTHER-ADDRESS", value.ADDRESS)

# --- ICE: RFC 8445 section 16.1 ----------------------------------------------

PRIORITY = _define(0x0024, "PRIORITY", value.unsigned(4))
USE_CANDIDATE = _define(0x0025, "USE-CANDIDATE", value.FLAG)
ICE_CONTROLLED = _define(0x8029, "ICE-CONTROLLED", value.unsigned(8))
ICE_CONTROLLING = _define(0x802A, "ICE-CONTROLLING", value.unsigned(8))
