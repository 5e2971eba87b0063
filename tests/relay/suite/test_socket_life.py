"""Sockets: what must not stop them, what they must not cost, when they are gone."""

import asyncio
import secrets
from pathlib import Path

import pytest
import uvloop

from tests.relay.lab import (
    CLIENT,
    HOUR_S,
    OTHER,
    PEER,
    SERVER,
    Lab,
    TableFactory,
    channel_data,
    open_lab,
)
from tornado_webrtc.relay import UdpClient
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import DATA
from tornado_webrtc.stun.message import decode

LARGEST_IPV4 = 65535 - 20 - 8
LARGEST_IPV6 = 65535 - 8


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def free_port(lab: Lab, host: str) -> TransportAddress:
    endpoint = lab.endpoint(host)
    endpoint.sock.close()
    return endpoint.address


async def check_port_unreachable(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    nobody = free_port(lab, PEER)
    lab.connect(allocation, peer.address)
    for _ in range(3):
        assert lab.table.send(allocation.slot, nobody, b"anybody?", False)
        assert lab.table.send(allocation.slot, peer.address, b"hello", False)
        assert await peer.data() == b"hello"
        await lab.until(lambda: bool(lab.icmp))
        assert lab.icmp.pop() == (allocation.slot, nobody, 3, 3, bytes(4))
        peer.send(b"world", allocation.address)
        assert await allocation.client.data() == channel_data(b"world")
    assert allocation.counters.dropped == 0


async def test_port_unreachable(lab: Lab) -> None:
    await check_port_unreachable(lab)


def test_port_unreachable_with_uvloop(factory: TableFactory) -> None:
    """Its loop forgets a socket that had an error."""

    async def check() -> None:
        with open_lab(factory) as lab:
            await check_port_unreachable(lab)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(check())


async def test_port_unreachable_ipv6(lab: Lab) -> None:
    allocation = lab.allocate(host="::1", client_host="::1")
    nobody = free_port(lab, "::1")
    lab.connect(allocation, nobody)
    lab.send_channel(allocation, b"anybody?")
    await lab.until(lambda: bool(lab.icmp))
    assert lab.icmp == [(allocation.slot, nobody, 1, 4, bytes(4))]


async def test_many_errors_keep_no_datagram_away(lab: Lab) -> None:
    """Errors wait in the same buffer as datagrams do: they have to be taken out."""
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    nobody = free_port(lab, PEER)
    lab.connect(allocation, peer.address)
    for _ in range(20):
        for _ in range(100):
            lab.table.send(allocation.slot, nobody, bytes(1000), False)
        peer.send(b"world", allocation.address)
        assert await allocation.client.data() == channel_data(b"world")
    assert len(lab.icmp) >= 20


@pytest.mark.parametrize("gone", ["permission", "allocation"])
async def test_error_is_told_only_to_who_may_know(lab: Lab, gone: str) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    lab.table.send(allocation.slot, free_port(lab, PEER), b"anybody?", False)
    if gone == "permission":
        lab.table.unpermit(allocation.slot, PEER)
        lab.permit(allocation, OTHER)
    else:
        lab.clock.advance(HOUR_S)
    peer.send(b"behind it", allocation.address)
    await lab.counted(allocation, dropped_permission=1)
    assert lab.icmp == []


async def test_error_callback_may_remove_the_slot(lab: Lab) -> None:
    allocation = lab.allocate()
    lab.permit(allocation, PEER)
    removed = []
    lab.table.on_icmp = lambda slot, *_: removed.append(lab.table.remove(slot))
    for nobody in (free_port(lab, PEER), free_port(lab, PEER)):
        lab.table.send(allocation.slot, nobody, b"anybody?", False)
    await lab.until(lambda: bool(removed))
    assert len(removed) == 1


async def test_client_that_is_gone_stops_no_listener(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    allocation.client.sock.close()
    for _ in range(3):
        peer.send(b"world", allocation.address)
    await lab.counted(allocation, packets_from_peer=3)
    other = lab.allocate()
    lab.connect(other, peer.address)
    lab.send_channel(other, b"hello")
    assert await peer.data() == b"hello"


async def test_largest_datagrams(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    largest = secrets.token_bytes(LARGEST_IPV4 - 4)
    lab.send_channel(allocation, largest)
    assert await peer.data() == largest
    peer.send(largest, allocation.address)
    assert await allocation.client.data() == channel_data(largest)


async def test_no_room_for_the_header(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    peer.send(bytes(LARGEST_IPV4), allocation.address)
    await lab.counted(allocation, dropped_send=1)
    lab.bind(allocation, peer.address)
    peer.send(bytes(LARGEST_IPV4), allocation.address)
    await lab.counted(allocation, dropped_send=2)
    assert allocation.client.is_empty()


async def test_no_room_in_an_indication(lab: Lab) -> None:
    """Its length field has 16 bits."""
    allocation, peer = lab.allocate_stream(host="::1"), lab.endpoint("::1")
    lab.permit(allocation, "::1")
    peer.send(bytes(LARGEST_IPV6), allocation.address)
    await lab.counted(allocation, dropped_send=1)
    peer.send(bytes(LARGEST_IPV6 - 32), allocation.address)
    await lab.until(lambda: len(allocation.written) == 1)
    assert decode(allocation.written[0]).get(DATA) == bytes(LARGEST_IPV6 - 32)
    lab.bind(allocation, peer.address)
    peer.send(bytes(LARGEST_IPV6), allocation.address)
    await lab.until(lambda: len(allocation.written) == 2)
    assert allocation.written[1] == channel_data(bytes(LARGEST_IPV6)) + b"\0"


async def test_flood_of_one_starves_nobody(lab: Lab) -> None:
    """Everything waits in the kernel before the loop gets to see any of it."""
    flooded, flooder, peer = lab.allocate_stream(), lab.endpoint(PEER), lab.endpoint(OTHER)
    waiting = lab.allocate()
    lab.permit(flooded, PEER)
    lab.connect(waiting, peer.address)
    client = lab.endpoint(CLIENT)
    for _ in range(150):
        flooder.send(b"flood", flooded.address)
        client.send(b"\0 flood", lab.listeners[SERVER])
    peer.send(b"world", waiting.address)
    assert await waiting.client.data() == channel_data(b"world")
    assert len(flooded.written) <= 64
    assert len(lab.punted) <= 64
    await lab.until(lambda: len(flooded.written) == len(lab.punted) == 150)


async def test_slots_leave_no_socket(lab: Lab) -> None:
    client, peer = lab.endpoint(CLIENT), lab.endpoint(PEER)
    five_tuple = FiveTuple("udp", client.address, lab.listeners[SERVER])
    before = open_files()
    for count in range(2000):
        relay, expires_at = lab.relay(), lab.clock.now + HOUR_S
        slot = lab.table.add(UdpClient(five_tuple), (relay,), expires_at)
        lab.table.permit(slot, PEER, expires_at)
        lab.table.bind_channel(slot, 0x4000, peer.address, expires_at)
        if count % 100 == 0:
            client.send(channel_data(b"hello"), five_tuple.server)
            assert await peer.receive() == (b"hello", relay.local)
        lab.table.remove(slot)
        assert relay.sock.fileno() == -1
    assert open_files() == before


async def test_many_slots_at_once(lab: Lab) -> None:
    before = open_files()
    allocations = [lab.allocate() for _ in range(200)]
    peer = lab.endpoint(PEER)
    for allocation in allocations:
        lab.connect(allocation, peer.address)
        lab.send_channel(allocation, b"hello")
    sources = {(await peer.receive())[1] for _ in allocations}
    assert sources == {allocation.address for allocation in allocations}
    for allocation in allocations:
        lab.table.remove(allocation.slot)
        allocation.client.sock.close()
    peer.sock.close()
    assert open_files() == before


async def test_stop_closes_everything(factory: TableFactory) -> None:
    before = open_files()
    with open_lab(factory) as lab:
        allocations = [lab.allocate(), lab.allocate_stream()]
        lab.table.stop()
        assert all(each.relays[0].sock.fileno() == -1 for each in allocations)
        with pytest.raises(KeyError):
            lab.table.counters(allocations[0].slot)
        again = lab.table.listen([SERVER], lab.listeners[SERVER].port)
        assert again == [lab.listeners[SERVER]], "the port is free again"
        lab.table.stop()
        lab.table.stop()
    assert open_files() == before


async def test_nothing_is_read_before_the_start(factory: TableFactory) -> None:
    with open_lab(factory, start=False) as lab:
        allocation, peer = lab.allocate(), lab.endpoint(PEER)
        lab.connect(allocation, peer.address)
        lab.send_channel(allocation, b"hello")
        await asyncio.sleep(0)
        assert allocation.counters.packets_to_peer == 0
        lab.table.start()
        assert await peer.data() == b"hello"
        peer.send(b"world", allocation.address)
        assert await allocation.client.data() == channel_data(b"world")
