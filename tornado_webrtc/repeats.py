"""What can happen ten thousand times a second is logged once, then once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

__all__ = ["REPEAT_S", "Repeats"]

REPEAT_S = 60.0
"""The same thing is logged again after this time at the earliest."""


class Repeats:
    """Counts what is not logged.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def add(self, key: Hashable) -> int:
        """Count that something happened.

        Args:
            key: What it was. Every key is remembered: it must not hold what clients send.

        Returns:
            0 if it was logged less than a minute ago; otherwise it is to be
            logged, and this is how often it happened since the last time.
        """
        now = self._clock()
        logged_at, unlogged = self._seen.get(key, (-REPEAT_S, 0))
        if now - logged_at < REPEAT_S and key in self._seen:
            self._seen[key] = logged_at, unlogged + 1
            return 0
        self._seen[key] = now, 0
        return unlogged + 1
