"""CreatePermission and ChannelBind: who may be relayed to (RFC 8656 sections 10 and 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import CHANNEL_NUMBER, XOR_PEER_ADDRESS
from tornado_webrtc.turn.action import (
    Action,
    BindChannel,
    ChannelBound,
    MayRelayTo,
    PermissionCreated,
    Permit,
    Respond,
)
from tornado_webrtc.turn.allocation import Allocation, Channel, Permission
from tornado_webrtc.turn.deadline import ChannelEnds, PermissionEnds
from tornado_webrtc.turn.request import RejectionError, Request, Steps

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from typing import Any

    from tornado_webrtc.turn.action import Question
    from tornado_webrtc.turn.server import TurnServer

__all__ = ["bind_channel", "create_permission"]


def create_permission(server: TurnServer, request: Request) -> Steps:
    """Install or refresh permissions, all of them or none (RFC 8656 section 10.2)."""
    allocation = yield from _owned_allocation(server, request)
    peers = _peers_by_ip(request)
    if not peers:
        raise RejectionError(400)
    _check_room(server, allocation, peers, request.now)
    for peer in peers.values():
        _check_peer(server, allocation, peer)
    for peer in peers.values():
        yield from _ask_about(server, allocation, peer)
    _check_still_there(server, request, allocation)
    for peer in peers.values():
        _check_peer(server, allocation, peer)  # the rules may be others by now
    for ip in peers:
        request.actions += _install(server, allocation, ip, request.now)
    request.actions.append(Respond(request.five_tuple, request.success()))


def bind_channel(server: TurnServer, request: Request) -> Steps:
    """Bind a channel number to a peer, or refresh a binding (RFC 8656 section 12.2)."""
    allocation = yield from _owned_allocation(server, request)
    number = request.message.get(CHANNEL_NUMBER)
    peer = request.message.get(XOR_PEER_ADDRESS)
    if number is None or peer is None or number not in server.settings.channel_numbers:
        raise RejectionError(400)
    _check_peer(server, allocation, peer)
    yield from _ask_about(server, allocation, peer)
    _check_still_there(server, request, allocation)
    _check_peer(server, allocation, peer)  # the rules may be others by now
    hairpin = server.is_hairpin(peer.host)
    if hairpin and not server.allocations.is_live_relay(peer, request.now):
        raise _refused(server, "no-relay")
    _check_free(allocation, number, peer, request.now)
    _check_room(server, allocation, {peer.host}, request.now)
    _check_channel_room(server, allocation, number, request.now)
    expires_at = request.now + server.settings.channel_lifetime_s
    allocation.bind(Channel(number, peer, expires_at))
    server.deadlines.set(ChannelEnds(allocation.five_tuple, number), expires_at)
    request.actions += _install(server, allocation, peer.host, request.now)
    request.actions += [
        BindChannel(allocation, number, peer, expires_at),
        Respond(request.five_tuple, request.success()),
        ChannelBound(allocation, number, peer),
    ]


def _owned_allocation(server: TurnServer, request: Request) -> Generator[Question, Any, Allocation]:
    """Authenticate, and find the allocation that the request is about."""
    allocation = server.allocations.get_live(request.five_tuple, request.now)
    yield from server.authenticator.authenticate(request, allocation)
    if allocation is None:
        raise RejectionError(437)
    return allocation


def _peers_by_ip(request: Request) -> dict[str, TransportAddress]:
    """Find the first peer of each address: "the port portion … is ignored" (section 10.2)."""
    peers: dict[str, TransportAddress] = {}
    for peer in request.message.get_all(XOR_PEER_ADDRESS):
        peers.setdefault(peer.host, peer)
    return peers


def _check_peer(server: TurnServer, allocation: Allocation, peer: TransportAddress) -> None:
    """Refuse a peer of another family, or one that must not be reached."""
    if peer.family != allocation.relay.advertised.family:
        raise RejectionError(443)
    verdict = server.verdict(peer.host)
    if not verdict.allowed:
        raise _refused(server, verdict.reason)


def _ask_about(server: TurnServer, allocation: Allocation, peer: TransportAddress) -> Steps:
    """Let the caller refuse a peer that the policy allows."""
    if not (yield MayRelayTo(allocation, peer)):
        raise _refused(server, "plugin")


def _refused(server: TurnServer, reason: str) -> RejectionError:
    """Count a peer that must not be reached, and say so."""
    server.counters[f"refused-peer-{reason}"] += 1
    return RejectionError(403)


def _check_still_there(server: TurnServer, request: Request, allocation: Allocation) -> None:
    """The allocation may have ended while a question was open."""
    if server.allocations.get_live(request.five_tuple, request.now) is not allocation:
        raise RejectionError(437)


def _check_free(allocation: Allocation, number: int, peer: TransportAddress, now: float) -> None:
    """A number has one peer, and a peer one number (RFC 8656 section 12.2)."""
    bound = allocation.channel(number, now)
    if bound is not None and bound.peer != peer:
        raise RejectionError(400)
    other = allocation.channel_to(peer, now)
    if other is not None and other.number != number:
        raise RejectionError(400)


def _check_room(
    server: TurnServer, allocation: Allocation, ips: Collection[str], now: float
) -> None:
    limit = server.settings.max_permissions
    new = [ip for ip in ips if allocation.permission(ip, now) is None]
    if limit and new and allocation.live_permissions(now) + len(new) > limit:
        raise RejectionError(508, cause="max_permissions is reached")


def _check_channel_room(
    server: TurnServer, allocation: Allocation, number: int, now: float
) -> None:
    limit = server.settings.max_permissions
    is_new = allocation.channel(number, now) is None
    if limit and is_new and len(allocation.channels) >= limit:
        raise RejectionError(508, cause="max_permissions is reached")


def _install(server: TurnServer, allocation: Allocation, ip: str, now: float) -> list[Action]:
    expires_at = now + server.settings.permission_lifetime_s
    hairpin = server.is_hairpin(ip)
    allocation.permissions[ip] = Permission(expires_at, hairpin)
    server.deadlines.set(PermissionEnds(allocation.five_tuple, ip), expires_at)
    return [Permit(allocation, ip, expires_at, hairpin), PermissionCreated(allocation, ip)]
