"""Passwords: compared as digests and as scrypt hashes, and never shown."""

import base64
import hashlib

import pytest

from tornado_webrtc.plugins.rooms.password import (
    BadHashError,
    HashedPassword,
    KnownPassword,
    digest_of,
)

SALT, KEY = "A" * 22, "A" * 43
PASSWORDS = ["open sesame", "", "\u00e9", "\ud800", "x" * 60_000]


@pytest.mark.parametrize("password", PASSWORDS)
def test_known_password(password: str) -> None:
    known = KnownPassword.of(password)
    assert known.matches(password)
    assert not known.matches(f"{password}x")
    assert known.digest == digest_of(password)


@pytest.mark.parametrize("password", PASSWORDS)
def test_hashed_password(password: str) -> None:
    hashed = HashedPassword.make(password, 14)
    assert hashed.matches(password)
    assert not hashed.matches(f"{password}x")
    assert HashedPassword.parse(str(hashed)) == hashed


def test_hash_is_that_of_scrypt() -> None:
    salt = b"sodium chloride!"
    key = hashlib.scrypt(b"open sesame", salt=salt, n=2**14, r=8, p=1, dklen=32, maxmem=2**26)
    text = ":".join(base64.b64encode(each).decode().rstrip("=") for each in (salt, key))
    assert HashedPassword.parse(f"scrypt:14:{text}").matches("open sesame")


def test_each_hash_has_its_salt_and_the_usual_cost() -> None:
    first, second = HashedPassword.make("a", 14), HashedPassword.make("a", 14)
    assert first.salt != second.salt
    assert first.key != second.key
    assert str(HashedPassword.make("a")).startswith("scrypt:15:")


def test_highest_cost_has_the_memory_that_it_needs() -> None:
    assert not HashedPassword.parse(f"scrypt:17:{SALT}:{KEY}").matches("a")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "`rooms hash` prints it behind hash="),
        ("bcrypt:15:a:b", "`rooms hash` prints it behind hash="),
        (f"scrypt:15:{SALT}", "`rooms hash` prints it behind hash="),
        (f"scrypt:15:{SALT}:{KEY}:x", "`rooms hash` prints it behind hash="),
        (f"scrypt:13:{SALT}:{KEY}", "has to be 14 to 17"),
        (f"scrypt:18:{SALT}:{KEY}", "has to be 14 to 17"),
        (f"scrypt:\u0661\u0665:{SALT}:{KEY}", "has to be 14 to 17"),
        (f"scrypt:x:{SALT}:{KEY}", "has to be 14 to 17"),
        (f"scrypt:15:{SALT}A:{KEY}", "salt, its third part, has to be 16 bytes"),
        (f"scrypt:15:{SALT}:{KEY[1:]}", "key, its last part, has to be 32 bytes"),
        (f"scrypt:15:{SALT}:{'!' * 43}", "key, its last part, has to be 32 bytes"),
        (f"scrypt:15:{SALT}:\u00e9", "key, its last part, has to be 32 bytes"),
    ],
)
def test_no_hash(text: str, fault: str) -> None:
    with pytest.raises(BadHashError, match=fault):
        HashedPassword.parse(text)


def test_repr_shows_nothing() -> None:
    hashed = HashedPassword.parse(f"scrypt:15:{SALT}:{KEY}")
    assert repr(hashed) == "HashedPassword(log2_cost=15)"
    assert repr(KnownPassword.of("open sesame")) == "KnownPassword()"
