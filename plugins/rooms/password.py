"""Passwords of rooms: as text or hashed in the operator's file, as a digest in memory."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

__all__ = ["BadHashError", "HashedPassword", "KnownPassword", "Password", "digest_of"]

LOG2_COST = 15
"""Of new hashes: 32 MiB and about a tenth of a second."""

MIN_LOG2_COST = 14
MAX_LOG2_COST = 17
BLOCK_SIZE = 8
SALT_BYTES = 16
KEY_BYTES = 32

_KIND = "scrypt"
_MEMORY_BYTES = 2 * 128 * BLOCK_SIZE * 2**MAX_LOG2_COST


class BadHashError(ValueError):
    """A text is no hash of ours; the message says why, and shows nothing of it."""


def digest_of(password: str) -> bytes:
    """SHA-256; JSON can hold half a surrogate pair, which plain UTF-8 cannot."""
    return hashlib.sha256(_encoded(password)).digest()


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class KnownPassword:
    """A password of which a digest is kept: comparing takes no time.

    Attributes:
        digest: As `digest_of` makes it.
    """

    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> KnownPassword:
        """Keep a password's digest."""
        return cls(digest_of(password))

    def matches(self, password: str) -> bool:
        """Compare in a time that says nothing about the difference."""
        return hmac.compare_digest(self.digest, digest_of(password))


@dataclass(frozen=True, slots=True)
class HashedPassword:
    """A password of which only its scrypt hash (RFC 7914) is known: comparing is slow.

    As text it is ``scrypt:LOG2COST:SALT:KEY``, the last two in base64 without padding.

    Attributes:
        log2_cost: The cost parameter N is two to this power; r is 8, p is 1.
        salt: Random bytes.
        key: What scrypt makes of password and salt.
    """

    log2_cost: int
    salt: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def make(cls, password: str, log2_cost: int = LOG2_COST) -> HashedPassword:
        """Hash a password, with a salt of its own."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(log2_cost, salt, _derive(password, salt, log2_cost))

    @classmethod
    def parse(cls, text: str) -> HashedPassword:
        """Read a hash.

        Raises:
            BadHashError: It is none, or costs too much or too little.
        """
        kind, *rest = text.split(":")
        if kind != _KIND or len(rest) != 3:  # noqa: PLR2004 - cost, salt, key
            raise BadHashError("a hash is scrypt:15:SALT:KEY; `rooms hash` prints it behind hash=")
        cost, salt, key = rest
        costs = [str(each) for each in range(MIN_LOG2_COST, MAX_LOG2_COST + 1)]
        if cost not in costs:
            allowed = f"{MIN_LOG2_COST} to {MAX_LOG2_COST}"
            raise BadHashError(f"the hash's cost, its second part, has to be {allowed}")
        return cls(
            int(cost),
            _decoded(salt, SALT_BYTES, "salt, its third part,"),
            _decoded(key, KEY_BYTES, "key, its last part,"),
        )

    def __str__(self) -> str:
        parts = (base64.b64encode(each).decode().rstrip("=") for each in (self.salt, self.key))
        return ":".join((_KIND, str(self.log2_cost), *parts))

    def matches(self, password: str) -> bool:
        """Compare; takes a tenth of a second and more, so call it in a thread."""
        return hmac.compare_digest(self.key, _derive(password, self.salt, self.log2_cost))


Password = KnownPassword | HashedPassword


def _derive(password: str, salt: bytes, log2_cost: int) -> bytes:
    return hashlib.scrypt(
        _encoded(password),
        salt=salt,
        n=2**log2_cost,
        r=BLOCK_SIZE,
        p=1,
        maxmem=_MEMORY_BYTES,
        dklen=KEY_BYTES,
    )


def _decoded(text: str, length: int, what: str) -> bytes:
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != length:
        raise BadHashError(f"the hash's {what} has to be {length} bytes in base64")
    return value
