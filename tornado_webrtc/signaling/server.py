"""The signaling server without its sockets: messages and the time in, actions out.

A caller keeps one coroutine per connection, so that the messages of a peer come
in order. Where something has to be awaited between judging a message and acting
on it (a plugin's permission, say), the caller judges again afterwards: `route`
is cheap and looks at the state as it is then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling.action import (
    Action,
    Announce,
    PeerJoined,
    PeerLeft,
    Send,
    SessionAnswered,
    SessionEnded,
    SessionOffered,
)
from tornado_webrtc.signaling.message import (
    Envelope,
    bye_frame,
    decode_bye,
    decode_directed,
    error_frame,
    forward_frame,
    leave_frame,
)
from tornado_webrtc.signaling.presence import Presence
from tornado_webrtc.signaling.session import SessionTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado_webrtc.signaling.message import Decision
    from tornado_webrtc.signaling.peer import Peer, PeerAddress
    from tornado_webrtc.signaling.session import Session

__all__ = ["DIRECTED_TYPES", "Route", "SignalingServer"]

DIRECTED_TYPES = frozenset({"offer", "answer", "candidate"})
"""The types that are forwarded to the peer named in `to`."""

MAX_SESSIONS_PER_PEER = 64
"""Live sessions that a peer began, beyond which its offers are refused.

Those that others began do not count, or they could use up its share.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """A directed message that was judged and may be forwarded.

    Attributes:
        envelope: The message.
        sender: Who sent it.
        target: Who receives it.
        session_id: The call it belongs to.
        session: That call, if it is live.
        late: It belongs to a call that has ended, and is dropped.
        frame: What the target receives.
    """

    envelope: Envelope
    sender: Peer
    target: Peer
    session_id: str
    session: Session | None
    late: bool
    frame: bytes = field(repr=False)

    @property
    def begins_call(self) -> bool:
        """Whether this is the offer that starts a session."""
        return self.session is None and self.envelope.type == "offer"


