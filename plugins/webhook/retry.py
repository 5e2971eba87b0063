"""When to try again: ever later, not all at the same moment, and when the receiver says so."""

from __future__ import annotations

import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime

__all__ = ["FIRST_S", "LONGEST_S", "MAX_RETRY_AFTER_S", "Backoff", "retry_after"]

FIRST_S = 1.0
LONGEST_S = 60.0

MAX_RETRY_AFTER_S = 600.0
"""No receiver silences the server for longer than this."""


class Backoff:
    """The pause after failures of one receiver, whichever event it was that failed.

    Args:
        first_s: The pause after the first failure, at most; it doubles.
        longest_s: The longest pause.
        chance: A number from 0 to 1, another one each time.

    Attributes:
        failures: How many there were in a row.
        until: Monotonic seconds before which nothing is to be sent.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance
        self._failed_at = 0.0
        self.failures = 0
        self.until = 0.0

    def failed(self, began_at: float, now: float, asked_s: float = 0.0) -> None:
        """An attempt failed.

        Args:
            began_at: When it began; several that were under way together count as one.
            now: Monotonic seconds.
            asked_s: How long the receiver wants to be left alone.
        """
        if began_at >= self.until or not self.failures:
            self.failures += 1
        longest = min(self._longest_s, self._first_s * 2 ** min(self.failures - 1, 16))
        pause = longest * (0.5 + 0.5 * self._chance())
        self.until = max(self.until, now + max(pause, asked_s))
        self._failed_at = now

    def succeeded(self, began_at: float) -> bool:
        """An attempt went well.

        Args:
            began_at: When it began; if another one failed since, that is the news.

        Returns:
            Whether it is the news.
        """
        if began_at < self._failed_at:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Begin anew, without a pause."""
        self.failures, self.until = 0, 0.0


def retry_after(text: str, wall: float) -> float:
    """Read a ``Retry-After`` (RFC 9110 section 10.2.3): seconds, or a date.

    Args:
        text: What the header says; may be anything.
        wall: Unix seconds.

    Returns:
        Seconds, at most `MAX_RETRY_AFTER_S`; 0 if it says nothing of use.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - wall
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)
