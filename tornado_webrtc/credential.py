"""Time-limited TURN credentials that any server with the same secret can check.

The format is that of draft-uberti-behave-turn-rest-00: the user name says until
when it is valid and for whom, the password is a keyed hash of it. Nothing has to
be stored, so it also works with TURN servers elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = [
    "MAX_NAME_LENGTH",
    "Credential",
    "check_name",
    "derive_key",
    "expiry_of",
    "mint",
    "password_for",
    "verify",
]

MAX_NAME_LENGTH = 128

MAX_EXPIRY_DIGITS = 12

MAX_NAME_BYTES = 508 - MAX_EXPIRY_DIGITS - len(":")
"""USERNAME is "a UTF-8-encoded sequence of fewer than 509 bytes" (RFC 8489 section 14.3)."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password for TURN.

    Attributes:
        username: ``<expiry in Unix seconds>:<name>``.
        password: Base64 of HMAC-SHA1(secret, username), padded; never shown in a repr.
        ttl_s: Seconds for which it is valid from now on.
    """

    username: str
    password: str = field(repr=False)
    ttl_s: int


def check_name(name: str) -> str | None:
    """Say what is wrong with a name that asks for a credential; None if nothing is."""
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"it is longer than {MAX_NAME_LENGTH} characters"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        return "it holds control characters"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is longer than {MAX_NAME_BYTES} bytes"
    return None


def password_for(secret: str, username: str) -> str:
    """The password that belongs to a user name (draft-uberti-behave-turn-rest-00 section 2.2)."""
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode("ascii")


def mint(secret: str, name: str, ttl_s: int, wall: float) -> Credential:
    """Make a credential.

    Args:
        secret: Shared with every server that is to accept it.
        name: Who it is for; `check_name` finds nothing wrong with it.
        ttl_s: Seconds for which it is valid.
        wall: Unix time.
    """
    username = f"{int(wall) + ttl_s}:{name}"
    return Credential(username, password_for(secret, username), ttl_s)


def expiry_of(username: str) -> int | None:
    """When a name of the form ``<expiry>:<name>`` expires, Unix seconds; None for other names."""
    expiry, colon, _ = username.partition(":")
    if colon and expiry.isascii() and expiry.isdigit() and len(expiry) <= MAX_EXPIRY_DIGITS:
        return int(expiry)
    return None


def derive_key(secret: str, purpose: str) -> bytes:
    """A key of its own for one purpose, the same on every server with the secret (RFC 5869).

    Args:
        secret: The first secret of the installation.
        purpose: What the key is for; another purpose gives an unrelated key.
    """
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())


def verify(secrets: Sequence[str], username: str, password: str, wall: float) -> str | None:
    """Check a credential against every secret, old ones included.

    Returns:
        The name behind ``<expiry>:``, or None if the credential is malformed,
        expired, or made with no secret of these.
    """
    expires_at = expiry_of(username)
    if expires_at is None:
        return None
    try:
        matches = [
            hmac.compare_digest(password_for(secret, username).encode(), password.encode())
            for secret in secrets
        ]
    except UnicodeEncodeError:  # half a surrogate pair: no UTF-8 holds one
        return None
    return username.partition(":")[2] if any(matches) and wall < expires_at else None
