"""What waits to be sent on one connection: in order, bounded, one write in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Outbox"]


class Outbox:
    """Frames for a reader that may be slow.

    A frame is handed to `write` when the one before it has left; what waits is
    counted in bytes. Too many bytes drop everything that waits and call
    `on_overflow` once; from then on nothing is taken any more.

    Args:
        write: Starts a write; its future ends when the bytes have left this
            process, with an exception when the connection is gone.
        limit_bytes: What may wait at most; 0 for no limit.
        on_overflow: Called when that is exceeded.
    """

    def __init__(
        self,
        write: Callable[[bytes], asyncio.Future[None]],
        limit_bytes: int,
        on_overflow: Callable[[], None],
    ) -> None:
        self._write = write
        self._limit = limit_bytes
        self._on_overflow = on_overflow
        self._waiting: deque[list[bytes]] = deque()
        self._list: list[bytes] | None = None
        self._bytes = 0
        self._in_flight = False
        self._closed = False
        self._on_empty: Callable[[], None] | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait behind the write in flight."""
        return self._bytes

    def set_limit(self, limit_bytes: int) -> None:
        """Let more or less wait from the next frame on."""
        self._limit = limit_bytes

    def put(self, frame: bytes) -> None:
        """Send a frame after all that were put before."""
        if self._closed:
            return
        if not self._in_flight:
            self._start(frame)
            return
        self._waiting.append([frame])
        self._grow(len(frame))

    def put_list(self, frame: bytes) -> None:
        """Send a list of peers; one that still waits is replaced where it stands."""
        if self._list is None or self._closed:
            self.put(frame)
            if self._waiting and self._waiting[-1][0] is frame:
                self._list = self._waiting[-1]
            return
        change = len(frame) - len(self._list[0])
        self._list[0] = frame
        self._grow(change)

    def finish(self, on_empty: Callable[[], None]) -> None:
        """Take nothing more and call back when all has left."""
        if self._closed:
            return
        self._closed = True
        self._on_empty = on_empty
        if not self._in_flight:
            on_empty()

    def discard(self) -> None:
        """Take nothing more and forget what waits."""
        self._closed = True
        self._on_empty = None
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._list = None
        self._bytes = 0

    def _grow(self, change: int) -> None:
        self._bytes += change
        if self._limit and self._bytes > self._limit:
            self.discard()
            self._on_overflow()

    def _start(self, frame: bytes) -> None:
        self._in_flight = True
        self._write(frame).add_done_callback(self._written)

    def _written(self, write: asyncio.Future[None]) -> None:
        self._in_flight = False
        if write.cancelled() or write.exception() is not None:
            self.discard()
        elif self._waiting:
            entry = self._waiting.popleft()
            if entry is self._list:
                self._list = None
            self._bytes -= len(entry[0])
            self._start(entry[0])
        elif self._on_empty is not None:
            self._on_empty()
