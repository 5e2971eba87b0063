"""The events: what each is called, and what it says.

An event holds ids, names, durations, addresses and reasons; never a token, a session
description or a candidate.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado_webrtc.hooks import TurnAllocation, TurnTraffic
    from tornado_webrtc.signaling import Peer, Session

__all__ = [
    "FIELDS",
    "TYPES",
    "Data",
    "Event",
    "of_allocation",
    "of_peer",
    "of_session",
    "of_traffic",
]

Data = dict[str, object]

_PEER = ("peer_id", "scope", "subject", "connection_id", "remote_ip")
_SESSION = ("session_id", "scope", "caller_id", "caller_subject", "callee_id", "callee_subject")
_ALLOCATION = ("allocation_id", "user", "transport", "client", "relayed")
_TRAFFIC = (
    *("packets_to_peer", "bytes_to_peer", "packets_from_peer", "bytes_from_peer", "dropped"),
)

FIELDS: Mapping[str, tuple[str, ...]] = {
    "peer.joined": (*_PEER, "name", "user_agent"),
    "peer.left": (*_PEER, "connected_s", "reason"),
    "session.offered": _SESSION,
    "session.answered": (*_SESSION, "rang_s"),
    "session.ended": (*_SESSION, "answered", "rang_s", "talked_s", "reason"),
    "allocation.created": _ALLOCATION,
    "allocation.deleted": (*_ALLOCATION, "lasted_s", *_TRAFFIC, "reason"),
    "server.started": ("version", "addresses"),
    "server.draining": (),
    "server.stopped": (),
}
"""What the ``data`` of each event has; docs/webhook.md lists them."""

TYPES = tuple(FIELDS)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: One of `TYPES`.
        key: What it happened to: events of one key are sent in order.
        data: What is to be said of it.
        at: When, in monotonic seconds.
        wall: When, in Unix seconds.
        id: Stays the same, however often it is sent.
    """

    type: str
    key: str
    data: Mapping[str, object] = field(repr=False)
    at: float
    wall: float
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(16)}")

    def body(self, node_id: str, dropped: int) -> bytes:
        """What is sent.

        Args:
            node_id: The server.
            dropped: How many events before this one were lost.
        """
        moment = datetime.fromtimestamp(self.wall, UTC).isoformat(timespec="milliseconds")
        content = {
            "type": self.type,
            "timestamp": moment.replace("+00:00", "Z"),  # RFC 3339
            "node_id": node_id,
            "dropped": dropped,
            "data": dict(self.data),
        }
        return json.dumps(content, separators=(",", ":")).encode()


Shown = Callable[[str], str]
"""How an address is shown."""


def of_peer(peer: Peer, shown: Shown) -> Data:
    """What is said of a peer."""
    return {
        "peer_id": peer.id,
        "scope": peer.scope,
        "subject": peer.subject,
        "connection_id": peer.address.connection_id,
        "remote_ip": shown(peer.remote_ip),
    }


def of_session(session: Session) -> Data:
    """What is said of a call."""
    return {
        "session_id": session.id,
        "scope": session.caller.scope,
        "caller_id": session.caller.id,
        "caller_subject": session.caller.subject,
        "callee_id": session.callee.id,
        "callee_subject": session.callee.subject,
    }


def of_allocation(allocation: TurnAllocation, shown: Shown) -> Data:
    """What is said of an allocation."""
    return {
        "allocation_id": allocation.id,
        "user": allocation.user,
        "transport": allocation.transport,
        "client": shown(str(allocation.client)),
        "relayed": str(allocation.relayed),
    }


def of_traffic(traffic: TurnTraffic) -> Data:
    """What an allocation relayed."""
    return dataclasses.asdict(traffic)
