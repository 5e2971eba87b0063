"""Pairs: limits of what is encoded and decoded, reserved bits, malformed values."""

from typing import Any

import pytest

from tests.stun.vector import TRANSACTION_ID
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import value
from tornado_webrtc.stun.value import (
    AddressErrorCode,
    ChangeRequest,
    ErrorCode,
    Icmp,
    Pair,
    PasswordAlgorithm,
)

NUMBER = value.unsigned(2, reserved=2)
TOKEN = value.opaque(8, 8)
HASH = value.opaque(16, 32, 4)
WORDS = value.text(max_bytes=12, max_characters=4)

MALFORMED: list[tuple[Pair[Any], str]] = [
    (NUMBER, ""),
    (NUMBER, "0001"),
    (NUMBER, "000100"),
    (NUMBER, "0001000000"),
    (TOKEN, "00010203040506"),
    (TOKEN, "000102030405060708"),
    (HASH, "00" * 12),
    (HASH, "00" * 17),
    (HASH, "00" * 36),
    (WORDS, "61" * 5),
    (WORDS, "61" * 13),
    (WORDS, "ff"),
    (WORDS, "c3"),
    (WORDS, "eda080"),
    (value.FLAG, "00"),
    (value.RESERVE_NEXT, ""),
    (value.RESERVE_NEXT, "0000"),
    (value.CHANGE_REQUEST, "000000"),
    (value.CHANGE_REQUEST, "0000000000"),
    (value.ICMP, "00000601000000"),
    (value.ICMP, "000006010000000000"),
    (value.CODES, "00"),
    (value.CODES, "000102"),
    (value.ERROR_CODE, ""),
    (value.ERROR_CODE, "000004"),
    (value.ERROR_CODE, "00000201"),
    (value.ERROR_CODE, "00000701"),
    (value.ERROR_CODE, "00000464"),
    (value.ERROR_CODE, "00000401ff"),
    (value.ERROR_CODE, "00000401" + "61" * 128),
    (value.ADDRESS_ERROR_CODE, ""),
    (value.ADDRESS_ERROR_CODE, "020004"),
    (value.ADDRESS_ERROR_CODE, "02000801"),
    (value.PASSWORD_ALGORITHM, ""),
    (value.PASSWORD_ALGORITHM, "000100"),
    (value.PASSWORD_ALGORITHM, "00010001"),
    (value.PASSWORD_ALGORITHM, "0001000000020000"),
    (value.PASSWORD_ALGORITHMS, "0001000000"),
    (value.PASSWORD_ALGORITHMS, "0001000000020005aabbccdd"),
    (value.ADDRESS, "0001"),
    (value.XOR_ADDRESS, "0001"),
]

DO_NOT_FIT: list[tuple[Pair[Any], Any]] = [
    (NUMBER, -1),
    (NUMBER, 0x10000),
    (TOKEN, b"1234567"),
    (HASH, bytes(18)),
    (WORDS, "five "),
    (value.text(max_bytes=4, max_characters=4), "\u20ac\u20ac"),
    (WORDS, "\ud800"),
    (value.FLAG, False),
    (value.CODES, [0x10000]),
    (value.ERROR_CODE, ErrorCode(299)),
    (value.ERROR_CODE, ErrorCode(700)),
    (value.ERROR_CODE, ErrorCode(400, "x" * 128)),
    (value.ADDRESS_ERROR_CODE, AddressErrorCode(256, 440)),
    (value.PASSWORD_ALGORITHM, PasswordAlgorithm(0x10000)),
    (value.PASSWORD_ALGORITHMS, [PasswordAlgorithm(1, bytes(0x10000))]),
    (value.ICMP, Icmp(128, 0)),
    (value.ICMP, Icmp(3, 512)),
    (value.ICMP, Icmp(3, 4, 1 << 32)),
]


@pytest.mark.parametrize(("pair", "wire"), MALFORMED)
def test_malformed_value_is_refused(pair: Pair[Any], wire: str) -> None:
    _, decode = pair
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(wire), TRANSACTION_ID)


@pytest.mark.parametrize(("pair", "wrong"), DO_NOT_FIT)
def test_value_that_does_not_fit_is_the_callers_mistake(pair: Pair[Any], wrong: Any) -> None:
    encode, _ = pair
    with pytest.raises(ValueError, match=r".+"):
        encode(wrong, TRANSACTION_ID)


@pytest.mark.parametrize(
    ("pair", "wire", "expected"),
    [
        (NUMBER, "4000ffff", 0x4000),
        (value.RESERVE_NEXT, "7f", False),
        (value.RESERVE_NEXT, "ff", True),
        (value.CHANGE_REQUEST, "fffffff9", ChangeRequest(False, False)),
        (value.ERROR_CODE, "fffffc01", ErrorCode(401)),
        (value.ADDRESS_ERROR_CODE, "02fffc28", AddressErrorCode(2, 440)),
        (value.ICMP, "ffff0601000005dc", Icmp(3, 1, 1500)),
        (value.PASSWORD_ALGORITHM, "00090001aaffffff", PasswordAlgorithm(9, b"\xaa")),
    ],
)
def test_reserved_bits_and_padding_are_ignored(pair: Pair[Any], wire: str, expected: Any) -> None:
    _, decode = pair
    assert decode(bytes.fromhex(wire), TRANSACTION_ID) == expected


@pytest.mark.parametrize("size", [16, 20, 32])
def test_bytes_of_every_allowed_length_pass(size: int) -> None:
    encode, decode = HASH
    assert decode(encode(bytes(size), b""), b"") == bytes(size)


def test_text_is_limited_in_characters_and_bytes() -> None:
    encode, decode = WORDS
    euros = "\u20ac" * 4
    assert encode(euros, b"") == b"\xe2\x82\xac" * 4
    assert decode(b"\xe2\x82\xac" * 4, b"") == euros


def test_empty_lists_and_texts() -> None:
    pairs: list[tuple[Pair[Any], Any]] = [
        (value.CODES, ()),
        (value.PASSWORD_ALGORITHMS, ()),
        (WORDS, ""),
    ]
    for (encode, decode), empty in pairs:
        assert encode(empty, b"") == b""
        assert decode(b"", b"") == empty


def test_last_parameters_need_no_padding_to_be_read() -> None:
    _, decode = value.PASSWORD_ALGORITHMS
    assert decode(bytes.fromhex("00010000 00090001 aa"), b"") == (
        PasswordAlgorithm(1),
        PasswordAlgorithm(9, b"\xaa"),
    )
