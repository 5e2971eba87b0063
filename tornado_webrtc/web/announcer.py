"""When the list of peers goes out: at once, unless it would cost too much.

A list of N peers for N peers grows with the square of N. A first change is
announced at once; how soon the next one follows depends on what the last one
cost, and all changes in between go out as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tornado_webrtc.bucket import BucketTable
from tornado_webrtc.clock import Clock

__all__ = ["Announcer"]

BYTES_PER_S = 20_000_000
"""What may be spent on lists, per scope and on average."""

LISTS_PER_S = 1.0
LISTS_AT_ONCE = 8.0
"""How often a list goes out, however small it is: one client that changes its name without
end must not keep a crowd's phones awake."""

MAX_DELAY_S = 5.0
"""How old the list of a very large scope may get."""


class Announcer:
    """Spaces the announcements of each scope.

    Args:
        send: Sends a scope's list to all of its peers and returns the bytes.
        clock: The time.
    """

    def __init__(self, send: Callable[[str], int], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._free_at: dict[str, float] = {}
        self._spacing = BucketTable(LISTS_PER_S, LISTS_AT_ONCE)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stopped = False

    def pending(self, scope: str) -> bool:
        """Whether a change of this scope has not been announced yet."""
        return scope in self._timers

    def announce(self, scope: str) -> None:
        """The list of a scope changed: it goes out at once or soon."""
        if self._stopped or scope in self._timers:
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

    def _flush(self, scope: str) -> None:
        self._timers.pop(scope, None)
        cost = self._send(scope)
        if cost:
            self._free_at[scope] = self._clock.now() + min(MAX_DELAY_S, cost / BYTES_PER_S)
        else:
            self._free_at.pop(scope, None)
