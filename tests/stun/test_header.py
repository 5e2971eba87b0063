"""The header: what is STUN at all, and the length field."""

import pytest

from tests.stun.vector import REQUEST
from tornado_webrtc.stun.header import COOKIE_BYTES, HEADER_BYTES, is_stun, with_length

BARE = bytes.fromhex("00010000 2112a442 000102030405060708090a0b")


def test_cookie_is_that_of_the_rfc() -> None:
    assert COOKIE_BYTES == b"\x21\x12\xa4\x42"


@pytest.mark.parametrize("first_byte", range(4))
def test_stun_begins_with_0_to_3(first_byte: int) -> None:
    assert is_stun(bytes([first_byte]) + BARE[1:])


@pytest.mark.parametrize("first_byte", [4, 16, 0x16, 0x3F, 0x40, 0x7F, 0x80, 0xFF])
def test_nothing_else_is_stun(first_byte: int) -> None:
    assert not is_stun(bytes([first_byte]) + BARE[1:])


@pytest.mark.parametrize("size", range(HEADER_BYTES))
def test_less_than_a_header_is_not_stun(size: int) -> None:
    assert not is_stun(BARE[:size])


@pytest.mark.parametrize("at", range(4, 8))
def test_message_without_the_cookie_is_not_stun(at: int) -> None:
    assert not is_stun(BARE[:at] + bytes([BARE[at] ^ 1]) + BARE[at + 1 :])


def test_length_counts_what_follows_the_header() -> None:
    assert with_length(REQUEST, 20) == REQUEST[:2] + b"\0\0" + REQUEST[4:]
    assert with_length(REQUEST, 20 + 0xFFFC) == REQUEST[:2] + b"\xff\xfc" + REQUEST[4:]
    assert with_length(REQUEST, len(REQUEST)) == REQUEST


def test_length_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a message of 65536 bytes after its header"):
        with_length(REQUEST, 20 + 0x10000)
