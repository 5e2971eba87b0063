"""Every hook that is about the TURN server; `tornado_webrtc.hookspecs` has them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from tornado_webrtc import hooks

__all__ = [
    "allocation_created",
    "allocation_deleted",
    "allocation_refreshed",
    "channel_bound",
    "permission_created",
    "permit_allocation",
    "permit_relay",
    "turn_credential",
]

hookspec = pluggy.HookspecMarker("tornado_webrtc")


@hookspec
def turn_credential(request: hooks.CredentialRequest) -> hooks.TurnCredential | None:
    """Say which password belongs to a TURN user name.

    Called when a TURN client shows a name for the first time, not again while
    it has an allocation. First result wins; a plugin that fails is skipped. By
    default the names are those of ``/api/turn`` and of ``turn.users_file``.

    Args:
        request: The name, and who uses it.

    Returns:
        The credential, or None.
    """


@hookspec
def permit_allocation(request: hooks.AllocationRequest) -> hooks.Denied | bool | None:
    """Object to an allocation on the TURN server.

    Called for a new allocation, after the credential was checked and quotas
    were. All plugins are asked until one denies; without objection it is made.
    The client of a denied one gets the error 403.

    Args:
        request: Who wants it.

    Returns:
        None or True to permit; False, `Denied`, anything else, a failure or a time-out denies.
    """


@hookspec
def permit_relay(request: hooks.RelayRequest) -> hooks.Denied | bool | None:
    """Object to relaying to a peer.

    Called for every peer that an allocation wants a permission or a channel
    for, also when it refreshes them, after the peer policy; never for relayed
    datagrams. All plugins are asked until one denies. The client gets the error 403.

    Args:
        request: The allocation and the peer.

    Returns:
        None or True to permit; False, `Denied`, anything else, a failure or a time-out denies.
    """


@hookspec
def allocation_created(allocation: hooks.TurnAllocation) -> Any:
    """Learn that a TURN client has an allocation.

    Called after the client was answered.

    Args:
        allocation: The allocation.
    """


@hookspec
def allocation_refreshed(allocation: hooks.TurnAllocation) -> Any:
    """Learn that an allocation goes on.

    Called after each Refresh request that extended it.

    Args:
        allocation: The allocation.
    """


@hookspec
def allocation_deleted(
    allocation: hooks.TurnAllocation, traffic: hooks.TurnTraffic, reason: str
) -> Any:
    """Learn that an allocation is over.

    Called when its socket is closed.

    Args:
        allocation: The allocation.
        traffic: What it relayed.
        reason: Why, in a word or a few.
    """


@hookspec
def permission_created(allocation: hooks.TurnAllocation, peer_ip: str) -> Any:
    """Learn that an allocation may relay to and from an address.

    Called when a permission is installed or refreshed.

    Args:
        allocation: The allocation.
        peer_ip: The peer's address.
    """


@hookspec
def channel_bound(allocation: hooks.TurnAllocation, number: int, peer: hooks.SocketAddress) -> Any:
    """Learn that an allocation uses a channel for a peer.

    Called when a channel is bound or refreshed.

    Args:
        allocation: The allocation.
        number: The channel number.
        peer: The peer's address and port.
    """
