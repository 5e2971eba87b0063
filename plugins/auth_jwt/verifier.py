"""Checks a token: its form, its signature, its claims; in this order, and nothing before that.

PyJWT checks the signature. It is imported when a verifier is made: without it, and as
long as nobody wants tokens, the rest of the server works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from tornado_webrtc.hooks import Identity

from .claim import read_claims
from .key import Key
from .refusal import Cause, TokenError
from .settings import Settings
from .source import KeySource

__all__ = ["MissingLibraryError", "Verifier", "load_library"]

_DOTS = 2
_MAX_SHOWN = 40


class MissingLibraryError(Exception):
    """PyJWT is not installed; the message says how to get it."""


def load_library() -> Any:
    """Import PyJWT.

    Raises:
        MissingLibraryError: It is not there, or something else has its name.
    """
    try:
        library = import_module("jwt")
    except ImportError as error:
        raise MissingLibraryError(
            "PyJWT is missing; install it into the server's environment:"
            " pip install 'PyJWT[crypto]'"
        ) from error
    if not hasattr(library, "PyJWS"):
        raise MissingLibraryError(
            f"{library.__file__} is another library than PyJWT, under its name;"
            " remove that one, and pip install 'PyJWT[crypto]'"
        )
    return library


class Verifier:
    """Finds out whose a token is.

    Args:
        settings: What is allowed.
        source: Has the keys.
        wall: Unix seconds.

    Raises:
        MissingLibraryError: PyJWT is not installed.
    """

    def __init__(
        self, settings: Settings, source: KeySource, wall: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._source = source
        self._wall = wall
        self._jwt = load_library()
        self._jws = self._jwt.PyJWS(algorithms=list(settings.algorithms))

    async def identify(self, token: str) -> Identity:
        """Say whose a token is.

        Raises:
            TokenError: It is refused. Nothing else comes of any text, as long as there are
                keys.
            NoKeysError: There are none at the moment.
        """
        algorithm, kid = self._header(token)
        keys = await self._source.keys(kid)
        payload = self._payload(token, algorithm, _candidates(keys, algorithm, kid))
        return self._settings.rules.identify(read_claims(payload), self._wall())

    def _header(self, token: str) -> tuple[str, str | None]:
        """The algorithm and the key that a token names; no more of it is believed so far.

        Of the header nothing else counts: neither `jwk`, `jku` nor `x5u`, which would
        let whoever writes a token choose its key. "If any of the listed extension Header
        Parameters are not understood and supported by the recipient, then the JWS is
        invalid" (`crit`, RFC 7515 section 4.1.11).
        """
        if len(token) > self._settings.max_token_bytes:
            raise TokenError(Cause.TOO_LONG, f"{len(token)} characters")
        if not token.isascii() or token.count(".") != _DOTS:
            raise TokenError(Cause.MALFORMED, "not three parts in base64url")
        try:
            header = self._jws.get_unverified_header(token)
        except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenError(Cause.MALFORMED, type(error).__name__) from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or not isinstance(kid, str | None) or "crit" in header:
            raise TokenError(Cause.MALFORMED, "alg, kid or crit")
        if algorithm not in self._settings.algorithms:
            raise TokenError(Cause.ALGORITHM, repr(algorithm[:_MAX_SHOWN]))
        return algorithm, kid

    def _payload(self, token: str, algorithm: str, keys: Sequence[Key]) -> bytes:
        """The claims, if any of the keys made the signature."""
        for key in keys:
            try:
                opened = self._jws.decode_complete(token, key.material, algorithms=[algorithm])
            except self._jwt.InvalidSignatureError:
                continue
            except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
                raise TokenError(Cause.MALFORMED, type(error).__name__) from error
            payload: bytes = opened["payload"]
            return payload
        raise TokenError(Cause.SIGNATURE, f"{algorithm}, keys tried: {len(keys)}")


def _candidates(keys: Sequence[Key], algorithm: str, kid: str | None) -> list[Key]:
    """The keys that may have made a token's signature: of its name, or else without any name."""
    fitting = [key for key in keys if algorithm in key.algorithms]
    if kid is not None:
        named = [key for key in fitting if key.kid == kid]
        fitting = named or [key for key in fitting if key.kid is None]
    if not fitting:
        raise TokenError(Cause.UNKNOWN_KEY, f"{algorithm}, kid {(kid or '')[:_MAX_SHOWN]!r}")
    return fitting
