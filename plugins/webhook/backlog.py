"""Events that wait to be sent: never more than so many, the oldest give way."""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque

from .event import Event

__all__ = ["Backlog"]


class Backlog:
    """Events in the order in which they happened.

    Who takes one out says when it is done with it: until then no other of the same key
    is given out, so that what happens to one peer or call is told in order. However many
    wait, each step takes about as long.

    Args:
        limit: How many may wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._numbers = itertools.count()
        self._waiting: OrderedDict[int, Event] = OrderedDict()
        self._next: list[int] = []  # a heap: the first of each key that is not busy
        self._behind: dict[str, deque[int]] = {}  # those of a key behind its first, or busy, one
        self._leading: set[str] = set()  # keys that have a first or a busy one
        self._busy: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether none waits and none is being sent."""
        return not self._waiting and not self._busy

    @property
    def busy(self) -> int:
        """How many are being sent."""
        return len(self._busy)

    def put(self, event: Event) -> int:
        """Let an event wait.

        Returns:
            How many older ones had to give way.
        """
        number = next(self._numbers)
        self._waiting[number] = event
        if event.key in self._leading:
            self._behind.setdefault(event.key, deque()).append(number)
        else:
            self._leading.add(event.key)
            heapq.heappush(self._next, number)
        return self.trim()

    def trim(self) -> int:
        """Drop the oldest that are too many; returns how many."""
        dropped = max(0, len(self._waiting) - self.limit)
        for _ in range(dropped):
            number, event = self._waiting.popitem(last=False)
            if self._next and self._next[0] == number:
                heapq.heappop(self._next)
                self._advance(event.key)
            else:  # behind one that is being sent
                self._pop_behind(event.key)
        return dropped

    def take(self) -> Event | None:
        """The first one that may be sent now, if any."""
        if not self._next:
            return None
        event = self._waiting.pop(heapq.heappop(self._next))
        self._busy.add(event.key)
        return event

    def finish(self, event: Event) -> None:
        """It has been sent, or never will be."""
        self._busy.discard(event.key)
        self._advance(event.key)

    def clear(self) -> int:
        """Drop all that wait; returns how many."""
        dropped = len(self._waiting)
        for each in (self._waiting, self._next, self._behind):
            each.clear()
        self._leading = set(self._busy)
        return dropped

    def _advance(self, key: str) -> None:
        """The first one of a key is gone: another takes its place."""
        if key in self._behind:
            heapq.heappush(self._next, self._pop_behind(key))
        else:
            self._leading.discard(key)

    def _pop_behind(self, key: str) -> int:
        line = self._behind[key]
        number = line.popleft()
        if not line:
            del self._behind[key]
        return number
