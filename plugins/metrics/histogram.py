"""A histogram: how many of what was measured were no larger than each bound."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

__all__ = ["Histogram"]


class Histogram:
    """Counts what was measured.

    Args:
        *bounds: The upper bounds of the buckets, growing; beyond the last one there is
            another bucket.

    Attributes:
        total: The sum of all that was measured.
    """

    def __init__(self, *bounds: float) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value; a clock that steps back makes no negative ones."""
        value = max(0.0, value)
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Pairs of upper bound, as Prometheus writes it, and the count up to there."""
        bounds = (*map(repr, map(float, self._bounds)), "+Inf")
        return list(zip(bounds, accumulate(self._counts), strict=True))
