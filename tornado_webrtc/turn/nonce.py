"""Nonces that nobody has to remember (RFC 8489 section 9.2).

A nonce says when it was made, and a keyed hash binds that to the client's
address and the realm. Every server with the same key accepts it. The port is
left out: RFC 6062's data connections and RFC 8016's moved clients come from a
new one.

    [obMatJos2 + features]  time, 10 hexadecimal digits  hash, 16 characters of base64url
"""

from __future__ import annotations

import base64
import hmac
from enum import IntFlag

__all__ = ["NonceSource", "SecurityFeature"]

MIN_KEY_BYTES = 16
CLOCK_SKEW_S = 30
"""By how much the clocks of servers that share a key may differ, or a clock be set back."""

_COOKIE = "obMatJos2"
_TIME_DIGITS = 10
_HASH_BYTES = 12


class SecurityFeature(IntFlag):
    """What a nonce cookie announces; "bit 0 is the leftmost bit" of 24 (RFC 8489 section 18.1)."""

    PASSWORD_ALGORITHMS = 1 << 23
    USERNAME_ANONYMITY = 1 << 22


class NonceSource:
    """Makes and checks the nonces of one realm.

    Args:
        key: At least 16 secret bytes, the same in all servers of a fleet.
        realm: A nonce of another realm is not valid.
        lifetime_s: Seconds for which a nonce is valid.
        features: What the nonce cookie announces; None for no cookie. Whoever
            takes features out of a nonce makes it invalid.

    Raises:
        ValueError: The key is too short.
    """

    def __init__(
        self,
        key: bytes,
        realm: str,
        lifetime_s: float = 600,
        features: SecurityFeature | None = None,
    ) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes; it needs at least {MIN_KEY_BYTES}")
        self._key = key
        self._realm = realm
        self._lifetime_s = lifetime_s
        self._cookie = _nonce_cookie(features)

    def make(self, client_ip: str, wall: float) -> str:
        """Make a nonce for a client.

        Args:
            client_ip: The client's address, in canonical form.
            wall: Unix time.
        """
        return self._nonce(int(wall), client_ip)

    def check(self, nonce: str, client_ip: str, wall: float) -> bool:
        """Tell whether a nonce was made for this client, and not too long ago.

        The whole text is compared, in constant time, with the one that `make`
        would have made: no other spelling of it is valid.

        Args:
            nonce: What the client sent, whatever it is.
            client_ip: The client's address, in canonical form.
            wall: Unix time.
        """
        start = len(self._cookie)
        try:
            made_at = int(nonce[start : start + _TIME_DIGITS], 16)
        except ValueError:
            return False
        expected = self._nonce(made_at, client_ip).encode()
        if not hmac.compare_digest(expected, nonce.encode("utf-8", "surrogatepass")):
            return False
        return made_at - CLOCK_SKEW_S <= wall < made_at + self._lifetime_s

    def _nonce(self, made_at: int, client_ip: str) -> str:
        said = f"{self._cookie}{made_at:0{_TIME_DIGITS}x}"
        # Neither of the first two holds a line feed, so that nothing can be read in two ways.
        text = f"{said}\n{client_ip}\n{self._realm}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._key, text, "sha256")[:_HASH_BYTES]
        return said + base64.urlsafe_b64encode(digest).decode("ascii")


def _nonce_cookie(features: SecurityFeature | None) -> str:
    """`obMatJos2` and "the base64 encoding of the 24-bit STUN Security Features"."""
    if features is None:
        return ""
    return _COOKIE + base64.b64encode(features.to_bytes(3, "big")).decode("ascii")
