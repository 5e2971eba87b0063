"""The tokens that let somebody read the metrics, from a file."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from pathlib import Path

from tornado_webrtc.regularfile import exposure, read_regular_file

__all__ = ["MIN_LENGTH", "TokenFile", "TokenFileError"]

MIN_LENGTH = 16
MAX_FILE_BYTES = 65536

_MODE = 0o640
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750 section 2.1: ``b64token``."""


class TokenFileError(Exception):
    """The file cannot be used; says why, without what it holds."""


class TokenFile:
    """The tokens of one file, a line each; any of them will do, so that they can be changed.

    Args:
        path: The file.

    Attributes:
        doubt: What is careless about it, or "".

    Raises:
        TokenFileError: It cannot be read, or holds no token that can be used.
    """

    def __init__(self, path: Path) -> None:
        self._tokens = tuple(_read(path))
        self.doubt = str(exposure(path, _MODE) or "")

    def accepts(self, authorization: str) -> bool:
        """Tell whether a request's `Authorization` is one of the tokens (RFC 6750 section 2.1)."""
        scheme, _, shown = authorization.partition(" ")
        offered = shown.strip().encode("utf-8", "surrogateescape")
        found = [hmac.compare_digest(offered, token) for token in self._tokens]
        return scheme.lower() == "bearer" and any(found)


def _read(path: Path) -> Iterator[bytes]:
    try:
        content = read_regular_file(path, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "there is no such file"
        raise TokenFileError(f"{path} cannot be read: {reason}") from error
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1)]
    tokens = [(number, line) for number, line in lines if line]
    if not tokens:
        raise TokenFileError(f"{path} is empty; it has to hold a token, at best a random one")
    for number, token in tokens:
        if len(token) < MIN_LENGTH or not _TOKEN.fullmatch(token):
            raise TokenFileError(
                f"{path}, line {number}: allowed is a token of {MIN_LENGTH} or more letters,"
                " digits and . _ ~ + / -; `openssl rand -hex 32` makes one"
            )
        yield token
