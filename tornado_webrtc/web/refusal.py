"""Tells the operator who was not let in, and why, without letting them fill the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornado_webrtc.bucket import TokenBucket

if TYPE_CHECKING:
    from tornado_webrtc.web.connection import Handshake

__all__ = ["BURST", "INTERVAL_S", "RefusalLog"]

BURST = 10
"""So many refusals for the same cause are logged one after the other."""

INTERVAL_S = 6.0
"""Then there is a line for another one after so many seconds."""

MAX_CAUSES = 200
"""Plugins choose codes, and could make them of what clients send: all others are one cause."""

MAX_SHOWN = 64

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cause:
    """What may still be logged for one cause, and how often it was not logged."""

    bucket: TokenBucket
    unlogged: int = 0


class RefusalLog:
    """Logs refusals by their codes, never with what was shown: tokens and passwords.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def tell(
        self,
        code: str,
        handshake: Handshake,
        connection_id: int | None = None,
        peer_id: str | None = None,
        room: str | None = None,
    ) -> None:
        """Say that somebody was not let in.

        Args:
            code: Why.
            handshake: Where from.
            connection_id: Of which connection, if it was taken in at all.
            peer_id: Under which id; None if it has not come to that.
            room: Into which room, if the client named one.
        """
        cause = self._cause(code)
        if cause.bucket.take(self._clock()):
            cause.unlogged += 1
            return
        what = "a connection" if peer_id is None else f"the sign-in of {_shown(peer_id)}"
        into = f" into {_shown(room)}" if room else ""
        more = f"; {cause.unlogged} before it were not logged" if cause.unlogged else ""
        cause.unlogged = 0
        fields = {"code": code, "remote_ip": handshake.remote_ip, "connection_id": connection_id}
        log.info(
            "%s%s from %r was refused: %s%s",
            what,
            into,
            handshake.remote_ip,
            _shown(code),
            more,
            extra={**fields, "request_id": handshake.request_id},
        )

    def _cause(self, code: str) -> _Cause:
        key = code if code in self._causes or len(self._causes) < MAX_CAUSES else ""
        if key not in self._causes:
            self._causes[key] = _Cause(TokenBucket(1 / INTERVAL_S, BURST, self._clock()))
        return self._causes[key]


def _shown(text: str) -> str:
    """What a client chose, on one line, and not too much of it."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
