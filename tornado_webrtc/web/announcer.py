"""When the list of peers goes out: at once, unless it would cost too much.

A list of N peers for N peers grows with the square of N. A first change is
announced at once; how soon the next one follows depends on what the last one
cost, and all changes in between go out as one. What takes more than a moment is sent
in turns, and everybody else is served between them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from tornado_webrtc.bucket import BucketTable
from tornado_webrtc.clock import Clock

__all__ = ["Announcer"]

BYTES_PER_S = 20_000_000
"""What may be spent on lists, per scope and on average: a list may come late, but not cost more."""

LISTS_PER_S = 1.0
LISTS_AT_ONCE = 8.0
"""How often a list goes out, however small it is: one client that changes its name without
end must not keep a crowd's phones awake."""

TURN_BYTES = 4_000_000
"""What is sent before everybody else has a turn: some milliseconds' work."""

LIST_BYTES = 16_384
"""What the shortest list counts as there: sending it takes time, too."""


class Announcer:
    """Spaces the announcements of each scope.

    Args:
        send: Sends a scope's list to one of its peers after the other, each when it is asked
            for the next bytes. What changes on the way need not be in it. If it raises,
            whoever is left gets the list with the scope's next change.
        clock: The time.
        turn_bytes: What is sent before everybody else has a turn.
    """

    def __init__(
        self,
        send: Callable[[str], Iterator[int]],
        clock: Clock,
        *,
        turn_bytes: int = TURN_BYTES,
    ) -> None:
        self._send = send
        self._clock = clock
        self._turn_bytes = turn_bytes
        self._free_at: dict[str, float] = {}
        self._spacing = BucketTable(LISTS_PER_S, LISTS_AT_ONCE)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sending: set[str] = set()
        self._outdated: set[str] = set()
        self._waiting: deque[tuple[str, Iterator[int], int]] = deque()
        self._turn: asyncio.Handle | None = None
        self._stopped = False

    def pending(self, scope: str) -> bool:
        """Whether a change of this scope has not been announced to everybody yet."""
        return scope in self._timers or scope in self._sending

    def announce(self, scope: str) -> None:
        """The list of a scope changed: it goes out at once or soon."""
        if self._stopped or scope in self._timers:
            return
        if scope in self._sending:
            self._outdated.add(scope)
            return
        now = self._clock.now()
        wait_s = self._free_at.get(scope, 0.0) - now
        if wait_s <= 0:
            wait_s = self._spacing.take(scope, now)
        if wait_s <= 0:
            self._flush(scope)
        else:
            loop = asyncio.get_running_loop()
            self._timers[scope] = loop.call_later(wait_s, self._flush, scope)

    def stop(self) -> None:
        """Announce nothing any more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._turn is not None:
            self._turn.cancel()
        self._waiting.clear()
        self._sending.clear()

    def _flush(self, scope: str) -> None:
        self._timers.pop(scope, None)
        self._sending.add(scope)
        self._go_on(scope, self._lists(scope), 0)

    def _lists(self, scope: str) -> Iterator[int]:
        """What there is to send; that asking for it fails is found out as it is sent, too."""
        yield from self._send(scope)

    def _go_on(self, scope: str, lists: Iterator[int], cost: int) -> None:
        """Send lists for a moment; the rest waits for its turn."""
        left = self._turn_bytes
        try:
            for sent in lists:
                cost += sent
                left -= max(sent, LIST_BYTES)
                if left <= 0:
                    self._waiting.append((scope, lists, cost))
                    self._ask_for_a_turn()
                    return
        finally:
            if left > 0:  # that was all, or no more can be sent
                self._finish(scope, cost)

    def _ask_for_a_turn(self) -> None:
        """One scope at a time, however many there are."""
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        try:
            self._go_on(*self._waiting.popleft())
        finally:
            if self._waiting:
                self._ask_for_a_turn()

    def _finish(self, scope: str, cost: int) -> None:
        self._sending.discard(scope)
        if cost:
            self._free_at[scope] = self._clock.now() + cost / BYTES_PER_S
        else:
            self._free_at.pop(scope, None)
        if scope in self._outdated:
            self._outdated.discard(scope)
            self.announce(scope)
