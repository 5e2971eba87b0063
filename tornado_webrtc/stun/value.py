"""What attributes contain: the types of their values, and pairs to encode and decode them.

A pair is two functions, `encode(value, transaction_id)` and
`decode(bytes, transaction_id)`; the id matters to XORed addresses only.
Encoders raise `ValueError` for what does not fit, decoders `DecodeError`.
Bits that an RFC reserves are zero when sent and ignored when received.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.address import (
    TransportAddress,
    decode_address,
    decode_xor_address,
    encode_address,
    encode_xor_address,
)

__all__ = [
    "ADDRESS",
    "ADDRESS_ERROR_CODE",
    "CHANGE_REQUEST",
    "CODES",
    "ERROR_CODE",
    "FLAG",
    "ICMP",
    "MAX_VALUE_BYTES",
    "PASSWORD_ALGORITHM",
    "PASSWORD_ALGORITHMS",
    "RESERVE_NEXT",
    "XOR_ADDRESS",
    "AddressErrorCode",
    "ChangeRequest",
    "ErrorCode",
    "Icmp",
    "Pair",
    "PasswordAlgorithm",
    "opaque",
    "text",
    "unsigned",
]

T = TypeVar("T")
Pair = tuple[Callable[[T, bytes], bytes], Callable[[bytes, bytes], T]]

MAX_VALUE_BYTES = 0xFFFF

_R_BIT = 0x80
_CHANGE_IP = 0x04
_CHANGE_PORT = 0x02
_REASON_CHARACTERS = 127
_ERROR_CLASSES = range(3, 7)
_ERROR_NUMBERS = range(100)
_ALGORITHM = struct.Struct("!HH")
_ICMP = struct.Struct("!2xHI")


class ErrorCode(NamedTuple):
    """ERROR-CODE (RFC 8489 section 14.8): 300 to 699, and a reason of at most 127 characters."""

    code: int
    reason: str = ""


class AddressErrorCode(NamedTuple):
    """ADDRESS-ERROR-CODE (RFC 8656 section 18.12): why one family was not allocated."""

    family: int
    code: int
    reason: str = ""


class PasswordAlgorithm(NamedTuple):
    """One algorithm of PASSWORD-ALGORITHM(S) (RFC 8489 sections 14.11 and 14.12)."""

    number: int
    parameters: bytes = b""


class Icmp(NamedTuple):
    """ICMP (RFC 8656 section 18.13): an error that a datagram to the peer met.

    Attributes:
        type: 0 to 127, of ICMPv4 or ICMPv6 as the peer's address.
        code: 0 to 511.
        data: The next hop's MTU if a datagram was too big, otherwise 0.
    """

    type: int
    code: int
    data: int = 0


class ChangeRequest(NamedTuple):
    """CHANGE-REQUEST (RFC 5780 section 7.2): answer from another address or port."""

    ip: bool
    port: bool


# --- pairs for any attribute -------------------------------------------------


def unsigned(size: int, reserved: int = 0) -> Pair[int]:
    """Return the pair for an unsigned number of `size` bytes, then `reserved` ignored ones."""
    limit = 1 << 8 * size

    def encode(value: int, _: bytes) -> bytes:
        if not 0 <= value < limit:
            raise ValueError(f"{value} is not between 0 and {limit - 1}")
        return value.to_bytes(size) + bytes(reserved)

    def decode(value: bytes, _: bytes) -> int:
        _check_length(value, size + reserved, size + reserved)
        return int.from_bytes(value[:size])

    return encode, decode


def opaque(least: int = 0, most: int = MAX_VALUE_BYTES, step: int = 1) -> Pair[bytes]:
    """Return the pair for bytes: `least` to `most`, a multiple of `step`."""

    def encode(value: bytes, _: bytes) -> bytes:
        if not least <= len(value) <= most or len(value) % step:
            raise ValueError(f"{len(value)} bytes do not fit")
        return value

    def decode(value: bytes, _: bytes) -> bytes:
        _check_length(value, least, most, step)
        return value

    return encode, decode


def text(max_bytes: int, max_characters: int) -> Pair[str]:
    """Return the pair for UTF-8 text."""

    def encode(value: str, _: bytes) -> bytes:
        encoded = value.encode()
        if len(value) > max_characters or len(encoded) > max_bytes:
            raise ValueError(f"{len(value)} characters, {len(encoded)} bytes: too long")
        return encoded

    def decode(value: bytes, _: bytes) -> str:
        _check_length(value, 0, max_bytes)
        try:
            decoded = value.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"not UTF-8: {error.reason}") from error
        if len(decoded) > max_characters:
            raise DecodeError(f"{len(decoded)} characters, at most {max_characters}")
        return decoded

    return encode, decode


def _check_length(value: bytes, least: int, most: int, step: int = 1) -> None:
    if not least <= len(value) <= most or len(value) % step:
        raise DecodeError(f"a value of {len(value)} bytes, not {least} to {most}")


# --- errors ------------------------------------------------------------------

_encode_reason, _decode_reason = text(6 * _REASON_CHARACTERS + 1, _REASON_CHARACTERS)


def _encode_error(family: int, code: int, reason: str) -> bytes:
    # "The Class ... value MUST be between 3 and 6. The Number ... between 0 and 99."
    error_class, number = divmod(code, 100)
    if error_class not in _ERROR_CLASSES:
        raise ValueError(f"error code {code} is not between 300 and 699")
    return bytes((family, 0, error_class, number)) + _encode_reason(reason, b"")


def _decode_error(value: bytes) -> tuple[int, str]:
    _check_length(value, 4, MAX_VALUE_BYTES)
    error_class, number = value[2] & 0x07, value[3]
    if error_class not in _ERROR_CLASSES or number not in _ERROR_NUMBERS:
        raise DecodeError(f"error class {error_class}, number {number}")
    return error_class * 100 + number, _decode_reason(value[4:], b"")


def _encode_error_code(value: ErrorCode, _: bytes) -> bytes:
    return _encode_error(0, value.code, value.reason)


def _decode_error_code(value: bytes, _: bytes) -> ErrorCode:
    return ErrorCode(*_decode_error(value))


def _encode_address_error_code(value: AddressErrorCode, _: bytes) -> bytes:
    return _encode_error(value.family, value.code, value.reason)


def _decode_address_error_code(value: bytes, _: bytes) -> AddressErrorCode:
    code, reason = _decode_error(value)
    return AddressErrorCode(value[0], code, reason)


# --- lists -------------------------------------------------------------------


def _encode_codes(value: Sequence[int], _: bytes) -> bytes:
    return b"".join(_encode_code(code, b"") for code in value)


def _decode_codes(value: bytes, _: bytes) -> Sequence[int]:
    _check_length(value, 0, MAX_VALUE_BYTES, 2)
    return tuple(int.from_bytes(value[at : at + 2]) for at in range(0, len(value), 2))


_encode_code, _ = unsigned(2)


def _encode_algorithms(value: Sequence[PasswordAlgorithm], _: bytes) -> bytes:
    return b"".join(_encode_algorithm(each, b"") for each in value)


def _decode_algorithms(value: bytes, _: bytes) -> Sequence[PasswordAlgorithm]:
    found = []
    at = 0
    while at < len(value):
        if len(value) - at < _ALGORITHM.size:
            raise DecodeError("a password algorithm is cut short")
        number, length = _ALGORITHM.unpack_from(value, at)
        at += _ALGORITHM.size
        if length > len(value) - at:
            raise DecodeError("a password algorithm's parameters are cut short")
        found.append(PasswordAlgorithm(number, value[at : at + length]))
        at += length + -length % 4
    return tuple(found)


def _encode_algorithm(value: PasswordAlgorithm, _: bytes) -> bytes:
    length = len(value.parameters)
    return (
        _encode_code(value.number, b"")
        + _encode_code(length, b"")
        + value.parameters
        + bytes(-length % 4)
    )


def _decode_algorithm(value: bytes, _: bytes) -> PasswordAlgorithm:
    found = _decode_algorithms(value, b"")
    if len(found) != 1:
        raise DecodeError(f"{len(found)} password algorithms, not one")
    return found[0]


# --- bits --------------------------------------------------------------------


def _encode_flag(value: bool, _: bytes) -> bytes:
    if not value:
        raise ValueError("a flag that is not set is left out")
    return b""


def _decode_flag(value: bytes, _: bytes) -> bool:
    _check_length(value, 0, 0)
    return True


def _encode_reserve_next(value: bool, _: bytes) -> bytes:
    return bytes((_R_BIT if value else 0,))


def _decode_reserve_next(value: bytes, _: bytes) -> bool:
    _check_length(value, 1, 1)
    return bool(value[0] & _R_BIT)


def _encode_change_request(value: ChangeRequest, _: bytes) -> bytes:
    return bytes((0, 0, 0, _CHANGE_IP * value.ip | _CHANGE_PORT * value.port))


def _decode_change_request(value: bytes, _: bytes) -> ChangeRequest:
    _check_length(value, 4, 4)
    return ChangeRequest(bool(value[3] & _CHANGE_IP), bool(value[3] & _CHANGE_PORT))


def _encode_icmp(value: Icmp, _: bytes) -> bytes:
    # Type and code share 16 bits: 7 and 9 of them.
    if not (0 <= value.type < 1 << 7 and 0 <= value.code < 1 << 9 and 0 <= value.data < 1 << 32):
        raise ValueError(f"{value} does not fit")
    return _ICMP.pack(value.type << 9 | value.code, value.data)


def _decode_icmp(value: bytes, _: bytes) -> Icmp:
    _check_length(value, _ICMP.size, _ICMP.size)
    type_and_code, data = _ICMP.unpack(value)
    return Icmp(type_and_code >> 9, type_and_code & 0x1FF, data)


# --- addresses ---------------------------------------------------------------


def _encode_plain_address(value: TransportAddress, _: bytes) -> bytes:
    return encode_address(value)


def _decode_plain_address(value: bytes, _: bytes) -> TransportAddress:
    return decode_address(value)


ADDRESS: Pair[TransportAddress] = (_encode_plain_address, _decode_plain_address)
XOR_ADDRESS: Pair[TransportAddress] = (encode_xor_address, decode_xor_address)
ERROR_CODE: Pair[ErrorCode] = (_encode_error_code, _decode_error_code)
ADDRESS_ERROR_CODE: Pair[AddressErrorCode] = (
    _encode_address_error_code,
    _decode_address_error_code,
)
CODES: Pair[Sequence[int]] = (_encode_codes, _decode_codes)
PASSWORD_ALGORITHM: Pair[PasswordAlgorithm] = (_encode_algorithm, _decode_algorithm)
PASSWORD_ALGORITHMS: Pair[Sequence[PasswordAlgorithm]] = (_encode_algorithms, _decode_algorithms)
FLAG: Pair[bool] = (_encode_flag, _decode_flag)
RESERVE_NEXT: Pair[bool] = (_encode_reserve_next, _decode_reserve_next)
CHANGE_REQUEST: Pair[ChangeRequest] = (_encode_change_request, _decode_change_request)
ICMP: Pair[Icmp] = (_encode_icmp, _decode_icmp)
