"""The time, passed in so that nothing reads it behind one's back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Two ways to tell the time, both in seconds.

    Attributes:
        now: Monotonic; for every duration, deadline and expiry in the process.
        wall: Unix time; only for what outlives the process or is told to
            others: credentials, nonces and daily budgets.
    """

    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
