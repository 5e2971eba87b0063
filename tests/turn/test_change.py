"""Rules that change while allocations are there, and a server that takes no new ones."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from tests.turn.client import OTHER_PEER, PEER, UDP, code, codes, peers
from tests.turn.world import LOCAL_IP, RELAY_IP, World
from tornado_webrtc.stun.attribute import CHANNEL_NUMBER
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.action import Action, MayRelayTo, Permit, Refused, Unpermit
from tornado_webrtc.turn.policy import PeerPolicy
from tornado_webrtc.turn.quota import AllocationLimits


def policy(*, deny: tuple[str, ...] = (), allow: tuple[str, ...] = ()) -> PeerPolicy:
    own = {ip_address(LOCAL_IP), ip_address(RELAY_IP)}
    return PeerPolicy(map(ip_network, deny), map(ip_network, allow), lambda: own)


def change(
    world: World,
    *,
    max_permissions: int = 256,
    policy: PeerPolicy | None = None,
    total: int = 0,
    challenges_per_s: float = 0,
) -> list[Action]:
    server = world.server
    actions = server.change(
        replace(server.settings, max_permissions=max_permissions),
        policy=policy or server._policy,
        limits=AllocationLimits(total=total),
        challenges_per_s=challenges_per_s,
    )
    return world.perform(actions)


# --- no new allocations -------------------------------------------------------


def test_allocations_go_on_when_no_new_ones_are_taken() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    alice.allocated()
    world.server.accepting = False
    actions = bob.send(bob.message(Method.ALLOCATE, UDP))
    assert codes(bob) == [508]
    assert [each.cause for each in actions if isinstance(each, Refused)] == [
        "the server is draining"
    ]
    assert code(alice.permit(PEER)) == 0
    assert code(alice.refresh()) == 0
    assert len(world.server.quotas) == 1


# --- other rules --------------------------------------------------------------


def test_same_policy_changes_no_permission() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    alice.permit(PEER)
    assert change(world) == []


def test_peer_that_is_denied_loses_its_permission_at_once() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER, OTHER_PEER)
    assert change(world, policy=policy(deny=(PEER.host,))) == [Unpermit(allocation, PEER.host)]
    assert list(allocation.permissions) == [OTHER_PEER.host]
    assert alice.indicate(PEER, b"x") == []
    assert alice.indicate(OTHER_PEER, b"x")
    assert code(alice.permit(PEER)) == 403
    world.let_all_expire()
    assert world.leftovers() == {}


def test_own_address_that_is_not_opened_any_more_is_a_hairpin() -> None:
    world = World(allow=[RELAY_IP])
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER._replace(host=RELAY_IP))
    (permission,) = allocation.permissions.values()
    assert not permission.hairpin
    for allow, hairpin in (((), True), ((RELAY_IP,), False)):
        expected = Permit(allocation, RELAY_IP, permission.expires_at, hairpin)
        assert change(world, policy=policy(allow=allow)) == [expected]
        assert permission.hairpin == hairpin


@pytest.mark.parametrize("binds", [False, True])
def test_policy_counts_that_holds_when_a_question_is_answered(binds: bool) -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    world.held.add(MayRelayTo)
    if binds:
        alice.send(alice.message(Method.CHANNEL_BIND, (CHANNEL_NUMBER, 0x4000), *peers(PEER)))
    else:
        alice.send(alice.message(Method.CREATE_PERMISSION, *peers(PEER)))
    change(world, policy=policy(deny=(PEER.host,)))
    world.answer_all()
    assert codes(alice) == [403]
    assert allocation.permissions == {}


def test_limits_hold_for_what_is_new() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    allocation = alice.allocated()
    alice.permit(PEER)
    assert change(world, max_permissions=1, total=1) == []
    assert code(alice.permit(OTHER_PEER)) == 508
    assert list(allocation.permissions) == [PEER.host]
    assert code(bob.allocate()) == 486


def test_challenges() -> None:
    world = World()
    change(world, challenges_per_s=1)
    client = world.client()
    for _ in range(5):
        client.send(client.unsigned(Method.BINDING))
    assert world.server.counters["dropped-challenge-limit"] == 1
    change(world)
    client.send(client.unsigned(Method.BINDING))
    assert world.server.counters["dropped-challenge-limit"] == 1
