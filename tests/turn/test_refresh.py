"""Refresh: RFC 8656 section 8.2."""

import pytest

from tests.turn.client import PEER, REALM_NAME, code
from tests.turn.world import World
from tornado_webrtc.stun.address import IPV4, IPV6
from tornado_webrtc.stun.attribute import (
    LIFETIME,
    MESSAGE_INTEGRITY,
    REQUESTED_ADDRESS_FAMILY,
    Attribute,
)
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.action import (
    AllocationDeleted,
    AllocationRefreshed,
    RemoveAllocation,
    Respond,
    SetExpiry,
    Unpermit,
)
from tornado_webrtc.turn.quota import AllocationLimits
from tornado_webrtc.turn.settings import TurnSettings


@pytest.mark.parametrize(
    ("requested", "granted"),
    [(None, 600), (1, 600), (600, 600), (900, 900), (3600, 3600), (2**32 - 1, 3600)],
)
def test_lifetime_counts_from_now(requested: int | None, granted: int) -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    world.wait(100)
    response = alice.refresh(requested)
    assert response.get(LIFETIME) == granted
    assert response.has(MESSAGE_INTEGRITY)
    assert allocation.expires_at == world.now + granted
    assert world.server.next_deadline() == world.now + granted


def test_life_can_be_made_shorter() -> None:
    world = World()
    alice = world.client()
    alice.allocated((LIFETIME, 3600))
    assert alice.refresh(700).get(LIFETIME) == 700
    world.wait(700)
    assert alice.allocation is None


def test_actions_in_order() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    actions = alice.send(alice.message(Method.REFRESH))
    (response,) = alice.take()
    assert actions == [
        Respond(alice.five_tuple, response),
        SetExpiry(allocation),
        AllocationRefreshed(allocation),
    ]


def test_lifetime_0_ends_it() -> None:
    world = World(limits=AllocationLimits(per_user=1))
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER)
    alice.bind(0x4000, PEER)
    actions = alice.send(alice.message(Method.REFRESH, (LIFETIME, 0)))
    (response,) = alice.responses()
    assert (code(response), response.get(LIFETIME)) == (0, 0)
    assert actions[1:] == [
        RemoveAllocation(allocation),
        AllocationDeleted(allocation, "refreshed to 0"),
    ]
    assert world.leftovers() == {}
    assert code(alice.refresh()) == 437
    assert code(alice.allocate()) == 0


def test_retransmission_after_the_end_is_437() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    request = alice.message(Method.REFRESH, (LIFETIME, 0))
    assert code(alice.ask(request)) == 0
    assert code(alice.ask(request)) == 437, "the client takes that for success"


def test_without_allocation_437() -> None:
    alice = World().client()
    response = alice.refresh()
    assert code(response) == 437
    assert response.has(MESSAGE_INTEGRITY)


def test_allocation_that_expired_counts_as_absent() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    world.wait(600)
    assert code(alice.refresh()) == 437


def test_family_of_the_allocation_may_be_named() -> None:
    alice = World().client()
    alice.allocated()
    assert code(alice.request(Method.REFRESH, (REQUESTED_ADDRESS_FAMILY, IPV4))) == 0


@pytest.mark.parametrize(("own", "other"), [(IPV4, IPV6), (IPV6, IPV4), (IPV4, 3)])
@pytest.mark.parametrize("lifetime", [0, 600])
def test_other_family_is_443(own: int, other: int, lifetime: int) -> None:
    world = World(TurnSettings(realm=REALM_NAME, families=(IPV4, IPV6)))
    alice = world.client()
    allocation = alice.allocated((REQUESTED_ADDRESS_FAMILY, own))
    request = [(REQUESTED_ADDRESS_FAMILY, other), (LIFETIME, lifetime)]
    assert code(alice.request(Method.REFRESH, *request)) == 443
    assert alice.allocation is allocation


@pytest.mark.parametrize("attribute", [LIFETIME, REQUESTED_ADDRESS_FAMILY])
def test_malformed_attribute_is_400(attribute: Attribute[int]) -> None:
    alice = World().client()
    allocation = alice.allocated()
    before = allocation.expires_at
    alice.world.wait(1)
    response = alice.ask(alice.malformed(Method.REFRESH, attribute.code, b"\0\0"))
    assert code(response) == 400
    assert response.has(MESSAGE_INTEGRITY)
    assert allocation.expires_at == before


def test_permissions_and_channels_are_not_refreshed_with_it() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER)
    world.wait(299)
    alice.refresh()
    world.wait(1)
    assert alice.indicate(PEER, b"late") == [Unpermit(allocation, PEER.host)]
