"""How late the event loop is: whatever blocks it keeps everybody waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .histogram import Histogram

__all__ = ["INTERVAL_S", "WINDOW_S", "LoopLag"]

INTERVAL_S = 0.25
"""Seconds between two looks."""

WINDOW_S = 60.0
"""The largest lag is remembered for so many seconds, and for no more than twice as many."""


class LoopLag:
    """A timer that notes how late it was.

    Args:
        clock: Monotonic seconds.

    Attributes:
        histogram: The lags since the start, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.histogram = Histogram(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._window_since = clock()
        self._largest = [0.0, 0.0]  # of the window that is over, of the present one

    def start(self) -> None:
        """Begin; to be called in the event loop."""
        self._due = self._clock() + INTERVAL_S
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def largest(self) -> float:
        """The largest lag of the last `WINDOW_S`, or up to twice as long, in seconds.

        One that is under way counts already.
        """
        self._turn_over()
        waiting = self._clock() - self._due if self._timer is not None else 0.0
        return max(*self._largest, waiting)

    def note(self, lag_s: float) -> None:
        """Count a lag."""
        self._turn_over()
        self.histogram.observe(lag_s)
        self._largest[1] = max(self._largest[1], lag_s)

    def _look(self) -> None:
        self.note(self._clock() - self._due)
        self.start()

    def _turn_over(self) -> None:
        passed = self._clock() - self._window_since
        if passed >= WINDOW_S:
            self._largest = [self._largest[1] if passed < 2 * WINDOW_S else 0.0, 0.0]
            self._window_since += WINDOW_S * (passed // WINDOW_S)
