"""What the signaling library asks its caller to do, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tornado_webrtc.signaling.peer import Peer, PeerAddress
    from tornado_webrtc.signaling.session import Session

__all__ = [
    "Action",
    "Announce",
    "PeerJoined",
    "PeerLeft",
    "Send",
    "SessionAnswered",
    "SessionEnded",
    "SessionOffered",
]


@dataclass(frozen=True, slots=True)
class Send:
    """Send a text frame to a connection. Frames for one connection keep their order."""

    address: PeerAddress
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Announce:
    """The list of peers in a scope changed: send it to all of them, at once or soon.

    The frames come from `SignalingServer.announcement`, so that a caller can
    let several changes go out as one.
    """

    scope: str


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer signed in."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer is gone; its sessions ended before."""

    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class SessionOffered:
    """A call began."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionAnswered:
    """A call was answered for the first time."""

    session: Session


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A call ended; the reason is ``bye``, or why the peer left."""

    session: Session
    reason: str


Action: TypeAlias = (
    Send | Announce | PeerJoined | PeerLeft | SessionOffered | SessionAnswered | SessionEnded
)
