"""Ends connections whose clients ask, and then take nothing of the answer.

Each holds its socket, and often an open file, as long as it is there: without an
end, anybody could use up all that the process may open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from tornado.iostream import IOStream

__all__ = ["StallWatch"]

log = logging.getLogger("tornado_webrtc.web")

STALL_S = 30.0
"""Seconds in which a client has to take something of what it is sent."""

CHECK_S = 5.0


class StallWatch:
    """Looks at streams every few seconds.

    Args:
        streams: Those on which an answer may be under way.
    """

    def __init__(self, streams: Callable[[], Iterable[IOStream]]) -> None:
        self._streams = streams
        self._seen: WeakKeyDictionary[IOStream, tuple[int, float]] = WeakKeyDictionary()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; to be called in the event loop."""
        self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def check(self, now: float) -> None:
        """Close the streams that have not moved for too long.

        Args:
            now: Monotonic seconds.
        """
        seen: WeakKeyDictionary[IOStream, tuple[int, float]] = WeakKeyDictionary()
        for stream in tuple(self._streams()):
            if stream.closed() or not stream.writing():
                continue
            written = stream._total_write_done_index
            before, since = self._seen.get(stream, (-1, now))
            seen[stream] = written, (since if written == before else now)
            if now - seen[stream][1] >= STALL_S:
                log.debug("a client takes nothing of its answer; its connection is closed")
                stream.close()
        self._seen = seen

    def _look(self) -> None:
        self.check(asyncio.get_running_loop().time())
        self.start()
