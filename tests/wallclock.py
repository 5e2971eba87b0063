"""A wall clock that stands still until a test sets it, or lets it run."""

import time

from tests.wire import until
from tornado_webrtc.clock import Clock


class WallClock:
    """A clock for a server; durations are real.

    Args:
        wall: Unix seconds at which it stands.

    Attributes:
        reads: How often it was looked at.
    """

    def __init__(self, wall: float) -> None:
        self._wall = wall
        self._running_since: float | None = None
        self.reads = 0

    @property
    def clock(self) -> Clock:
        """It, as a server takes it."""
        return Clock(now=time.monotonic, wall=self._read)

    @property
    def wall(self) -> float:
        """What it shows."""
        if self._running_since is None:
            return self._wall
        return self._wall + time.monotonic() - self._running_since

    def set(self, by_s: float) -> None:
        """Set it forward, or back."""
        self._wall += by_s

    def run(self) -> None:
        """Let it go on by itself: what took its time until now took none."""
        self._running_since = time.monotonic()

    def _read(self) -> float:
        self.reads += 1
        return self.wall

    async def looked_at(self) -> None:
        """Wait until somebody has looked at it since now, and acted upon it."""
        seen = self.reads
        await until(lambda: self.reads > seen + 1)
