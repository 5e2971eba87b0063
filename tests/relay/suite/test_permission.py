"""Permissions (RFC 8656 section 9), and the life of an allocation."""

import pytest

from tests.relay.lab import HOUR_S, OTHER, PEER, Allocation, Endpoint, Lab
from tornado_webrtc.relay import Slot
from tornado_webrtc.stun.address import TransportAddress


async def both_ways(lab: Lab, allocation: Allocation, peer: Endpoint) -> None:
    assert lab.table.send(allocation.slot, peer.address, b"hello", False)
    assert await peer.data() == b"hello"
    peer.send(b"world", allocation.address)
    assert (await allocation.client.data())[-8:-3] == b"world"


async def neither_way(lab: Lab, allocation: Allocation, peer: Endpoint) -> None:
    before = allocation.counters.dropped_permission
    assert not lab.table.send(allocation.slot, peer.address, b"hello", False)
    peer.send(b"world", allocation.address)
    await lab.counted(allocation, dropped_permission=before + 2)
    assert peer.is_empty()
    assert allocation.client.is_empty()


async def test_permission_is_for_an_address_whatever_the_port(lab: Lab) -> None:
    allocation = lab.allocate()
    lab.permit(allocation, PEER)
    await both_ways(lab, allocation, lab.endpoint(PEER))
    await both_ways(lab, allocation, lab.endpoint(PEER))
    await neither_way(lab, allocation, lab.endpoint(OTHER))


async def test_permission_is_of_one_allocation(lab: Lab) -> None:
    allocation, other, peer = lab.allocate(), lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    await both_ways(lab, allocation, peer)
    await neither_way(lab, other, peer)


async def test_permission_expires(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    lab.clock.advance(299.9)
    await both_ways(lab, allocation, peer)
    lab.clock.advance(0.1)
    await neither_way(lab, allocation, peer)
    lab.permit(allocation, PEER)
    await both_ways(lab, allocation, peer)


async def test_channel_stops_with_its_permission(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.clock.advance(300)
    lab.send_channel(allocation, b"hello")
    await lab.counted(allocation, dropped_permission=1)
    await neither_way(lab, allocation, peer)
    lab.permit(allocation, PEER)
    lab.send_channel(allocation, b"hello")
    assert await peer.data() == b"hello"


@pytest.mark.parametrize("bound", [True, False])
async def test_permission_is_deleted(lab: Lab, bound: bool) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    if bound:
        lab.bind(allocation, peer.address)
    lab.table.unpermit(allocation.slot, PEER)
    lab.table.unpermit(allocation.slot, PEER)
    lab.table.unpermit(allocation.slot, OTHER)
    await neither_way(lab, allocation, peer)
    if bound:
        lab.send_channel(allocation, b"hello")
        await lab.counted(allocation, dropped_permission=3)
        assert peer.is_empty()


async def test_allocation_expires(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    forever = lab.clock.now + 2 * HOUR_S
    lab.table.permit(allocation.slot, PEER, forever)
    lab.table.bind_channel(allocation.slot, 0x4000, peer.address, forever)
    lab.clock.advance(HOUR_S)
    await neither_way(lab, allocation, peer)
    lab.table.set_expiry(allocation.slot, forever)
    lab.send_channel(allocation, b"hello")
    assert await peer.data() == b"hello"


async def test_counters_outlive_the_slot(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"hello")
    await peer.data()
    assert lab.table.remove(allocation.slot)[:4] == (1, 5, 0, 0)


async def test_removed_slot_is_unknown(lab: Lab) -> None:
    allocation, peer = lab.allocate(), TransportAddress(PEER, 9)
    table, slot = lab.table, allocation.slot
    table.remove(slot)
    for call in (
        lambda: table.permit(slot, PEER, 1.0),
        lambda: table.unpermit(slot, PEER),
        lambda: table.bind_channel(slot, 0x4000, peer, 1.0),
        lambda: table.unbind_channel(slot, 0x4000),
        lambda: table.set_expiry(slot, 1.0),
        lambda: table.send(slot, peer, b"hello", False),
        lambda: table.counters(slot),
        lambda: table.remove(slot),
    ):
        with pytest.raises(KeyError):
            call()


async def test_slots_are_never_used_again(lab: Lab) -> None:
    seen = set[Slot]()
    for _ in range(10):
        allocation = lab.allocate()
        seen.add(allocation.slot)
        lab.table.remove(allocation.slot)
    assert len(seen) == 10


@pytest.mark.parametrize("ip", ["", "example.org", "10.0.0.1:80"])
async def test_permission_for_no_address_is_refused(lab: Lab, ip: str) -> None:
    allocation = lab.allocate()
    with pytest.raises(ValueError, match="no IP address"):
        lab.permit(allocation, ip)
