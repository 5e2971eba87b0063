"""`new`: who is it, where does it belong, may it join, is the id free?

The steps that may wait (plugins, the ping of an older connection) stand here,
one after another; the pure library is only asked at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tornado_webrtc.errors import PluginError, SignalingError
from tornado_webrtc.hooks import AuthRequest, Identity, JoinRequest, Refused, ScopeRequest
from tornado_webrtc.signaling import Peer
from tornado_webrtc.signaling.message import Envelope, New, decode_new
from tornado_webrtc.web.connection import CloseCode, Connection

if TYPE_CHECKING:
    from tornado_webrtc.web.hub import Hub

__all__ = ["PROBE_TIMEOUT_S", "Registration"]

PROBE_TIMEOUT_S = 2.0
"""Seconds in which the holder of an id has to show that it is still there."""

MAX_CLAIMS = 3
"""How often an id may change hands under a newcomer's eyes before it gives up."""


class _RejectedError(Exception):
    """The client is told why and its connection is closed."""

    def __init__(self, code: int, error: SignalingError) -> None:
        super().__init__(error.reason)
        self.code = code
        self.error = error


class Registration:
    """Signs peers in.

    Args:
        hub: The connections, the state and the hooks.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def authenticate_upgrade(self, connection: Connection) -> tuple[int, str] | None:
        """Ask plugins about a connection that shows a token as it opens.

        Returns:
            None, or the close code and the reason of a refusal.
        """
        if not self._hub.hooks.implemented("authenticate"):
            return None
        try:
            connection.identity = await self._identify(connection, "upgrade", None, None)
        except _RejectedError as rejected:
            self._hub.count_error(rejected.error.code)
            self._log(connection, rejected.error.code)
            return rejected.code, rejected.error.reason
        user = connection.identity.subject if connection.identity else None
        ban = self._hub.bans.find(ip=connection.handshake.remote_ip, user=user)
        if ban is None:
            connection.admit(connection.identity)
            return None
        self._hub.count("refused.banned")
        self._log(connection, "banned")
        return CloseCode.NOT_ALLOWED, ban.told

    async def register(self, connection: Connection, envelope: Envelope) -> None:
        """Handle `new`.

        Raises:
            SignalingError: If it is refused and the connection stays open.
        """
        new = decode_new(envelope)
        peer = self._hub.signaling.peer_at(connection.address)
        if peer is not None:
            await self._update(connection, peer, new)
            return
        connection.expect_hello(False)
        try:
            await self._join(connection, new)
        except _RejectedError as rejected:
            self._hub.count_error(rejected.error.code)
            self._log(connection, rejected.error.code, new)
            refusal = self._hub.signaling.refuse(connection.address, envelope, rejected.error)
            self._hub.perform(refusal)
            connection.close(rejected.code, rejected.error.reason, left="refused")
        except SignalingError:
            connection.expect_hello(True)
            raise

    def _log(self, connection: Connection, code: str, new: New | None = None) -> None:
        which = connection.handshake, connection.address.connection_id
        who = (None, None) if new is None else (new.id, _room(connection, new))
        self._hub.refusals.tell(code, *which, *who)

    async def _update(self, connection: Connection, peer: Peer, new: New) -> None:
        """Show a peer under another name, if it may: others may trust in how it is called."""
        if new.id != peer.id:
            raise SignalingError("already-registered", f"You are signed in as [{peer.id}].")
        if (new.name, new.user_agent) != (peer.name, peer.user_agent):
            identity = connection.admitted
            request = _join_request(connection, new, peer.scope, identity, update=True)
            denial = await self._denial(request)
            if denial is not None:
                raise denial
        if self._hub.signaling.peer_at(connection.address) is peer:  # it may be gone by now
            self._hub.perform(self._hub.signaling.update(peer, new.name, new.user_agent))

    async def _join(self, connection: Connection, new: New) -> None:
        identity = await self._authenticate(connection, new)
        self._refuse_banned(connection, new.id, identity)
        scope = await self._scope(connection, new, identity)
        request = _join_request(connection, new, scope, identity)
        asked, joined = self._hub.hooks.implemented("permit_join"), False
        try:
            denial = await self._denial(request)
            if denial is not None:
                raise _RejectedError(CloseCode.NOT_ALLOWED, denial)
            joined = await self._enter(connection, request)
        finally:
            if asked and not joined:
                self._hub.hooks.notify("join_abandoned", after="permit_join", request=request)

    async def _enter(self, connection: Connection, request: JoinRequest) -> bool:
        """Let a peer in that may join.

        Returns:
            False if it is gone.
        """
        identity = request.identity
        subject = identity.subject if identity else None
        await self._claim(request.scope, request.peer_id, subject)
        self._refuse_banned(connection, request.peer_id, identity)  # perhaps only meanwhile
        if connection.closing:
            # It was cancelled, but a cancellation can be lost on the way: nobody else
            # would ever take the peer of a connection out that is gone.
            return False
        peer = Peer(
            id=request.peer_id,
            name=request.name,
            user_agent=request.user_agent,
            scope=request.scope,
            address=connection.address,
            remote_ip=request.remote_ip,
            subject=subject,
        )
        self._hub.welcome(peer)
        connection.registered = True
        connection.admit(identity)
        return True

    async def _authenticate(self, connection: Connection, new: New) -> Identity | None:
        identity = connection.identity
        if identity is None and self._hub.hooks.implemented("authenticate"):
            identity = await self._identify(connection, "new", new.token, new.id)
        if identity is not None and not identity.allows(new.id):
            error = SignalingError("id-not-allowed", f"You may not sign in as [{new.id}].")
            raise _RejectedError(CloseCode.NOT_ALLOWED, error)
        return identity

    def _refuse_banned(
        self, connection: Connection, peer_id: str, identity: Identity | None
    ) -> None:
        subject = identity.subject if identity else None
        ban = self._hub.bans.find(ip=connection.handshake.remote_ip, peer=peer_id, user=subject)
        if ban is not None:
            raise _RejectedError(CloseCode.NOT_ALLOWED, SignalingError("banned", ban.told))

    async def _identify(
        self,
        connection: Connection,
        kind: Literal["upgrade", "new"],
        token: str | None,
        peer_id: str | None,
    ) -> Identity | None:
        handshake = connection.handshake
        request = AuthRequest(
            kind=kind,
            token=token or handshake.token,
            remote_ip=handshake.remote_ip,
            origin=handshake.origin,
            path=handshake.path,
            query=handshake.query,
            peer_id=peer_id,
            headers=handshake.headers,
        )
        reason = "Authentication does not work at the moment."
        answer = await self._ask("authenticate", request, reason)
        if isinstance(answer, Identity) and answer.ends_at <= self._hub.clock.wall():
            answer = Refused("Your sign-in has expired.")
        if answer is None or isinstance(answer, Identity):
            return answer
        reason = answer.reason if isinstance(answer, Refused) else "Not authenticated."
        unauthenticated = SignalingError("not-authenticated", reason)
        raise _RejectedError(CloseCode.NOT_AUTHENTICATED, unauthenticated)

    async def _scope(self, connection: Connection, new: New, identity: Identity | None) -> str:
        if not self._hub.hooks.implemented("scope_for"):
            return ""
        query = connection.handshake.query
        request = ScopeRequest(new.id, _room(connection, new), query, identity)
        reason = "Which peers you may meet cannot be found out at the moment."
        scope = await self._ask("scope_for", request, reason)
        return scope if isinstance(scope, str) else ""

    async def _ask(self, hook: str, request: object, reason: str) -> object:
        """Ask plugins what decides whom a client gets at: one that fails lets nobody in."""
        try:
            return await self._hub.hooks.lookup(hook, strict=True, request=request)
        except PluginError as error:
            broken = SignalingError("plugin-failed", reason)
            raise _RejectedError(CloseCode.INTERNAL_ERROR, broken) from error

    async def _denial(self, request: JoinRequest) -> SignalingError | None:
        if not self._hub.hooks.implemented("permit_join"):
            return None
        denied = await self._hub.hooks.permit("permit_join", request=request)
        return None if denied is None else SignalingError(denied.code, denied.reason)

    async def _claim(self, scope: str, peer_id: str, subject: str | None) -> None:
        """Get hold of an id: it is free, or its holder is gone, or it is the same person.

        Between the last look and the caller's `join` nothing is awaited.
        """
        for _ in range(MAX_CLAIMS):
            holder = self._hub.signaling.find(scope, peer_id)
            if holder is None:
                return
            if not await self._gives_way(holder, subject):
                break
            if self._hub.signaling.find(scope, peer_id) is holder:
                self._replace(holder)
                return
        error = SignalingError("id-in-use", f"Peer id [{peer_id}] is in use.")
        raise _RejectedError(CloseCode.ID_IN_USE, error)

    async def _gives_way(self, holder: Peer, subject: str | None) -> bool:
        connection = self._hub.connection_of(holder)
        if connection is None:
            return False
        if subject is not None and subject == holder.subject:
            return True
        if self._hub.limits.on_duplicate_id == "reject":
            return False
        return not await connection.probe(PROBE_TIMEOUT_S)

    def _replace(self, holder: Peer) -> None:
        connection = self._hub.connection_of(holder)
        if connection is not None:
            reason = "replaced by a newer connection"
            connection.close(CloseCode.REPLACED, reason, left="replaced")


def _room(connection: Connection, new: New) -> str | None:
    """The room that a client asks for; legacy ones can only do so in the URL."""
    return new.room or connection.handshake.query.get("room")


def _join_request(
    connection: Connection,
    new: New,
    scope: str,
    identity: Identity | None,
    *,
    update: bool = False,
) -> JoinRequest:
    return JoinRequest(
        peer_id=new.id,
        name=new.name,
        user_agent=new.user_agent,
        scope=scope,
        remote_ip=connection.handshake.remote_ip,
        identity=identity,
        room=_room(connection, new),
        password=new.password,
        query=connection.handshake.query,
        update=update,
    )
