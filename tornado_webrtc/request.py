"""What plugins are asked, and what they may answer.

Plugins import all of this from `tornado_webrtc.hooks`. Requests are objects so
that they can gain fields without breaking a plugin.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tornado_webrtc.listener.stream import SocketAddress, StreamProtocol

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.signaling import Peer

__all__ = [
    "AllocationRequest",
    "AuthRequest",
    "CallRequest",
    "CredentialRequest",
    "Denied",
    "Doubt",
    "IceRequest",
    "IceServer",
    "Identity",
    "JoinRequest",
    "Message",
    "MessageHandler",
    "PluginContext",
    "Refused",
    "RelayRequest",
    "ScopeRequest",
    "SocketAddress",
    "StreamProtocol",
    "TurnAllocation",
    "TurnCredential",
    "TurnTraffic",
    "at_key",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody has proved to be.

    Attributes:
        subject: The account; two connections with one subject belong together.
        peer_ids: Patterns (as in file names: ``*``, ``?``, ``[a-z]``) of the
            peer ids that this subject may register.
        expires_at: Unix seconds, by the server's clock, at which it is good no longer: the
            connection that it let in is closed then (4401), calls or not, and a TURN
            credential that it gets is good until then at most. None for never.
    """

    subject: str
    peer_ids: tuple[str, ...] = ("*",)
    expires_at: float | None = None

    @property
    def ends_at(self) -> float:
        """`expires_at`, to reckon with: infinite for never."""
        return math.inf if self.expires_at is None else self.expires_at

    def allows(self, peer_id: str) -> bool:
        """Tell whether this subject may register a peer id; case matters."""
        return any(fnmatchcase(peer_id, pattern) for pattern in self.peer_ids)


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer of `authenticate` to credentials that are wrong or missing.

    Attributes:
        reason: A sentence that is sent to the client.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The answer of a permit hook that says no.

    Attributes:
        reason: A sentence that is sent to the client.
        code: Machine-readable, kebab-case.
    """

    reason: str
    code: str = "denied"


class Doubt(str):
    """A sentence from `check` about what is allowed, but probably not meant: a warning."""

    __slots__ = ()


def at_key(plugin: str, key: str, text: str) -> str:
    """Make a sentence for `check` that is listed with the line of the key that it is about.

    Args:
        plugin: The plugin's name.
        key: A key of its section; empty if no key is to blame.
        text: What is wrong; a `Doubt` stays one.
    """
    named = f"{plugin}.{key}: {text}" if key else text
    return Doubt(named) if isinstance(text, Doubt) else named


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """Somebody who wants in.

    Attributes:
        kind: ``upgrade`` when a WebSocket opens, ``new`` when a peer registers
            and no identity was found at the upgrade, ``rest`` for HTTP.
        token: What the client showed, if anything; never shown in a repr.
        remote_ip: The client's address, behind trusted proxies the real one.
        origin: The page that opened the WebSocket, as its browser says.
        path: The path that was asked for.
        query: The query's arguments, the last one where a name is repeated.
        peer_id: The id that is to be registered; None before it is known.
        headers: The request's headers.
    """

    kind: Literal["upgrade", "new", "rest"]
    token: str | None = field(default=None, repr=False)
    remote_ip: str = ""
    origin: str | None = None
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    peer_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class JoinRequest:
    """A peer that wants to register, already authenticated if anybody asks.

    No two are equal: `permit_join` and `join_abandoned` get the same one.

    Attributes:
        peer_id: The id it wants.
        name: The name it shows to others.
        user_agent: What it says about its software.
        scope: The group of peers that it will see and be seen by.
        remote_ip: The client's address.
        identity: Who it proved to be, if a plugin authenticates.
        room: What the client asked for, in ``new`` or in the query.
        password: The room's, as the client gave it in ``new``; never shown in a repr.
        query: The arguments of the WebSocket's URL.
        update: It is registered, in this scope, and wants to show another name or user agent.
    """

    peer_id: str
    name: str
    user_agent: str
    scope: str
    remote_ip: str
    identity: Identity | None
    room: str | None = None
    password: str | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    update: bool = False


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """A peer whose scope is to be chosen.

    Attributes:
        peer_id: The id that registers.
        room: What the client asked for, in ``new`` or in the query.
        query: The arguments of the WebSocket's URL.
        identity: Who it proved to be, if a plugin authenticates.
    """

    peer_id: str
    room: str | None
    query: Mapping[str, str] = field(repr=False)
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """An offer that is about to be forwarded.

    Attributes:
        caller: The peer that sends the offer.
        callee: The peer that it is for.
        session_id: The session's id, chosen by the caller.
    """

    caller: Peer
    callee: Peer
    session_id: str


@dataclass(frozen=True, slots=True)
class IceRequest:
    """Somebody who asks which STUN and TURN servers to use.

    Attributes:
        username: The name the credential is for, if the client gave one.
        remote_ip: The client's address.
        host: The name by which the client reached this server.
    """

    username: str | None
    remote_ip: str
    host: str


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of a list of ICE servers.

    Attributes:
        urls: ``stun:``, ``turn:`` or ``turns:`` URIs of the same server.
        needs_credential: Whether a time-limited credential is put beside them.
    """

    urls: tuple[str, ...]
    needs_credential: bool


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """A name that a TURN client uses, whose password is wanted.

    Attributes:
        username: The name.
        realm: The realm it is used in.
        remote_ip: The client's address.
        transport: ``udp``, ``tcp``, ``tls`` or ``dtls``.
    """

    username: str
    realm: str
    remote_ip: str
    transport: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCredential:
    """The credential behind a TURN user name.

    Attributes:
        password: Never shown in a repr.
        user: The account that its allocations count for.
        expires_at: Unix seconds after which nothing new is allocated; None for never.
    """

    password: str = field(repr=False)
    user: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A TURN client that wants an allocation, and has shown a valid credential.

    Attributes:
        username: The name it used.
        user: The account behind that.
        remote_ip: The client's address.
        transport: ``udp``, ``tcp``, ``tls`` or ``dtls``.
    """

    username: str
    user: str
    remote_ip: str
    transport: str


@dataclass(frozen=True, slots=True)
class TurnAllocation:
    """An allocation on the TURN server.

    Attributes:
        id: A number, never reused in this process.
        username: The name that made it.
        user: The account behind that.
        client: The client's address and port.
        transport: ``udp``, ``tcp``, ``tls`` or ``dtls``.
        relayed: The address and port that peers see.
    """

    id: int
    username: str
    user: str
    client: SocketAddress
    transport: str
    relayed: SocketAddress


@dataclass(frozen=True, slots=True)
class RelayRequest:
    """An allocation that wants to relay to a peer which the policy allows.

    Attributes:
        allocation: The allocation.
        peer: The peer's address; the port counts only for channels.
    """

    allocation: TurnAllocation
    peer: SocketAddress


@dataclass(frozen=True, slots=True)
class TurnTraffic:
    """What an allocation relayed.

    Attributes:
        packets_to_peer: Datagrams from the client to peers.
        bytes_to_peer: Their bytes.
        packets_from_peer: Datagrams from peers to the client.
        bytes_from_peer: Their bytes.
        dropped: Datagrams that were not relayed, for whatever reason.
    """

    packets_to_peer: int
    bytes_to_peer: int
    packets_from_peer: int
    bytes_from_peer: int
    dropped: int


class Message(Protocol):
    """A signaling message, and the ways to answer it."""

    @property
    def type(self) -> str:
        """The message type."""

    @property
    def peer(self) -> Peer:
        """The sender, registered and verified."""

    @property
    def data(self) -> Any:
        """The decoded ``data``: any JSON value. Changing it changes nothing for others."""

    @property
    def to(self) -> str | None:
        """The id in ``data.to``, if there is one; not verified."""

    def reply(self, message_type: str, data: object) -> None:
        """Send a message to the sender."""

    def send(self, peer_id: str, message_type: str, data: object) -> bool:
        """Send a message to a peer in the sender's scope; False if it is not there."""

    def error(self, reason: str, code: str) -> None:
        """Answer with an ``error`` for this message."""


MessageHandler = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a class `Plugin` is constructed with.

    Attributes:
        name: The plugin's name, which is also its section's.
        settings: The section, checked against the plugin's `SETTINGS`.
        config: The whole configuration, read-only.
        log: The plugin's own logger, ``tornado_webrtc.plugins.NAME``.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)
    config: Config = field(repr=False)
    log: logging.Logger
