"""Tells the operator of refused clients, without letting them fill the log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tornado_webrtc.repeats import Repeats

__all__ = ["RefusalLog"]

MAX_NAME_LENGTH = 64


class RefusalLog:
    """Logs each cause once, then at most once a minute.

    Args:
        log: Where to.
        clock: Monotonic seconds.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._repeats = Repeats(clock)

    def tell(self, cause: str, client: str, username: str, detail: str = "") -> None:
        """Say that a client was refused.

        Args:
            cause: Always the same words for the same thing.
            client: Its address.
            username: What it calls itself; anybody may say anything. Empty if that is not known.
            detail: May differ each time.
        """
        if count := self._repeats.add(cause):
            name = f" as {username[:MAX_NAME_LENGTH]!r}" if username else ""
            more = f" ({count} refusals since this was last logged)" if count > 1 else ""
            self._log.info("%s%s was refused: %s%s%s", client, name, cause, detail, more)
