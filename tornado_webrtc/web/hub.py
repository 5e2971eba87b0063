"""All connections of this process, joined with the signaling library and the hooks.

A frame comes from a `Connection`, is decoded as far as its type, asked about
where plugins want to be asked, judged by the pure library, and answered by the
actions that the library returns.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from tornado_webrtc.ban import Ban, BanList
from tornado_webrtc.bucket import client_prefix
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Signaling
from tornado_webrtc.errors import PluginError, SignalingError
from tornado_webrtc.hooks import CallRequest, Hooks, MessageHandler
from tornado_webrtc.signaling import (
    Action,
    Announce,
    Peer,
    PeerAddress,
    PeerJoined,
    PeerLeft,
    Send,
    Session,
    SessionAnswered,
    SessionEnded,
    SessionOffered,
    SignalingServer,
)
from tornado_webrtc.signaling.message import (
    Decision,
    Envelope,
    decode_envelope,
    error_frame,
    typed_frame,
)
from tornado_webrtc.signaling.server import DIRECTED_TYPES, Route
from tornado_webrtc.web.announcer import Announcer
from tornado_webrtc.web.connection import CloseCode, Connection, Handshake, Transport
from tornado_webrtc.web.message import MessageContext
from tornado_webrtc.web.refusal import RefusalLog
from tornado_webrtc.web.registration import Registration

__all__ = ["CORE_TYPES", "MAX_ERROR_CODES", "Hub"]

CORE_TYPES = frozenset({"", "new", "bye", "leave", "keepalive", *DIRECTED_TYPES})
"""The message types that the core answers itself; plugins may add others."""

MAX_ERROR_CODES = 200
"""So many codes of errors are counted by themselves, all others as ``error.other``."""

REMOVALS = frozenset({"kicked", "banned"})
"""Why a peer leaves that has to: its calls must not go on past the server."""


class Hub:
    """The connections of one node and what they say to each other.

    Args:
        node_id: This process.
        limits: The `[signaling]` section.
        hooks: Asked before and told after things happen.
        clock: The time.
        bans: Who may not sign in.

    Attributes:
        signaling: The state: peers, presence, sessions. Plugins only read it.
        counters: How often what happened, by name, since the start.
        refusals: Logs who is not let in.
        draining: Calls that begin are refused; those that go on are not touched.
    """

    def __init__(
        self,
        node_id: str,
        limits: Signaling,
        hooks: Hooks,
        clock: Clock,
        bans: BanList | None = None,
    ) -> None:
        self.node_id = node_id
        self.limits = limits
        self.hooks = hooks
        self.clock = clock
        self.bans = BanList(clock.wall) if bans is None else bans
        self.signaling = SignalingServer(node_id, list_max=limits.legacy_list_max)
        self.counters: Counter[str] = Counter()
        self.refusals = RefusalLog(clock.now)
        self._error_codes: set[str] = set()
        self.draining = False
        self._message_types: dict[str, tuple[str, MessageHandler]] = {}
        self._connections: dict[int, Connection] = {}
        self._per_client: Counter[str] = Counter()
        self._emptied: asyncio.Future[None] | None = None
        self._next_id = itertools.count(1)
        self._registration = Registration(self)
        self._announcer = Announcer(self._announce, clock)

    # --- connections --------------------------------------------------------

    def __len__(self) -> int:
        return len(self._connections)

    def refusal(self, remote_ip: str) -> tuple[int, str] | None:
        """Why one more connection from an address cannot be taken: close code and reason."""
        if self.limits.max_connections and len(self) >= self.limits.max_connections:
            return CloseCode.TRY_AGAIN_LATER, "the server is full, try again later"
        per_ip = self.limits.max_connections_per_ip
        if per_ip and self._per_client[client_prefix(remote_ip)] >= per_ip:
            return CloseCode.TOO_MANY, "too many connections from your address"
        return None

    def open(self, transport: Transport, handshake: Handshake) -> Connection:
        """Take a connection in; it handles frames once it is started."""
        address = PeerAddress(self.node_id, next(self._next_id))
        connection = Connection(self, transport, address, handshake)
        self._connections[address.connection_id] = connection
        self._per_client[client_prefix(handshake.remote_ip)] += 1
        self.count("connections")
        return connection

    def forget(self, connection: Connection) -> None:
        """The socket of a connection is gone."""
        if self._connections.pop(connection.address.connection_id, None) is None:
            return
        prefix = client_prefix(connection.handshake.remote_ip)
        self._per_client[prefix] -= 1
        if not self._per_client[prefix]:
            del self._per_client[prefix]
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def drop(self, connection: Connection, reason: str) -> None:
        """A connection is closing: its peer leaves."""
        decision = Decision("peer-removed") if reason in REMOVALS else None
        now = self.clock.now()
        self.perform(self.signaling.leave(connection.address, reason, now, decision))

    def connection_of(self, peer: Peer) -> Connection | None:
        """The connection of a peer, if this node holds it."""
        return self._connection_at(peer.address)

    def _connection_at(self, address: PeerAddress) -> Connection | None:
        if address.node_id != self.node_id:
            return None
        return self._connections.get(address.connection_id)

    async def authenticate_upgrade(self, connection: Connection) -> tuple[int, str] | None:
        """Ask plugins about a connection as it opens: None, or close code and reason."""
        return await self._registration.authenticate_upgrade(connection)

    def welcome(self, peer: Peer) -> None:
        """Sign a peer in; it is sent the list of peers at once.

        Raises:
            SignalingError: ``id-in-use``.
        """
        self.perform(self.signaling.join(peer))
        if self._announcer.pending(peer.scope):
            self.perform([self.signaling.list_for(peer)])

    def close_banned(self, ban: Ban) -> int:
        """Close the connections of somebody who was just banned (4403), and count them."""
        banned = [each for each in self._connections.values() if self._is_banned(each, ban)]
        for connection in banned:
            self.count("closed.banned")
            connection.close(CloseCode.NOT_ALLOWED, ban.told, left="banned")
        return len(banned)

    def _is_banned(self, connection: Connection, ban: Ban) -> bool:
        peer = self.signaling.peer_at(connection.address)
        shown = connection.identity.subject if connection.identity else None
        return not connection.closing and ban.matches(
            ip=connection.handshake.remote_ip,
            peer=peer.id if peer else None,
            user=(peer.subject if peer else None) or shown,
        )

    def kick(self, peer: Peer, reason: str) -> bool:
        """Close a peer's connection (4403); False if this node does not hold it.

        Args:
            peer: Who has to go.
            reason: In plain words; the client is told.
        """
        connection = self.connection_of(peer)
        if connection is None:
            return False
        self.count("closed.kicked")
        connection.close(CloseCode.NOT_ALLOWED, reason, left="kicked")
        return True

    def end_session(self, session: Session, reason: str) -> None:
        """End a live call for good, though it may not need the server.

        Args:
            session: The call.
            reason: In plain words; both legs are told.
        """
        decision = Decision("call-ended", reason)
        self.perform(self.signaling.end(session, reason, self.clock.now(), decision))

    def set_limits(self, limits: Signaling) -> None:
        """Let other limits hold, also for the connections that are there."""
        old, self.limits = self.limits, limits
        if limits.legacy_list_max != old.legacy_list_max:
            self.signaling.presence.set_list_max(limits.legacy_list_max)
            self.perform(Announce(scope) for scope in self.signaling.presence)
        for connection in tuple(self._connections.values()):
            connection.limits_changed(old)

    def close_all(self, code: int, reason: str) -> None:
        """End every call, for both legs alike, and close every connection.

        Clients that can let their calls go on without the server.
        """
        self._announcer.stop()
        now = self.clock.now()
        for session in self.sessions():
            self.perform(self.signaling.end(session, "server-stopped", now))
        for connection in tuple(self._connections.values()):
            connection.close(code, reason, left="server-stopped")

    async def wait_empty(self, timeout_s: float) -> None:
        """Wait until the last connection is gone, or the time is up."""
        if self._connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=timeout_s)

    def stop(self) -> None:
        """Let no timer outlive this hub."""
        self._announcer.stop()
        for connection in tuple(self._connections.values()):
            connection.abort(left="server-stopped")

    # --- for plugins --------------------------------------------------------

    def add_message_types(self, plugin: str, types: Mapping[str, MessageHandler]) -> None:
        """Let a plugin answer message types of its own; see the hook `message_types`."""
        self._message_types |= {kind: (plugin, handler) for kind, handler in types.items()}

    def peers(self, scope: str | None = None) -> Iterator[Peer]:
        """The peers of one scope, or of all."""
        for name in self.signaling.presence if scope is None else (scope,):
            yield from self.signaling.presence.roster(name)

    def sessions(self) -> Iterator[Session]:
        """All live sessions."""
        return iter(self.signaling.sessions)

    def send(self, peer: Peer, message_type: str, data: object) -> None:
        """Send a peer a message of a plugin's own type."""
        self.perform([Send(peer.address, typed_frame(message_type, data))])

    def count(self, name: str) -> None:
        """Count an event."""
        self.counters[name] += 1

    def count_error(self, code: str) -> None:
        """Count a refusal; plugins choose codes, and could make them of what clients send."""
        if len(self._error_codes) < MAX_ERROR_CODES:
            self._error_codes.add(code)
        self.count(f"error.{code if code in self._error_codes else 'other'}")

    # --- messages -----------------------------------------------------------

    async def handle(self, connection: Connection, frame: bytes) -> None:
        """Handle one frame; bad content is answered with `error`, never raised."""
        try:
            envelope = decode_envelope(frame)
        except SignalingError as error:
            self.count_error(error.code)
            connection.send(error_frame("", error))
            return
        try:
            await self._dispatch(connection, envelope, frame)
        except SignalingError as error:
            self.count_error(error.code)
            self.perform(self.signaling.refuse(connection.address, envelope, error))

    async def _dispatch(self, connection: Connection, envelope: Envelope, frame: bytes) -> None:
        kind = envelope.type
        if not kind:
            return
        self.count(f"message.{kind if kind in CORE_TYPES else 'other'}")
        if kind == "keepalive":
            connection.send(frame)
        elif kind == "new":
            await self._registration.register(connection, envelope)
        else:
            peer = self.signaling.registered(connection.address)
            if kind in DIRECTED_TYPES:
                await self._forward(peer, envelope)
            elif kind == "bye":
                self.perform(self.signaling.bye(peer, envelope, self.clock.now()))
            elif kind == "leave":
                self.perform(self.signaling.leave(peer.address, "left", self.clock.now()))
            else:
                await self._plugin_message(peer, envelope)

    async def _forward(self, peer: Peer, envelope: Envelope) -> None:
        """Judge, ask each question once, and judge again, since all may have changed meanwhile.

        Another peer that has taken over the id meanwhile is another question.
        """
        asked: set[tuple[str, Peer]] = set()
        while True:
            peer = self.signaling.registered(peer.address)
            route = self.signaling.route(peer, envelope, self.clock.now())
            if self.draining and route.begins_call:
                reason = "The server is about to restart; call again in a minute."
                raise SignalingError("server-draining", reason)
            question = self._next_question(route, asked)
            if question is None:
                break
            asked.add((question, route.target))
            if question == "permit_call":
                request = CallRequest(route.sender, route.target, route.session_id)
                await self._ask(question, request=request)
            else:
                await self._ask(question, message=MessageContext(self, peer, envelope))
        self.perform(self.signaling.forward(route, self.clock.now()))

    def _next_question(self, route: Route, asked: set[tuple[str, Peer]]) -> str | None:
        """The permit hook that has to be asked about a message next, if any.

        None about one that comes late: it is dropped, whatever anybody says.
        """
        if route.late:
            return None
        questions = ("permit_message", "permit_call") if route.begins_call else ("permit_message",)
        for question in questions:
            if (question, route.target) not in asked and self.hooks.implemented(question):
                return question
        return None

    async def _plugin_message(self, peer: Peer, envelope: Envelope) -> None:
        kind = envelope.type
        if kind not in self._message_types:
            raise SignalingError("unknown-type", f"Unknown message type [{kind}]")
        message = MessageContext(self, peer, envelope)
        if self.hooks.implemented("permit_message"):
            await self._ask("permit_message", message=message)
            self.signaling.registered(peer.address)
        plugin, handler = self._message_types[kind]
        try:
            await self.hooks.run(plugin, f"the handler of {kind}", handler, message)
        except PluginError:
            reason = "This message could not be handled."
            raise SignalingError("plugin-failed", reason) from None

    async def _ask(self, hook: str, **arguments: object) -> None:
        denied = await self.hooks.permit(hook, **arguments)
        if denied is not None:
            raise SignalingError(denied.code, denied.reason)

    # --- actions ------------------------------------------------------------

    def perform(self, actions: Iterable[Action]) -> None:
        """Carry out what the signaling library asks for, in order."""
        for action in actions:
            match action:
                case Send(address, frame):
                    connection = self._connection_at(address)
                    if connection is not None:
                        connection.send(frame)
                case Announce(scope):
                    self._announcer.announce(scope)
                case PeerJoined(peer):
                    self._tell("peer_joined", peer=peer)
                case PeerLeft(peer, reason):
                    self._tell("peer_left", peer=peer, reason=reason)
                case SessionOffered(session):
                    self._tell("session_offered", session=session)
                case SessionAnswered(session):
                    self._tell("session_answered", session=session)
                case SessionEnded(session, reason):
                    self._tell("session_ended", session=session, reason=reason)
                case _:
                    assert_never(action)

    def _tell(self, hook: str, **arguments: Any) -> None:
        if self.hooks.implemented(hook):
            self.hooks.notify(hook, **arguments)

    def _announce(self, scope: str) -> Iterator[int]:
        """Send the list of peers to all of a scope, one by one; yields the bytes of each."""
        for send in self.signaling.announcement(scope):
            connection = self._connection_at(send.address)
            if connection is not None:
                connection.send_list(send.frame)
                self.count("lists.sent")
                self.counters["lists.bytes"] += len(send.frame)
                yield len(send.frame)
