"""Allocate: the numbered steps of RFC 8656 section 7.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc.stun.address import IPV4, IPV6
from tornado_webrtc.stun.attribute import (
    ADDITIONAL_ADDRESS_FAMILY,
    ADDRESS_ERROR_CODE,
    EVEN_PORT,
    LIFETIME,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
    XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
    AddressErrorCode,
)
from tornado_webrtc.turn.action import (
    AddAllocation,
    AllocationCreated,
    CloseRelay,
    MayAllocate,
    OpenedRelay,
    OpenRelay,
    Respond,
)
from tornado_webrtc.turn.allocation import Allocation, Reservation
from tornado_webrtc.turn.deadline import ReservationEnds
from tornado_webrtc.turn.request import AttributeValue, RejectionError, Request, Steps

if TYPE_CHECKING:
    from tornado_webrtc.turn.server import TurnServer

__all__ = ["allocate", "close_unused"]

UDP = 17
"""The only transport that can be relayed, by its protocol number."""


def allocate(server: TurnServer, request: Request) -> Steps:
    """Make an allocation; every check comes before anything is taken (RFC 8656 section 7.2)."""
    existing = server.allocations.get_live(request.five_tuple, request.now)
    yield from server.authenticator.authenticate(request, existing)
    existing = server.allocations.get_live(request.five_tuple, request.now)
    if existing is not None:
        _refuse_or_repeat(request, existing)
        return
    server.authenticator.refuse_expired(request)
    _check_transport(request)
    token = _check_reservation_token(request)
    family = _check_families(server, request)
    even = request.message.get(EVEN_PORT)
    if not server.accepting:
        raise RejectionError(508, cause="the server is draining")
    lifetime = server.lifetime(request.message.get(LIFETIME))
    taken, wanted = 0, _slots(server, request, token, reserves=bool(even))
    created = False
    try:
        while taken < wanted:
            _take_quota(server, request)
            taken += 1
        if not (yield MayAllocate(request.username, request.user, request.five_tuple)):
            raise RejectionError(403)
        user = request.user
        if token is not None:
            opened, user = _redeem(server, request, token)
        else:
            opened = yield OpenRelay(family, even is not None, even or False, request.five_tuple)
        if opened is None:
            raise RejectionError(508)  # whoever was asked for a port says why
        _create(server, request, user, opened, lifetime)
        created = True
    finally:
        if not created:
            for _ in range(taken):
                server.quotas.give_back(request.user, request.five_tuple.client.host)


def _refuse_or_repeat(request: Request, existing: Allocation) -> None:
    """Step 2: a five-tuple has one allocation; a retransmission gets its answer again."""
    known = (existing.transaction_id, existing.username)
    if (request.message.transaction_id, request.username) != known:
        raise RejectionError(437)
    request.actions.append(Respond(request.five_tuple, existing.response))


def _check_transport(request: Request) -> None:
    """Step 3: "If the request … does not contain a REQUESTED-TRANSPORT attribute"."""
    transport = request.message.get(REQUESTED_TRANSPORT)
    if transport is None:
        raise RejectionError(400)
    if transport != UDP:
        raise RejectionError(442)


def _check_reservation_token(request: Request) -> bytes | None:
    """Step 5: a token excludes a choice of port or family."""
    token = request.message.get(RESERVATION_TOKEN)
    choices = (EVEN_PORT, REQUESTED_ADDRESS_FAMILY, ADDITIONAL_ADDRESS_FAMILY)
    if token is not None and any(request.message.has(choice) for choice in choices):
        raise RejectionError(400)
    return token


def _check_families(server: TurnServer, request: Request) -> int:
    """Steps 6 and 7: which family is asked for, and whether it is relayed here."""
    requested = request.message.get(REQUESTED_ADDRESS_FAMILY)
    additional = request.message.get(ADDITIONAL_ADDRESS_FAMILY)
    if additional is not None and (
        requested is not None or additional != IPV6 or request.message.get(EVEN_PORT)
    ):
        raise RejectionError(400)
    family = IPV4 if requested is None else requested
    if family not in server.settings.families:
        raise RejectionError(440)
    return family


def _slots(server: TurnServer, request: Request, token: bytes | None, *, reserves: bool) -> int:
    """How much of the quota it takes: a reserved port counts, and brings its slot along."""
    redeems = token is not None and _reservation(server, request, token) is not None
    return int(not redeems) + int(reserves)


def _take_quota(server: TurnServer, request: Request) -> None:
    """Step 9: "the server … MAY … reject … with a 486 (Allocation Quota Reached) error"."""
    limit = server.quotas.take(request.user, request.five_tuple.client.host)
    if limit is not None:
        raise RejectionError(486, cause=f"{limit} is reached")


def _redeem(server: TurnServer, request: Request, token: bytes) -> tuple[OpenedRelay | None, str]:
    """Step 5: the port that an earlier request reserved, and for whose quota it counts.

    None if it is not there any more.
    """
    reservation = _reservation(server, request, token)
    if reservation is None:
        return None, request.user
    del server.reservations[token]
    server.deadlines.cancel(ReservationEnds(token))
    return OpenedRelay(reservation.relay), reservation.user


def _reservation(server: TurnServer, request: Request, token: bytes) -> Reservation | None:
    """The reservation behind a token, if this client made it."""
    reservation = server.reservations.get(token)
    owner = (request.username, request.five_tuple.client.host)
    if reservation is None or (reservation.username, reservation.client_ip) != owner:
        return None
    return reservation


def _create(
    server: TurnServer, request: Request, user: str, opened: OpenedRelay, lifetime: int
) -> None:
    """Make the allocation and answer."""
    allocation = Allocation(
        id=server.next_id(),
        five_tuple=request.five_tuple,
        username=request.username,
        user=user,
        key=request.key or b"",
        relay=opened.relay,
        created_at=request.now,
        expires_at=request.now + lifetime,
        transaction_id=request.message.transaction_id,
    )
    attributes: list[AttributeValue] = [
        (XOR_RELAYED_ADDRESS, opened.relay.advertised),
        (LIFETIME, lifetime),
        (XOR_MAPPED_ADDRESS, request.five_tuple.client),
    ]
    if opened.reserved is not None:
        attributes.append((RESERVATION_TOKEN, server.reserve(opened.reserved, request)))
    if request.message.has(ADDITIONAL_ADDRESS_FAMILY):
        code = 508 if IPV6 in server.settings.families else 440
        attributes.append((ADDRESS_ERROR_CODE, AddressErrorCode(IPV6, code, "")))
    allocation.response = request.success(attributes)
    server.add(allocation)
    request.actions += [
        AddAllocation(allocation),
        Respond(request.five_tuple, allocation.response),
        AllocationCreated(allocation),
    ]


def close_unused(opened: OpenedRelay) -> list[CloseRelay]:
    """What to do with sockets that came too late for their request."""
    relays = (opened.relay, opened.reserved)
    return [CloseRelay(relay) for relay in relays if relay is not None]
