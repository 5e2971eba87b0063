"""Counts streams without an allocation: anybody may open them, so there is a limit."""

from __future__ import annotations

from collections import Counter

__all__ = ["MAX_STRANGERS", "MAX_STRANGERS_PER_CLIENT", "Strangers"]

MAX_STRANGERS_PER_CLIENT = 64
"""Streams without an allocation of one IPv4 address or IPv6 /64."""

MAX_STRANGERS = 1024
"""Of all clients together."""


class Strangers:
    """How many streams have no allocation, by client prefix."""

    def __init__(self) -> None:
        self._by_prefix: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._by_prefix.total()

    def has_room(self, prefix: str) -> bool:
        """Whether one more may come from there."""
        return self._by_prefix[prefix] < MAX_STRANGERS_PER_CLIENT and len(self) < MAX_STRANGERS

    def add(self, prefix: str) -> None:
        """Count one more; above the limit too, since an allocation may end before its stream."""
        self._by_prefix[prefix] += 1

    def remove(self, prefix: str) -> None:
        """Count one less: it got an allocation, or ended."""
        self._by_prefix[prefix] -= 1
        if not self._by_prefix[prefix]:
            del self._by_prefix[prefix]
