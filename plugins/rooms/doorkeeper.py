"""Judges passwords: how often one may be tried, and slow ones on a thread of their own."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from .guess import GuessLimit
from .password import HashedPassword, Password, digest_of
from .turnstile import Turnstile

__all__ = ["MAX_WAITING", "PATIENCE_S", "Doorkeeper", "Verdict"]

MAX_WAITING = 8
"""Passwords that are hashed, or wait for it; one of a client that guesses less takes a place."""

PATIENCE_S = 3.0
"""How long one waits at most; a hook has five seconds for its answer."""


class Verdict(Enum):
    """What is said of a password."""

    RIGHT = "right"
    WRONG = "wrong"
    EXHAUSTED = "too many wrong ones were tried"
    BUSY = "too many wait to be judged"


class Doorkeeper:
    """Compares passwords with those of rooms.

    Hashes are compared one at a time, on one thread, so that guesses cost the server no
    more than one core. Many who guess do not keep out who does not: of those that wait, the
    client with the fewest guesses comes first, waiting ones included. A guess counts before
    it is hashed: its client may hang up meanwhile, and could otherwise let the server hash
    without end. The digest of the password that was right is kept: whoever has it need not
    wait again, however many others guess.

    Args:
        clock: Monotonic seconds.
        limit: Wrong passwords from one client in a minute; 0 for no limit.

    Attributes:
        guesses: Counts wrong ones.
    """

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self.guesses = GuessLimit(limit)
        self._clock = clock
        self._known: dict[HashedPassword, bytes] = {}
        self._turnstile = Turnstile(MAX_WAITING - 1)
        self._waiting: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, "rooms")

    async def close(self) -> None:
        """End the thread."""
        await asyncio.to_thread(self._thread.shutdown)

    def keep_only(self, current: Collection[Password | None]) -> None:
        """Forget which passwords were right, but for those that still are.

        Args:
            current: The passwords of all rooms as they are now.
        """
        self._known = {each: known for each, known in self._known.items() if each in current}

    async def judge(self, expected: Password, password: str, client: str) -> Verdict:
        """Compare a password, unless its client has tried too many.

        Args:
            expected: The room's.
            password: What the client says.
            client: Whose guesses count together: an address or network.
        """
        if self.guesses.exhausted(client, self._clock()):
            return Verdict.EXHAUSTED
        if isinstance(expected, HashedPassword):
            known = self._is_known(expected, password)
            return Verdict.RIGHT if known else await self._in_turn(expected, password, client)
        if expected.matches(password):
            return Verdict.RIGHT
        self.guesses.add(client, self._clock())
        return Verdict.WRONG

    async def _in_turn(self, expected: HashedPassword, password: str, client: str) -> Verdict:
        """Wait until no other password is hashed, but not for long."""
        if not await self._is_admitted(client):
            return Verdict.BUSY
        try:
            return await self._hashed(expected, password, client)
        finally:
            self._turnstile.leave()

    async def _is_admitted(self, client: str) -> bool:
        tries = self.guesses.count(client, self._clock()) + self._waiting[client]
        self._waiting[client] += 1
        try:
            return await self._turnstile.enter(tries, PATIENCE_S)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    async def _hashed(self, expected: HashedPassword, password: str, client: str) -> Verdict:
        now = self._clock()
        if self.guesses.exhausted(client, now):
            return Verdict.EXHAUSTED
        if self._is_known(expected, password):  # others with the same one may have waited, too
            return Verdict.RIGHT
        self.guesses.add(client, now)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._thread, expected.matches, password):
            return Verdict.WRONG
        self.guesses.forgive(client)
        self._known[expected] = digest_of(password)
        return Verdict.RIGHT

    def _is_known(self, expected: HashedPassword, password: str) -> bool:
        return hmac.compare_digest(self._known.get(expected, b""), digest_of(password))
