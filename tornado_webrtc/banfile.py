"""The bans on disk: `bans.json` in the state directory, so that a restart keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from tornado_webrtc.ban import Ban, BanList, encode
from tornado_webrtc.errors import StateError
from tornado_webrtc.state import StateDir

__all__ = ["BANS_FILE", "BanFile"]

log = logging.getLogger("tornado_webrtc.ban")

BANS_FILE = "bans.json"

INTERVAL_S = 1.0
"""How soon the list is written again, unless somebody waits for it."""

RETRY_S = 10.0
"""How soon it is tried again to write what could not be written: the disk was full."""

SETTLE_S = 5.0
"""How long somebody waits for the disk."""


class BanFile:
    """Writes a list of bans whenever it has changed.

    Between `open` and `close` a thread writes, one list after the other; a list that
    is changed again within a second is written once. Before and after that, whoever
    changes it writes it.

    Args:
        state: Where the file is.
        wall: Unix seconds.

    Attributes:
        bans: The list; that of the last run at first.

    Raises:
        StateError: What was kept cannot be read.
    """

    def __init__(self, state: StateDir, wall: Callable[[], float]) -> None:
        self._state = state
        self.bans = BanList(wall, self._changed, state.load(BANS_FILE))
        self._version = 0  # of the list: how often it has changed
        self._tried = 0
        self._written = 0
        self._failed = False
        self._is_open = False
        self._hurry = asyncio.Event()
        self._tick = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Write in the background from now on; to be called in the event loop.

        What a process that was killed has left half-written is removed.
        """
        self._state.remove_drafts(BANS_FILE)
        self._is_open = True
        if not self.bans.stored:
            self._begin()

    async def close(self) -> None:
        """Write what has not been written."""
        self._is_open = False
        self._hurry.set()
        if self._writer is not None:
            await self._writer
        if not self.bans.stored:
            await self._attempt()

    async def settle(self, timeout_s: float = SETTLE_S) -> bool:
        """Have the list written now, and wait for it.

        Returns:
            Whether a restart would keep it as it is now.
        """
        version = self._version
        if self._tried < version:
            self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._tried < version and self._writer is not None:
                    await self._tick.wait()
        return self._written >= version

    def retry(self) -> None:
        """Try at once to write what could not be written."""
        if self._failed:
            self._hurry.set()

    def _changed(self) -> None:
        self._version += 1
        if self._is_open:
            self._begin()
        else:
            self._note(self._version, self._store(self.bans))

    def _begin(self) -> None:
        if self._writer is None:
            self._hurry.clear()
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """Write until nothing has changed for a while."""
        try:
            while self._written != self._version:
                done = await self._attempt()
                if not self._is_open:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL_S if done else RETRY_S):
                        await self._hurry.wait()
                self._hurry.clear()
        finally:
            self._writer = None

    async def _attempt(self) -> bool:
        version, bans = self._version, tuple(self.bans)
        error = await asyncio.to_thread(self._store, bans)
        self._note(version, error)
        return error is None

    def _store(self, bans: Iterable[Ban]) -> StateError | None:
        try:
            self._state.store(BANS_FILE, encode(bans))
        except StateError as error:
            return error
        return None

    def _note(self, version: int, error: StateError | None) -> None:
        self._tried = version
        if error is None:
            self._written = version
            if self._failed:
                log.info("the bans are stored: a restart will not lose them any more")
        elif not self._failed:
            log.error("a restart will lose changes of the bans: %s", error)
        self._failed = error is not None
        self.bans.stored = self._written == self._version
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()
