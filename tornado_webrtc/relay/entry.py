"""What tier 0 remembers of an allocation.

Keys are what recvfrom() returns, so that a datagram is matched without
building anything: permissions by the peer's address as text, channels by
number and by the peer's socket address.
"""

from __future__ import annotations

import math
import operator
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from tornado_webrtc.relay.socket import RelaySocket, SocketAddress, socket_address
from tornado_webrtc.relay.table import Bucket, Counters, Slot
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.channeldata import MAX_CHANNEL, MIN_CHANNEL

__all__ = ["Channel", "Entry", "Listener", "Permission", "Relay"]

_NEVER = -math.inf
_PRUNE_FROM = 64
_ANY_PORT = 0
_COUNTED = operator.attrgetter(*Counters._fields)


@dataclass(slots=True, eq=False)
class Listener:
    """A socket that clients send to, and the allocations of those that have one."""

    sock: socket.socket
    address: TransportAddress
    clients: dict[SocketAddress, Entry] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Permission:
    """Lets data pass from and to one IP address until it expires (RFC 8656 section 9)."""

    ip: bytes
    expires_at: float = _NEVER
    hairpin: bool = False


@dataclass(slots=True, eq=False)
class Channel:
    """A number for a peer; its data needs the permission too (RFC 8656 section 12)."""

    number: int
    peer: SocketAddress
    permission: Permission
    relay: Relay
    expires_at: float = _NEVER


@dataclass(slots=True, eq=False)
class Relay:
    """A relay socket of an allocation.

    Attributes:
        entry: The allocation.
        sock: The socket.
        local: The address it is bound to.
        source: What the client of another relay here sees as the sender's address.
        dont_fragment: How the socket sends at the moment.
        troubled: ICMP errors may be waiting.
    """

    entry: Entry
    sock: socket.socket
    local: SocketAddress
    source: SocketAddress
    dont_fragment: bool = False
    troubled: bool = False


@dataclass(slots=True, eq=False)
class Entry:
    """An allocation: its client, its relays, and what they may relay.

    Attributes:
        five_tuple: The client's.
        client: A UDP client's address.
        client_sock: A UDP client's listening socket; a stream client has none.
        write: A stream client's sink, else None.
        relays: By address family.
        permissions: By IP address; one that a channel needs may be there
            without having been installed, it has expired then.
        channels: By number.
        channels_by_peer: By peer.
        packets_to_peer: This and the following as in `Counters`.
    """

    slot: Slot
    five_tuple: FiveTuple
    expires_at: float
    buckets: tuple[Bucket, ...]
    client: SocketAddress = ("", _ANY_PORT)
    client_sock: socket.socket = field(init=False)
    write: Callable[[bytes], bool] | None = None
    relays: dict[int, Relay] = field(default_factory=dict)
    permissions: dict[str, Permission] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    channels_by_peer: dict[SocketAddress, Channel] = field(default_factory=dict)
    packets_to_peer: int = 0
    bytes_to_peer: int = 0
    packets_from_peer: int = 0
    bytes_from_peer: int = 0
    dropped_permission: int = 0
    dropped_channel: int = 0
    dropped_own: int = 0
    dropped_quota: int = 0
    dropped_sink: int = 0
    dropped_send: int = 0
    _prune_at: int = _PRUNE_FROM

    def add_relay(self, relay: RelaySocket) -> Relay:
        """Give the allocation a relay socket of a family that it lacks."""
        if relay.family in self.relays:
            raise ValueError(f"{relay.local} is a second relay of one address family")
        added = self.relays[relay.family] = Relay(
            self, relay.sock, socket_address(relay.local), socket_address(relay.advertised)
        )
        return added

    def permit(self, ip: str, expires_at: float, hairpin: bool) -> None:
        """Install or refresh a permission."""
        permission = self._permission(socket_address(TransportAddress(ip, _ANY_PORT))[0])
        permission.expires_at = expires_at
        permission.hairpin = hairpin

    def unpermit(self, ip: str) -> None:
        """Delete a permission, if there is one."""
        host = socket_address(TransportAddress(ip, _ANY_PORT))[0]
        if (permission := self.permissions.pop(host, None)) is None:
            return
        permission.expires_at = _NEVER
        if self._is_needed(permission):
            self.permissions[host] = permission

    def bind_channel(
        self, number: int, peer: TransportAddress, expires_at: float, now: float
    ) -> None:
        """Bind a channel, or refresh it."""
        if not MIN_CHANNEL <= number <= MAX_CHANNEL:
            raise ValueError(f"channel number {number:#x}, not 0x4000 to 0x7ffe")
        if (relay := self.relays.get(peer.family)) is None:
            raise ValueError(f"no relay of the address family of {peer}")
        address = socket_address(peer)
        channel = self.channels.get(number)
        if channel is None or self.channels_by_peer.get(address) is not channel:
            self.unbind_channel(number)
            if (other := self.channels_by_peer.get(address)) is not None:
                self.unbind_channel(other.number)
            self._prune(now)
            channel = Channel(number, address, self._permission(address[0]), relay)
            self.channels[number] = self.channels_by_peer[address] = channel
        channel.expires_at = expires_at

    def unbind_channel(self, number: int) -> None:
        """Delete a channel binding, if there is one."""
        if (channel := self.channels.pop(number, None)) is None:
            return
        del self.channels_by_peer[channel.peer]
        if channel.permission.expires_at == _NEVER and not self._is_needed(channel.permission):
            del self.permissions[channel.peer[0]]

    def counters(self) -> Counters:
        """Return a copy of the counters."""
        return Counters(*_COUNTED(self))

    def _permission(self, host: str) -> Permission:
        permission = self.permissions.get(host)
        if permission is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            permission = self.permissions[host] = Permission(socket.inet_pton(family, host))
        return permission

    def _is_needed(self, permission: Permission) -> bool:
        return any(channel.permission is permission for channel in self.channels.values())

    def _prune(self, now: float) -> None:
        """Forget expired channels whenever there are twice as many as were alive last time."""
        if len(self.channels) < self._prune_at:
            return
        for channel in [each for each in self.channels.values() if each.expires_at <= now]:
            self.unbind_channel(channel.number)
        self._prune_at = max(_PRUNE_FROM, 2 * len(self.channels))
