"""Why a token is refused: in a word for counters, in a sentence for the client, and for the log."""

from __future__ import annotations

from enum import Enum

__all__ = ["Cause", "TokenError"]


class Cause(Enum):
    """A reason; its `value` is the sentence that the client is told."""

    MISSING = "A token is needed."
    TOO_LONG = "The token is too long."
    MALFORMED = "The token is malformed."
    ALGORITHM = "The token is signed in a way that is not allowed here."
    UNKNOWN_KEY = "The key of the token is not known."
    SIGNATURE = "The signature of the token is wrong."
    EXPIRED = "The token has expired."
    NOT_YET_VALID = "The token is not valid yet."
    ISSUER = "The token is from an issuer that is not trusted here."
    AUDIENCE = "The token is not meant for this service."
    CLAIM = "A claim of the token is missing or wrong."

    @property
    def counter(self) -> str:
        """The name that it is counted under: ``refused.not-yet-valid``."""
        return f"refused.{self.name.lower().replace('_', '-')}"


class TokenError(Exception):
    """A token is refused.

    Attributes:
        cause: Why, for the client and the counters.
        detail: More of it, for the log: nothing that the token holds, but for the names of
            algorithms, keys and claims, as reprs.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(cause.value)
        self.cause = cause
        self.detail = detail
