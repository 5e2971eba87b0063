"""Calls: a session between two peers, from its offer to its end, and a while after.

States:

    offered ──answer──> answered ──┐
       └──────bye, leave───────────┴──> ended (remembered for 30 s)

A session is known by its id *and* its two legs. Two other peers may use the
same id, as far as the server is concerned; what it never allows is that one
peer has two live sessions of one id, because the clients keep theirs by id
alone and would take the one for the other.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado_webrtc.signaling.peer import Peer

__all__ = ["Session", "SessionState", "SessionTable"]

REMEMBERED_S = 30.0
"""How long an ended session's late candidates are known for what they are."""

MAX_REMEMBERED = 65536
"""Ends of ended calls remembered at once; beyond it the oldest are forgotten."""


class SessionState(enum.Enum):
    """Where a call stands."""

    OFFERED = "offered"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class Session:
    """A call between two peers of one scope. Times are monotonic seconds.

    Attributes:
        id: The `session_id` that the clients use.
        caller: The peer whose offer began it.
        callee: The other one.
        state: Where it stands.
        offered_at: When the first offer came.
        answered_at: When the first answer came, if one did.
        ended_at: When it ended, if it did.
    """

    id: str
    caller: Peer
    callee: Peer
    state: SessionState
    offered_at: float
    answered_at: float | None = None
    ended_at: float | None = None

    def other(self, leg: Peer) -> Peer:
        """The leg that is not `leg`."""
        return self.callee if leg is self.caller else self.caller


_Leg = tuple[str, str, str]
"""Scope, session id and peer id: one end of a call."""


class SessionTable:
    """All live sessions, and the ended ones for a while.

    A peer's live sessions stand in the peer itself, by id; this table keeps
    both ends and the memory of ended sessions in step.
    """

    def __init__(self) -> None:
        self._live: dict[Session, None] = {}
        self._ended: OrderedDict[_Leg, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._live))

    def offer(self, session_id: str, caller: Peer, callee: Peer, now: float) -> Session:
        """Begin a session. Neither leg may have a live one of that id."""
        session = Session(session_id, caller, callee, SessionState.OFFERED, now)
        for leg in (caller, callee):
            leg.sessions[session_id] = session
            self._ended.pop(_leg(session_id, leg), None)
        self._live[session] = None
        return session

    def answer(self, session: Session, now: float) -> bool:
        """Mark a session answered; False if it already was."""
        if session.state is not SessionState.OFFERED:
            return False
        session.state = SessionState.ANSWERED
        session.answered_at = now
        return True

    def end(self, session: Session, now: float) -> None:
        """End a live session and remember it."""
        session.state = SessionState.ENDED
        session.ended_at = now
        del self._live[session]
        for leg in (session.caller, session.callee):
            del leg.sessions[session.id]
        self.remember(session.id, session.caller, session.callee, now)

    def remember(self, session_id: str, one: Peer, other: Peer, now: float) -> None:
        """Remember for a while that the call `session_id` of two peers has ended."""
        for leg, opposite in ((one, other), (other, one)):
            key = _leg(session_id, leg)
            self._ended[key] = (opposite.id, now + REMEMBERED_S)
            self._ended.move_to_end(key)
        self.forget(now)

    def ended_with(self, session_id: str, peer: Peer, now: float) -> str | None:
        """Who the other leg was, if the peer's call `session_id` ended a short while ago."""
        other_id, expires_at = self._ended.get(_leg(session_id, peer), ("", now))
        return other_id if now < expires_at else None

    def forget(self, now: float) -> None:
        """Drop what need not be remembered any longer."""
        ended = self._ended
        while ended:
            _, expires_at = next(iter(ended.values()))
            if now < expires_at and len(ended) <= MAX_REMEMBERED:
                return
            ended.popitem(last=False)

    @property
    def remembered(self) -> int:
        """How many ends of ended calls are remembered."""
        return len(self._ended)


def _leg(session_id: str, peer: Peer) -> _Leg:
    return (peer.scope, session_id, peer.id)
