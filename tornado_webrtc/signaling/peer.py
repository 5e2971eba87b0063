"""Who is signed in: a peer and the address of its connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tornado_webrtc.signaling.session import Session

__all__ = ["Peer", "PeerAddress"]


class PeerAddress(NamedTuple):
    """Where a peer's frames go: the node that holds its socket, and which socket.

    Attributes:
        node_id: The server process, unique in a fleet.
        connection_id: The connection, unique in that process and never reused.
    """

    node_id: str
    connection_id: int


@dataclass(slots=True, eq=False)
class Peer:
    """One signed-in client.

    Attributes:
        id: What other peers call it by; unique in its scope.
        name: Shown to people.
        user_agent: Shown to people.
        scope: Peers see and reach each other only inside one scope.
        address: Where its frames go.
        remote_ip: The client's address as the server judged it.
        subject: Who it is, if a plugin authenticated it.
        sessions: Its live sessions by session id.
    """

    id: str
    name: str
    user_agent: str
    scope: str
    address: PeerAddress
    remote_ip: str = ""
    subject: str | None = None
    sessions: dict[str, Session] = field(default_factory=dict, repr=False)
