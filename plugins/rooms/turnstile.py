"""Lets one through at a time; of those that wait, who has tried least goes first."""

from __future__ import annotations

import asyncio
import bisect
import itertools

__all__ = ["Turnstile"]


class Turnstile:
    """A queue in which those who come again and again stand behind those who do not.

    Args:
        size: How many may wait; of more, who has tried most is sent away.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = False
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[bool]]] = []

    async def enter(self, tries: int, patience_s: float) -> bool:
        """Wait for one's turn; `leave` ends it.

        Args:
            tries: How often one has tried before.
            patience_s: How long one waits at most.

        Returns:
            Whether it is one's turn. If not, it took too long, or too many others wait.
        """
        if not self._taken:
            self._taken = True
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (tries, next(self._numbers), turn)
        bisect.insort(self._waiting, entry)
        if len(self._waiting) > self._size:
            self._waiting.pop()[2].set_result(False)
        try:
            await asyncio.wait({turn}, timeout=patience_s)
        except asyncio.CancelledError:
            if turn.done() and turn.result():
                self.leave()
            raise
        finally:
            if not turn.done():
                self._waiting.remove(entry)
        return turn.done() and turn.result()

    def leave(self) -> None:
        """One's turn is over: the next one's begins."""
        if self._waiting:
            self._waiting.pop(0)[2].set_result(True)
        else:
            self._taken = False
