"""JSON Web Key Sets (RFC 7517 section 5): the keys of one that can be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .key import Key, UnusableKeyError, check_use, key_of_jwk

__all__ = ["MAX_KEYS", "KeySet", "read_key_set"]

MAX_KEYS = 64
"""A token without `kid` is tried with every key that could be meant."""

_MAX_KID_SHOWN = 40
_MAX_SKIPPED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class KeySet:
    """What a set holds.

    Attributes:
        keys: Those that can be used; perhaps none.
        skipped: A sentence for each other one.
    """

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]

    @property
    def fault(self) -> str:
        """Why nobody gets in with it; "" if there is a key that can be used."""
        if self.keys:
            return ""
        return "; ".join(("no key of the set can be used", *self.skipped[:_MAX_SKIPPED_SHOWN]))

    def usable(self) -> tuple[Key, ...]:
        """The keys that can be used.

        Raises:
            UnusableKeyError: There is none.
        """
        if self.fault:
            raise UnusableKeyError(self.fault)
        return self.keys


def read_key_set(content: bytes, algorithms: Sequence[str]) -> KeySet:
    """Read a set.

    "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type) values
    that are not understood by them, that are missing required members, or for which values
    are out of the supported ranges."

    Args:
        content: JSON in UTF-8: an object with ``keys``, a list.
        algorithms: Those that are allowed; a key for none of them is skipped.

    Raises:
        UnusableKeyError: It is no such set.
    """
    keys: list[Key] = []
    skipped: list[str] = []
    for number, jwk in enumerate(_members(content), 1):
        try:
            key = key_of_jwk(jwk)
            check_use(key, algorithms)
            keys.append(key)
        except UnusableKeyError as error:
            skipped.append(f"key {number}{_shown_kid(jwk)}: {error}")
    return KeySet(tuple(keys), tuple(skipped))


def _members(content: bytes) -> list[object]:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnusableKeyError("it is no JSON") from error
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise UnusableKeyError("it is no key set: an object with a list called keys is wanted")
    if len(members) > MAX_KEYS:
        raise UnusableKeyError(f"it holds {len(members)} keys, more than {MAX_KEYS}")
    return members


def _shown_kid(jwk: object) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f" (kid {kid[:_MAX_KID_SHOWN]!r})" if isinstance(kid, str) else ""
