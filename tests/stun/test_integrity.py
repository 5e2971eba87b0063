"""Keys, MESSAGE-INTEGRITY and FINGERPRINT, by the RFCs' sample messages."""

import pytest

from tests.stun import vector
from tornado_webrtc.stun.attribute import (
    DATA,
    FINGERPRINT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    PasswordAlgorithm,
)
from tornado_webrtc.stun.header import with_length
from tornado_webrtc.stun.integrity import (
    MD5,
    SHA_256,
    append_fingerprint,
    append_integrity,
    compute_fingerprint,
    long_term_key,
    opaque_string,
    userhash,
    verify_integrity,
)
from tornado_webrtc.stun.message import MessageClass, Method, decode, encode

SHORT_TERM = [vector.REQUEST, vector.IPV4_RESPONSE, vector.IPV6_RESPONSE]


def long_term(algorithm: PasswordAlgorithm) -> bytes:
    return long_term_key(vector.USERNAME, vector.REALM, vector.LONG_TERM_PASSWORD, algorithm)


def without_last(message: bytes, size: int) -> bytes:
    """Return a message without its last attribute of so many bytes."""
    return with_length(message, len(message) - size)[:-size]


# --- keys --------------------------------------------------------------------


def test_key_of_the_rfc() -> None:
    key = bytes.fromhex("8493fbc53ba582fb4c044c456bdc40eb")
    assert long_term_key("user", "realm", "pass") == key
    assert long_term_key("user", "realm", "pass", MD5) == key


def test_key_by_sha256() -> None:
    assert long_term_key("user", "realm", "pass", SHA_256).hex() == (
        "07e934117abd40836e7c6329b54731b2b2d2a5f9a71f544922d75e0730d8251b"
    )


@pytest.mark.parametrize("algorithm", [PasswordAlgorithm(3), PasswordAlgorithm(1, b"x")])
def test_other_algorithms_are_the_callers_mistake(algorithm: PasswordAlgorithm) -> None:
    with pytest.raises(ValueError, match="neither MD5 nor SHA-256"):
        long_term_key("user", "realm", "pass", algorithm)


def test_userhash_of_the_rfc() -> None:
    assert userhash(vector.USERNAME, vector.REALM) == vector.USERHASH


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("", ""),
        ("pass word", "pass word"),
        ("pass\u00a0word\u3000", "pass word "),
        ("a\u0308", "\u00e4"),
        ("\u00e4", "\u00e4"),
        ("\u2168", "\u2168"),
    ],
)
def test_passwords_are_prepared(text: str, prepared: str) -> None:
    assert opaque_string(text) == prepared
    assert long_term_key("u", text, text) == long_term_key("u", prepared, prepared)


def test_username_is_taken_as_it_came() -> None:
    assert long_term_key("a\u0308", "r", "p") != long_term_key("\u00e4", "r", "p")


# --- MESSAGE-INTEGRITY -------------------------------------------------------


@pytest.mark.parametrize("raw", SHORT_TERM)
def test_short_term_samples_verify(raw: bytes) -> None:
    assert verify_integrity(decode(raw), vector.PASSWORD)
    assert not verify_integrity(decode(raw), vector.PASSWORD + b"x")


def test_long_term_sample_verifies() -> None:
    message = decode(vector.LONG_TERM_REQUEST)
    assert verify_integrity(message, long_term(MD5))
    assert not verify_integrity(message, long_term(SHA_256))
    assert not verify_integrity(message, long_term(MD5), MESSAGE_INTEGRITY_SHA256)


def test_sha256_sample_verifies() -> None:
    message = decode(vector.SHA256_REQUEST)
    assert verify_integrity(message, long_term(SHA_256), MESSAGE_INTEGRITY_SHA256)
    assert not verify_integrity(message, long_term(MD5), MESSAGE_INTEGRITY_SHA256)
    assert not verify_integrity(message, long_term(SHA_256))


@pytest.mark.parametrize("at", [1, 8, 19, 24, 54, 91, 99])
def test_one_changed_bit_is_noticed(at: int) -> None:
    raw = without_last(vector.REQUEST, 8)
    forged = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
    assert verify_integrity(decode(raw), vector.PASSWORD)
    assert not verify_integrity(decode(forged), vector.PASSWORD)


def test_samples_are_made() -> None:
    for raw in SHORT_TERM:
        bare = without_last(without_last(raw, 8), 24)
        assert append_fingerprint(append_integrity(bare, vector.PASSWORD)) == raw
    bare = without_last(vector.SHA256_REQUEST, 36)
    key = long_term(SHA_256)
    assert append_integrity(bare, key, MESSAGE_INTEGRITY_SHA256) == vector.SHA256_REQUEST


def test_both_integrities_in_one_message_verify() -> None:
    message = encode(Method.BINDING, MessageClass.REQUEST, vector.TRANSACTION_ID, key=b"k")
    message = append_integrity(message, b"k", MESSAGE_INTEGRITY_SHA256)
    decoded = decode(append_fingerprint(message))
    assert verify_integrity(decoded, b"k")
    assert verify_integrity(decoded, b"k", MESSAGE_INTEGRITY_SHA256)


def test_without_the_attribute_nothing_is_verified() -> None:
    bare = encode(Method.BINDING, MessageClass.REQUEST, vector.TRANSACTION_ID)
    assert not verify_integrity(decode(bare), b"k")
    assert not verify_integrity(decode(bare), b"k", MESSAGE_INTEGRITY_SHA256)


@pytest.mark.parametrize("size", [0, 4, 16, 19, 24])
def test_integrity_of_another_length_is_not_verified(size: int) -> None:
    key = long_term(MD5)
    bare = without_last(vector.LONG_TERM_REQUEST, 24)
    kept = (vector.LONG_TERM_REQUEST[-20:] + bytes(4))[:size]
    attribute = MESSAGE_INTEGRITY.code.to_bytes(2) + size.to_bytes(2) + kept + bytes(-size % 4)
    raw = with_length(bare + attribute, len(bare + attribute))
    assert not verify_integrity(decode(raw), key)


def test_truncated_sha256_is_not_verified() -> None:
    bare = encode(Method.BINDING, MessageClass.REQUEST, vector.TRANSACTION_ID)
    # The HMAC is that of a message of which the attribute has 16 bytes.
    whole = append_integrity(with_length(bare, 40), b"k", MESSAGE_INTEGRITY_SHA256)
    raw = with_length(whole[:20] + b"\0\x1c\0\x10" + whole[24:40], 40)
    message = decode(raw)
    assert message.get(MESSAGE_INTEGRITY_SHA256) == whole[24:40]
    assert not verify_integrity(message, b"k", MESSAGE_INTEGRITY_SHA256)


# --- FINGERPRINT -------------------------------------------------------------


@pytest.mark.parametrize("raw", SHORT_TERM)
def test_fingerprints_of_the_samples(raw: bytes) -> None:
    assert compute_fingerprint(raw[:-8]) == int.from_bytes(raw[-4:])
    assert decode(raw).get(FINGERPRINT) == compute_fingerprint(raw[:-8])


# --- sizes -------------------------------------------------------------------


def test_message_that_becomes_too_long_is_the_callers_mistake() -> None:
    longest = [(DATA, bytes(0xFFF8))]
    message = encode(Method.SEND, MessageClass.INDICATION, vector.TRANSACTION_ID, longest)
    with pytest.raises(ValueError, match="after its header"):
        append_integrity(message, b"k")
    with pytest.raises(ValueError, match="after its header"):
        append_fingerprint(message)
