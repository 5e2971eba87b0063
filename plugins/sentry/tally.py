"""Counts what became of what was to be reported, and logs losses once a minute.

A line says that there are some, not how many: the first of a thousand is the one that is logged.
"""

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

    def add(self, name: str) -> None:
        """Count something; what is counted only grows."""
        with self._lock:
            self._counts[name] += 1

    def dropped(self, what: str) -> None:
        """Count what is not reported because there is too much of it."""
        self.add("dropped")
        if self._is_news("dropped"):
            text = "too much to report; tornado-webrtc status counts the %s that are dropped"
            self.log.warning(text, what)

    def lost(self, reason: str, *, quiet: bool = False) -> None:
        """Count what was sent and did not arrive; without a line in the log if it is quiet."""
        self.add("lost")
        if not quiet and self._is_news("lost"):
            text = "Sentry did not take an event: %s; tornado-webrtc status counts what is lost"
            self.log.warning(text, reason)

    def counts(self) -> dict[str, int]:
        """How often what happened."""
        with self._lock:
            return dict(self._counts)

    def _is_news(self, key: str) -> bool:
        with self._lock:
            return self._repeats.add(key) > 0
