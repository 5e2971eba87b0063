"""Key sets: the keys that can be used, and why the others cannot."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.auth_jwt.issuer import SECRET, encoded, jwk, key_set
from tornado_webrtc.plugins.auth_jwt.jwks import MAX_KEYS, read_key_set
from tornado_webrtc.plugins.auth_jwt.key import UnusableKeyError

ALGORITHMS = ["RS256", "ES256"]


def test_usable_keys_are_taken_and_the_others_named() -> None:
    content = key_set(
        jwk("RSA", "a"),
        jwk("P-256", "b", use="enc"),
        {"kty": "oct", "kid": "c", "k": encoded(SECRET.encode())},
        {"kty": "AKP", "kid": "d" * 100, "pub": "AQAB"},
        jwk("P-256", "e"),
        jwk("Ed25519", "f"),
        jwk("RSA-1024"),
    )
    found = read_key_set(content, ALGORITHMS)
    assert [key.kid for key in found.keys] == ["a", "e"]
    assert found.skipped == (
        "key 2 (kid 'b'): its use is not sig",
        "key 3 (kid 'c'): it is secret and should never have been published",
        f"key 4 (kid '{'d' * 40}'): its kty or crv is not known",
        "key 6 (kid 'f'): it is for EdDSA, and algorithms has none of them",
        "key 7: it is an RSA key of 1024 bits; allowed are 2048 to 8192",
    )
    assert SECRET not in str(found)


def test_order_is_kept_and_byte_order_mark_is_no_fault() -> None:
    keys = [jwk("RSA", "z"), jwk("P-256"), jwk("RSA", "a", 1)]
    found = read_key_set(b"\xef\xbb\xbf" + key_set(*keys), ALGORITHMS)
    assert [key.kid for key in found.keys] == ["z", None, "a"]
    assert found.skipped == ()


BAD = [
    (b"", "it is no JSON"),
    (b"\xff", "it is no JSON"),
    (b"<html>", "it is no JSON"),
    (b"[" * 100_000, "it is no JSON"),
    (b"[]", "it is no key set"),
    (b"null", "it is no key set"),
    (b'{"keys": {}}', "it is no key set"),
    (json.dumps(jwk("RSA")).encode(), "it is no key set"),
    (key_set(*[{}] * (MAX_KEYS + 1)), "it holds 65 keys, more than 64"),
]


@pytest.mark.parametrize(("content", "reason"), BAD, ids=range(len(BAD)))
def test_bad_sets(content: bytes, reason: str) -> None:
    with pytest.raises(UnusableKeyError) as error:
        read_key_set(content, ALGORITHMS)
    assert str(error.value).startswith(reason)


NONE = [
    (b'{"keys": []}', ""),
    (b'{"keys": [1, {}]}', "; key 1: it is no object; key 2: its kty or crv is not known"),
    (key_set(jwk("P-384")), "; key 1: it is for ES384, and algorithms has none of them"),
]


@pytest.mark.parametrize(("content", "reason"), NONE, ids=range(len(NONE)))
def test_set_without_a_key_that_can_be_used_is_one(content: bytes, reason: str) -> None:
    found = read_key_set(content, ALGORITHMS)
    assert (found.keys, found.fault) == ((), f"no key of the set can be used{reason}")
    with pytest.raises(UnusableKeyError) as error:
        found.usable()
    assert str(error.value) == found.fault


def test_set_with_a_key_that_can_be_used_has_no_fault() -> None:
    found = read_key_set(key_set(jwk("P-256"), jwk("P-384")), ALGORITHMS)
    assert (found.fault, found.usable()) == ("", found.keys)
    assert len(found.keys) == 1


def test_message_stays_short() -> None:
    found = read_key_set(key_set(*[jwk("RSA-1024", "k" * 1000)] * MAX_KEYS), ALGORITHMS)
    assert 0 < len(found.fault) < 1000


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.integers()).map(json.dumps).map(str.encode)
)
def test_whatever_comes_is_a_set_or_unusable(content: bytes) -> None:
    with pytest.raises(UnusableKeyError):
        read_key_set(content, ALGORITHMS)