class SignalingServer:
    """State of one node's signaling: peers, presence and sessions.

    Args:
        node_id: This process; lists are announced only to peers that it holds.
        list_max: Entries in a `peers` list at most; 0 for no limit.
    """

    def __init__(self, node_id: str, *, list_max: int = 0) -> None:
        self.node_id = node_id
        self.presence = Presence(list_max)
        self.sessions = SessionTable()
        self._peers: dict[PeerAddress, Peer] = {}

    # --- who is there -------------------------------------------------------

    @property
    def peer_count(self) -> int:
        """How many peers are signed in."""
        return len(self._peers)

    def peer_at(self, address: PeerAddress) -> Peer | None:
        """The peer that signed in on a connection."""
        return self._peers.get(address)

    def registered(self, address: PeerAddress) -> Peer:
        """The peer that signed in on a connection.

        Raises:
            SignalingError: ``not-registered`` if none did, or it left.
        """
        peer = self._peers.get(address)
        if peer is None:
            raise SignalingError("not-registered", "Sign in with `new` first.")
        return peer

    def find(self, scope: str, peer_id: str) -> Peer | None:
        """The peer of that id in that scope."""
        return self.presence.find(scope, peer_id)

    def join(self, peer: Peer) -> list[Action]:
        """Sign a peer in.

        Raises:
            SignalingError: ``id-in-use`` if another peer has that id in the scope,
                ``already-registered`` if the connection has another peer.
        """
        if peer.address in self._peers:
            raise SignalingError("already-registered", "This connection has signed in before.")
        if self.find(peer.scope, peer.id) is not None:
            raise SignalingError("id-in-use", f"Peer id [{peer.id}] is in use.")
        self._peers[peer.address] = peer
        self.presence.put(peer)
        return [PeerJoined(peer), Announce(peer.scope)]

    def update(self, peer: Peer, name: str, user_agent: str) -> list[Action]:
        """Show a signed-in peer under another name."""
        peer.name, peer.user_agent = name, user_agent
        self.presence.put(peer)
        return [Announce(peer.scope)]

    def leave(
        self, address: PeerAddress, reason: str, now: float, decision: Decision | None = None
    ) -> list[Action]:
        """Take the peer of a connection out, whatever the cause.

        The other leg of each of its sessions is sent `bye`. `leave` goes only
        to those whose every session was with this peer: a legacy client closes
        its last session on any `leave`, so nobody else may see one. All others
        in the scope learn of it from the list of peers.

        Args:
            address: The connection; without a peer nothing happens.
            reason: ``left``, ``disconnected``, ``replaced``, …
            now: Monotonic seconds.
            decision: That it has to go; told to the other legs.
        """
        peer = self._peers.pop(address, None)
        if peer is None:
            return []
        self.presence.remove(peer)
        actions: list[Action] = []
        bereft: dict[Peer, None] = {}
        for session in tuple(peer.sessions.values()):
            other = session.other(peer)
            self.sessions.end(session, now)
            actions += [
                Send(other.address, bye_frame(session.id, other.id, decision)),
                SessionEnded(session, reason),
            ]
            bereft[other] = None
        actions += [
            Send(other.address, leave_frame(peer.id)) for other in bereft if not other.sessions
        ]
        return [*actions, PeerLeft(peer, reason), Announce(peer.scope)]

    def announcement(self, scope: str) -> Iterator[Send]:
        """The list of peers, for every peer of the scope that this node holds, one by one.

        In a large scope the lists differ: together they may be very many bytes.
        """
        for peer, frame in self.presence.roster(scope).lists():
            if peer.address.node_id == self.node_id:
                yield Send(peer.address, frame)

    def list_for(self, peer: Peer) -> Send:
        """The list of peers, for one signed-in peer."""
        return Send(peer.address, self.presence.roster(peer.scope).list_for(peer))

    # --- offer, answer, candidate -------------------------------------------

    def route(self, sender: Peer, envelope: Envelope, now: float) -> Route:
        """Judge an `offer`, `answer` or `candidate`.

        Raises:
            SignalingError: ``bad-message``, ``wrong-sender``, ``not-found``,
                ``not-in-session`` or ``too-many-sessions``; nothing was changed.
        """
        directed = decode_directed(envelope)
        _verify_sender(sender, directed.sender)
        if directed.to == sender.id:
            raise SignalingError("bad-message", "`to` names the sender itself.")
        target = self.find(sender.scope, directed.to)
        if target is None:
            raise SignalingError("not-found", f"Peer [{directed.to}] not found ")
        session_id = directed.session_id
        session = sender.sessions.get(session_id)
        self._check_legs(session_id, session, sender, target)
        is_offer = envelope.type == "offer"
        if is_offer and session is None and _begun_by(sender) >= MAX_SESSIONS_PER_PEER:
            raise SignalingError("too-many-sessions", "You have too many calls at once.")
        late = (
            session is None
            and not is_offer
            and self.sessions.ended_with(session_id, sender, now) == target.id
        )
        frame = forward_frame(envelope, directed, sender.id)
        return Route(envelope, sender, target, session_id, session, late, frame)

    def _check_legs(
        self, session_id: str, session: Session | None, sender: Peer, target: Peer
    ) -> None:
        """Refuse what would reach into a session that other peers have."""
        if session is not None:
            foreign = session.other(sender) is not target
        else:
            foreign = session_id in target.sessions or self._names_others(
                session_id, sender, target
            )
        if foreign:
            raise SignalingError("not-in-session", f"Session [{session_id}] is taken.")

    def _names_others(self, session_id: str, sender: Peer, target: Peer) -> bool:
        """Whether a session id of the form CALLER-CALLEE names peers, but not these two.

        An id with several dashes may name several pairs; what names these two
        is theirs, or two strangers with well-chosen ids could forbid the call.
        """
        if session_id in (f"{sender.id}-{target.id}", f"{target.id}-{sender.id}"):
            return False
        return any(
            self.find(sender.scope, caller) and self.find(sender.scope, callee)
            for caller, callee in _splits(session_id)
        )

    def forward(self, route: Route, now: float) -> list[Action]:
        """Carry out what `route` judged, with nothing awaited in between."""
        if route.late:
            return []
        actions: list[Action] = [Send(route.target.address, route.frame)]
        session = route.session
        if route.begins_call:
            session = self.sessions.offer(route.session_id, route.sender, route.target, now)
            actions.append(SessionOffered(session))
        elif (
            session is not None
            and route.envelope.type == "answer"
            and route.sender is session.callee
            and self.sessions.answer(session, now)
        ):
            actions.append(SessionAnswered(session))
        return actions

    # --- bye ----------------------------------------------------------------

    def bye(self, sender: Peer, envelope: Envelope, now: float) -> list[Action]:
        """End a session. Both legs are sent `bye`.

        Raises:
            SignalingError: ``bad-message``, ``wrong-sender``, ``not-found`` if the
                other leg is gone, ``invalid-session`` if the sender is no leg of
                it. `refuse` then sends the echo.
        """
        bye = decode_bye(envelope)
        _verify_sender(sender, bye.sender)
        session = sender.sessions.get(bye.session_id)
        if session is not None:
            return self.end(session, "bye", now)
        echo = Send(sender.address, bye_frame(bye.session_id, sender.id))
        if self.sessions.ended_with(bye.session_id, sender, now) is not None:
            return [echo]
        other = self._leg_of_unseen(sender, bye.session_id)
        self.sessions.remember(bye.session_id, sender, other, now)
        return [echo, Send(other.address, bye_frame(bye.session_id, other.id))]

    def end(
        self, session: Session, reason: str, now: float, decision: Decision | None = None
    ) -> list[Action]:
        """End a live session and send `bye` to both legs.

        Args:
            session: The call.
            reason: ``bye``, or why it has to end.
            now: Monotonic seconds.
            decision: That it has to end; told to both legs.
        """
        self.sessions.end(session, now)
        byes = [
            Send(leg.address, bye_frame(session.id, leg.id, decision))
            for leg in (session.caller, session.callee)
        ]
        return [*byes, SessionEnded(session, reason)]

    def _leg_of_unseen(self, sender: Peer, session_id: str) -> Peer:
        """The other leg of a call whose offer was not seen here: its id must name both."""
        named = _other_legs(session_id, sender.id)
        other = next(filter(None, (self.find(sender.scope, leg) for leg in named)), None)
        if named and other is None:
            raise SignalingError("not-found", f"Peer [{named[0]}] not found.")
        if other is None or session_id in other.sessions:
            raise SignalingError("invalid-session", f"Invalid session [{session_id}]")
        return other

    # --- refusing -----------------------------------------------------------

    def refuse(
        self, address: PeerAddress, envelope: Envelope, error: SignalingError
    ) -> list[Action]:
        """Answer a message that was refused.

        The sender of an `offer` or `bye` is also sent `bye` for that session: the
        legacy call dialog waits for ever otherwise, and its call screen goes only
        when its own `bye` comes back. But never for a session that it really has.
        """
        actions: list[Action] = [Send(address, error_frame(envelope.type, error))]
        peer = self.peer_at(address)
        if peer is None or envelope.type not in {"offer", "bye"}:
            return actions
        try:
            session_id = decode_bye(envelope).session_id
        except SignalingError:
            return actions
        if session_id not in peer.sessions:
            actions.append(Send(address, bye_frame(session_id, peer.id)))
        return actions


def _verify_sender(peer: Peer, claimed: str | None) -> None:
    if claimed is not None and claimed != peer.id:
        raise SignalingError("wrong-sender", "`from` is not your id.")


def _splits(session_id: str) -> Iterator[tuple[str, str]]:
    """Every way to read a session id as CALLER-CALLEE; ids may hold dashes themselves."""
    dash = session_id.find("-")
    while dash >= 0:
        yield session_id[:dash], session_id[dash + 1 :]
        dash = session_id.find("-", dash + 1)


def _other_legs(session_id: str, peer_id: str) -> list[str]:
    """The legs that a session id of the form CALLER-CALLEE may name beside `peer_id`."""
    others = (session_id.removeprefix(f"{peer_id}-"), session_id.removesuffix(f"-{peer_id}"))
    return [other for other in others if other not in (session_id, "", peer_id)]


def _begun_by(peer: Peer) -> int:
    return sum(session.caller is peer for session in peer.sessions.values())
