"""What lives for a while in a server, for its operator: to be listed, and ended one by one.

The core has two, ``peers`` and ``sessions``; plugins add theirs with the hook `collections`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from tornado_webrtc.signaling import Peer, Session
    from tornado_webrtc.web.hub import Hub

__all__ = ["CORE_COLLECTIONS", "Collection", "collection_fault", "core_collections"]

CORE_COLLECTIONS = ("peers", "sessions")

BY_OPERATOR = "ended by the operator"

RESERVED = frozenset({"status", "bans", "reload", "drain", "log-level", "plugins"})
"""What the operator asks the server itself for; no collection may be called so."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Things of one kind that live for a while: what an operator sees, and may end one by one.

    Attributes:
        count: How many there are.
        entries: Each as a mapping that JSON can hold, with its ``id``; no secrets. Those of
            a client that is banned are ended: ``remote_ip`` is its address, ``peer_id`` what
            it signs in as, ``user`` who it is.
        get: One of them by its id, or None.
        end: Ends one, given its id and a reason for people; False if it is not there.
            None if they cannot be ended one by one.
        holds_drain: A server that is about to stop waits until there are none left.
    """

    count: Callable[[], int]
    entries: Callable[[], Iterable[Mapping[str, object]]]
    get: Callable[[str], Mapping[str, object] | None]
    end: Callable[[str, str], bool] | None = None
    holds_drain: bool = False

    def __len__(self) -> int:
        return self.count()


def collection_fault(name: str) -> str | None:
    """Say why a collection cannot be called so; None if it can."""
    if not _NAME.fullmatch(name):
        return "has to consist of lower case letters, digits, _ and -"
    return "is taken by the server itself" if name in RESERVED else None


def core_collections(hub: Hub) -> dict[str, Collection]:
    """The core's own collections, by name."""
    return dict(zip(CORE_COLLECTIONS, (_peers(hub), _sessions(hub)), strict=True))


# --- peers --------------------------------------------------------------------


def _peers(hub: Hub) -> Collection:
    """Everybody who is signed in.

    The id of an entry is the peer's own. Ids are unique in a scope only: that of a peer
    in a named scope is ``SCOPE/ID``, the scope percent-encoded. Ending one closes its
    connection with 4403.
    """

    def get(entry_id: str) -> Mapping[str, object] | None:
        peer = _find_peer(hub, entry_id)
        return _shown_peer(hub, peer) if peer else None

    def end(entry_id: str, reason: str) -> bool:
        peer = _find_peer(hub, entry_id)
        return peer is not None and hub.kick(peer, reason or BY_OPERATOR)

    return Collection(
        count=lambda: hub.signaling.peer_count,
        entries=lambda: [_shown_peer(hub, peer) for peer in hub.peers()],
        get=get,
        end=end,
    )


def _peer_id(peer: Peer) -> str:
    if not peer.scope and "/" not in peer.id:
        return peer.id
    return f"{quote(peer.scope, safe='')}/{peer.id}"


def _find_peer(hub: Hub, entry_id: str) -> Peer | None:
    scope, slash, peer_id = entry_id.partition("/")
    return hub.signaling.find(unquote(scope), peer_id) if slash else hub.signaling.find("", scope)


def _shown_peer(hub: Hub, peer: Peer) -> dict[str, object]:
    connection = hub.connection_of(peer)
    now = hub.clock.now()
    return {
        "id": _peer_id(peer),
        "peer_id": peer.id,
        "name": peer.name,
        "user_agent": peer.user_agent,
        "scope": peer.scope,
        "remote_ip": peer.remote_ip,
        "subject": peer.subject,
        "node": peer.address.node_id,
        "connected_s": _seconds(connection.opened_at, now) if connection else None,
        "sessions": [_session_id(session) for session in peer.sessions.values()],
    }


# --- sessions -----------------------------------------------------------------


def _sessions(hub: Hub) -> Collection:
    """Every call, from its offer to its end.

    The id of an entry is the session's; in a named scope ``SCOPE/ID``, as with peers.
    Should several calls of one scope have the same id, ending it ends all of them. Both
    legs are sent ``bye``.
    """

    def get(entry_id: str) -> Mapping[str, object] | None:
        found = next(_find_sessions(hub, entry_id), None)
        return _shown_session(hub, found) if found else None

    def end(entry_id: str, reason: str) -> bool:
        found = tuple(_find_sessions(hub, entry_id))
        for session in found:
            hub.end_session(session, reason or BY_OPERATOR)
        return bool(found)

    return Collection(
        count=lambda: len(hub.signaling.sessions),
        entries=lambda: [_shown_session(hub, session) for session in hub.sessions()],
        get=get,
        end=end,
        holds_drain=True,
    )


def _session_id(session: Session) -> str:
    scope = session.caller.scope
    if not scope and "/" not in session.id:
        return session.id
    return f"{quote(scope, safe='')}/{session.id}"


def _find_sessions(hub: Hub, entry_id: str) -> Iterator[Session]:
    return (session for session in hub.sessions() if _session_id(session) == entry_id)


def _shown_session(hub: Hub, session: Session) -> dict[str, object]:
    now = hub.clock.now()
    answered_at = session.answered_at
    return {
        "id": _session_id(session),
        "scope": session.caller.scope,
        "caller": _peer_id(session.caller),
        "callee": _peer_id(session.callee),
        "state": session.state.value,
        "offered_s": _seconds(session.offered_at, now),
        "answered_s": None if answered_at is None else _seconds(answered_at, now),
    }


def _seconds(since: float, now: float) -> float:
    """How long ago something was, to a millisecond."""
    return round(max(0.0, now - since), 3)
