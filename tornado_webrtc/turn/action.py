"""What the TURN library asks its caller to do, and what it asks its caller.

`Action`s are carried out in order. A `Question` comes wrapped in `Ask`; its
answer goes back in with `TurnServer.answer`, at once or later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tornado_webrtc.stun.address import FiveTuple, TransportAddress
    from tornado_webrtc.turn.allocation import Allocation, Relay

__all__ = [
    "Action",
    "AddAllocation",
    "AllocationCreated",
    "AllocationDeleted",
    "AllocationRefreshed",
    "Ask",
    "BindChannel",
    "ChannelBound",
    "CloseRelay",
    "FindCredential",
    "FoundCredential",
    "MayAllocate",
    "MayRelayTo",
    "OpenRelay",
    "OpenedRelay",
    "PermissionCreated",
    "Permit",
    "Question",
    "Refused",
    "RelayData",
    "RemoveAllocation",
    "Respond",
    "SetExpiry",
    "Unpermit",
    "Withdraw",
]


# --- questions, and the shapes of their answers -------------------------------


@dataclass(frozen=True, slots=True)
class FindCredential:
    """Who is this? The answer is a `FoundCredential`, or None if nobody knows the name."""

    username: str
    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class FoundCredential:
    """The answer to `FindCredential`.

    Attributes:
        keys: The long-term keys that the name may have (RFC 8489 section 9.2.2):
            several while a shared secret is being replaced.
        user: The account behind the name, for quotas.
        expires_at: Unix seconds after which nothing new may be allocated; None for never.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    user: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class MayAllocate:
    """May this user have an allocation? The answer is True or False."""

    username: str
    user: str
    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class MayRelayTo:
    """May this allocation relay to a peer that the policy allows? True or False."""

    allocation: Allocation
    peer: TransportAddress


@dataclass(frozen=True, slots=True)
class OpenRelay:
    """Open a socket for relayed data. The answer is an `OpenedRelay`, or None if none is free.

    Attributes:
        family: 1 for IPv4, 2 for IPv6.
        even: The port has to be even.
        reserve_next: The port after it has to be opened too.
        five_tuple: The client that it is for.
    """

    family: int
    even: bool
    reserve_next: bool
    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class OpenedRelay:
    """The answer to `OpenRelay`.

    Attributes:
        relay: The socket.
        reserved: The one on the next port, if it was asked for.
    """

    relay: Relay
    reserved: Relay | None = None


Question: TypeAlias = FindCredential | MayAllocate | MayRelayTo | OpenRelay


@dataclass(frozen=True, slots=True)
class Ask:
    """Find out, and call `TurnServer.answer` with this number."""

    number: int
    question: Question


# --- actions ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nobody waits for the answer to this question any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Respond:
    """Send a message to a client."""

    five_tuple: FiveTuple
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddAllocation:
    """Relay for this allocation from now on; its `relay` is the opened socket."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class RemoveAllocation:
    """Relay for it no more, and close its socket."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class SetExpiry:
    """The allocation's `expires_at` changed."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Permit:
    """Relay to and from a peer's IP address until a moment."""

    allocation: Allocation
    ip: str
    expires_at: float
    hairpin: bool


@dataclass(frozen=True, slots=True)
class Unpermit:
    """Relay to and from a peer's IP address no more."""

    allocation: Allocation
    ip: str


@dataclass(frozen=True, slots=True)
class BindChannel:
    """Use a channel number for a peer until a moment."""

    allocation: Allocation
    number: int
    peer: TransportAddress
    expires_at: float


@dataclass(frozen=True, slots=True)
class RelayData:
    """Send a datagram to a peer from the allocation's relayed address."""

    allocation: Allocation
    peer: TransportAddress
    data: bytes = field(repr=False)
    dont_fragment: bool = False


@dataclass(frozen=True, slots=True)
class CloseRelay:
    """Close a socket that no allocation uses."""

    relay: Relay


# --- what happened ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AllocationCreated:
    """An allocation was made."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class AllocationRefreshed:
    """An allocation's life was extended."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class AllocationDeleted:
    """An allocation ended.

    Attributes:
        allocation: Which one.
        reason: ``refreshed to 0``, ``expired``, ``disconnected``, or whatever the caller of
            `TurnServer.delete` said.
    """

    allocation: Allocation
    reason: str


@dataclass(frozen=True, slots=True)
class PermissionCreated:
    """A permission was installed or refreshed."""

    allocation: Allocation
    ip: str


@dataclass(frozen=True, slots=True)
class ChannelBound:
    """A channel was bound or refreshed."""

    allocation: Allocation
    number: int
    peer: TransportAddress


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was refused for a cause that an operator may want to know.

    Attributes:
        five_tuple: The client.
        username: Who the client says it is; anybody may say anything.
        code: The error code.
        cause: Why, in words that are always the same.
    """

    five_tuple: FiveTuple
    username: str
    code: int
    cause: str


Action: TypeAlias = (
    Ask
    | Withdraw
    | Respond
    | AddAllocation
    | RemoveAllocation
    | SetExpiry
    | Permit
    | Unpermit
    | BindChannel
    | RelayData
    | CloseRelay
    | AllocationCreated
    | AllocationRefreshed
    | AllocationDeleted
    | PermissionCreated
    | ChannelBound
    | Refused
)
