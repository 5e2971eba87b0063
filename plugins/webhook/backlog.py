"""Events that wait to be sent: never more than so many, the oldest give way."""

from __future__ import annotations

from collections import deque

from .event import Event

__all__ = ["Backlog"]


class Backlog:
    """Events in the order in which they happened.

    Who takes one out says when it is done with it: until then no other of the same key
    is given out, so that what happens to one peer or call is told in order.

    Args:
        limit: How many may wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: deque[Event] = deque()
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
        self._waiting.append(event)
        return self.trim()

    def trim(self) -> int:
        """Drop the oldest that are too many; returns how many."""
        dropped = max(0, len(self._waiting) - self.limit)
        for _ in range(dropped):
            self._waiting.popleft()
        return dropped

    def take(self) -> Event | None:
        """The first one that may be sent now, if any."""
        for index, event in enumerate(self._waiting):
            if event.key not in self._busy:
                del self._waiting[index]
                self._busy.add(event.key)
                return event
        return None

    def finish(self, event: Event) -> None:
        """It has been sent, or never will be."""
        self._busy.discard(event.key)

    def clear(self) -> int:
        """Drop all that wait; returns how many."""
        dropped = len(self._waiting)
        self._waiting.clear()
        return dropped
