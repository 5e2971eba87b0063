"""Counts what became of what was to be reported, and logs losses once a minute."""

from __future__ import annotations

import logging
import threading
from collections import Counter

from tornado_webrtc.repeats import Repeats

__all__ = ["Tally"]


class Tally:
    """Counts events, from whatever thread.

    Args:
        log: The plugin's logger.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.log = log
        self._lock = threading.Lock()
        self._repeats = Repeats()
        self._counts: Counter[str] = Counter(sent=0, dropped=0, lost=0)

    def add(self, name: str, count: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += count

    def dropped(self, what: str) -> None:
        """Count what is not reported because there is too much of it."""
        self.add("dropped")
        if count := self._repeated("dropped"):
            self.log.warning("too much to report: %s, %d in all since the last minute", what, count)

    def lost(self, reason: str, *, quiet: bool = False) -> None:
        """Count what did not reach Sentry; without a line in the log if it is quiet."""
        self.add("sent", -1)
        self.add("lost")
        if not quiet and (count := self._repeated("lost")):
            self.log.warning("Sentry did not take %d events: %s", count, reason)

    def counts(self) -> dict[str, int]:
        """How often what happened."""
        with self._lock:
            return dict(self._counts)

    def _repeated(self, key: str) -> int:
        with self._lock:
            return self._repeats.add(key)
