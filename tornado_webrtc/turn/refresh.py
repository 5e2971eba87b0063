"""Refresh: RFC 8656 section 8.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc.stun.attribute import LIFETIME, REQUESTED_ADDRESS_FAMILY
from tornado_webrtc.turn.action import AllocationRefreshed, Respond, SetExpiry
from tornado_webrtc.turn.request import RejectionError, Request, Steps

if TYPE_CHECKING:
    from tornado_webrtc.turn.server import TurnServer

__all__ = ["refresh"]


def refresh(server: TurnServer, request: Request) -> Steps:
    """Extend the life of an allocation, or end it."""
    allocation = server.allocations.get_live(request.five_tuple, request.now)
    yield from server.authenticator.authenticate(request, allocation)
    if allocation is None:
        raise RejectionError(437)
    family = request.message.get(REQUESTED_ADDRESS_FAMILY)
    if family is not None and family != allocation.relay.advertised.family:
        raise RejectionError(443)
    requested = request.message.get(LIFETIME)
    lifetime = 0 if requested == 0 else server.lifetime(requested)
    request.actions.append(Respond(request.five_tuple, request.success([(LIFETIME, lifetime)])))
    if lifetime == 0:
        request.actions += server.delete(allocation, "refreshed to 0")
        return
    server.extend(allocation, request.now + lifetime)
    request.actions += [SetExpiry(allocation), AllocationRefreshed(allocation)]
