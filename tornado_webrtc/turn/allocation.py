"""Allocations and what hangs on them: permissions, channel bindings, reservations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tornado_webrtc.stun.address import FiveTuple, TransportAddress

__all__ = ["Allocation", "AllocationTable", "Channel", "Permission", "Relay", "Reservation"]


class Relay(Protocol):
    """A socket for relayed data, as far as the protocol has to know it."""

    @property
    def local(self) -> TransportAddress:
        """The address that it is bound to."""

    @property
    def advertised(self) -> TransportAddress:
        """The relayed transport address that clients and peers are told."""


@dataclass(slots=True)
class Permission:
    """A peer's address that may send, and be sent to (RFC 8656 section 9).

    Attributes:
        expires_at: Monotonic seconds.
        hairpin: It is an address of this relay itself: only ports of live relays count.
    """

    expires_at: float
    hairpin: bool


@dataclass(slots=True)
class Channel:
    """A channel number bound to a peer (RFC 8656 section 12).

    Attributes:
        number: The channel number.
        peer: The peer.
        expires_at: Monotonic seconds.
    """

    number: int
    peer: TransportAddress
    expires_at: float


@dataclass(slots=True, eq=False)
class Allocation:
    """One client's relayed transport address (RFC 8656 section 3.2). Times are monotonic seconds.

    Attributes:
        id: Never reused in a process.
        five_tuple: Identifies it.
        username: Of the credential that made it; no other may touch it.
        user: The account behind that name, for quotas.
        key: The long-term key of that credential, kept: a name that expires in
            the meantime ends nothing.
        relay: Its socket.
        created_at: When it was made.
        expires_at: When it ends unless it is refreshed.
        transaction_id: Of the Allocate request that made it.
        response: The answer to that request, for its retransmissions.
        permissions: By the peer's IP address.
        channels: By number.
    """

    id: int
    five_tuple: FiveTuple
    username: str
    user: str
    key: bytes = field(repr=False)
    relay: Relay
    created_at: float
    expires_at: float
    transaction_id: bytes = field(repr=False)
    response: bytes = field(default=b"", repr=False)
    permissions: dict[str, Permission] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    _channels_by_peer: dict[TransportAddress, Channel] = field(default_factory=dict, repr=False)

    def permission(self, ip: str, now: float) -> Permission | None:
        """The live permission for an IP address."""
        permission = self.permissions.get(ip)
        return permission if permission is not None and now < permission.expires_at else None

    def live_permissions(self, now: float) -> int:
        """How many permissions are live."""
        return sum(now < permission.expires_at for permission in self.permissions.values())

    def channel(self, number: int, now: float) -> Channel | None:
        """The live binding of a channel number."""
        channel = self.channels.get(number)
        return channel if channel is not None and now < channel.expires_at else None

    def channel_to(self, peer: TransportAddress, now: float) -> Channel | None:
        """The live binding to a peer."""
        channel = self._channels_by_peer.get(peer)
        return channel if channel is not None and now < channel.expires_at else None

    def bind(self, channel: Channel) -> None:
        """Bind a channel number that is free, or the same peer's already."""
        self.channels[channel.number] = self._channels_by_peer[channel.peer] = channel

    def unbind(self, number: int) -> None:
        """Let a channel number go."""
        channel = self.channels.pop(number)
        del self._channels_by_peer[channel.peer]


@dataclass(slots=True, eq=False)
class Reservation:
    """The port after an even one, kept for a second allocation (RFC 8656 section 7.2).

    Attributes:
        relay: Its socket.
        username: Who may have it.
        user: The account behind that, for whose quota it counts.
        client_ip: From where it was asked for, and may be had.
        expires_at: Monotonic seconds.
    """

    relay: Relay
    username: str
    user: str
    client_ip: str
    expires_at: float


class AllocationTable:
    """All allocations, by five-tuple and by the addresses of their relays."""

    def __init__(self) -> None:
        self._by_five_tuple: dict[FiveTuple, Allocation] = {}
        self._by_relay: dict[TransportAddress, Allocation] = {}

    def __len__(self) -> int:
        return len(self._by_five_tuple)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(tuple(self._by_five_tuple.values()))

    def get_live(self, five_tuple: FiveTuple, now: float) -> Allocation | None:
        """The live allocation of a five-tuple."""
        allocation = self._by_five_tuple.get(five_tuple)
        return allocation if allocation is not None and now < allocation.expires_at else None

    def get(self, five_tuple: FiveTuple) -> Allocation | None:
        """The allocation of a five-tuple, live or not."""
        return self._by_five_tuple.get(five_tuple)

    def add(self, allocation: Allocation) -> None:
        """Take an allocation in."""
        self._by_five_tuple[allocation.five_tuple] = allocation
        for address in (allocation.relay.local, allocation.relay.advertised):
            self._by_relay[address] = allocation

    def pop(self, five_tuple: FiveTuple) -> Allocation | None:
        """Take an allocation out, live or not."""
        allocation = self._by_five_tuple.pop(five_tuple, None)
        if allocation is not None:
            for address in (allocation.relay.local, allocation.relay.advertised):
                self._by_relay.pop(address, None)
        return allocation

    def is_live_relay(self, address: TransportAddress, now: float) -> bool:
        """Whether an address is a live allocation's relayed address, local or advertised."""
        allocation = self._by_relay.get(address)
        return allocation is not None and now < allocation.expires_at
