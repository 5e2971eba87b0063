"""What stream clients send: relayed like the datagrams of UDP clients, or handed on."""

import pytest

from tests.relay.lab import CHANNEL, CLIENT, PEER, SERVER, Allocation, Lab, channel_data
from tornado_webrtc.relay import Bucket, SinkClient
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.channeldata import encode

STUN = bytes.fromhex("00010000 2112a442 000102030405060708090a0b")


def receive(allocation: Allocation, *frames: bytes) -> None:
    allocation.table.receive(allocation.five_tuple, frames)


async def test_channel_data_goes_to_its_peer(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    receive(allocation, channel_data(b"hello"), channel_data(b""), channel_data(b"world"))
    for expected in (b"hello", b"", b"world"):
        assert await peer.receive() == (expected, allocation.address)
    assert allocation.counters[:4] == (3, 10, 0, 0)
    assert lab.punted == []


async def test_longest_channel_data(lab: Lab) -> None:
    """Longer than any datagram to a peer can be, and nothing else comes to harm."""
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    receive(allocation, encode(CHANNEL, bytes(0xFFFF), pad=False), channel_data(b"hello"))
    assert await peer.data() == b"hello"
    assert allocation.counters.dropped_send == 1


async def test_all_else_is_punted_in_order(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    receive(allocation, STUN, channel_data(b"hello"), STUN[::-1])
    assert lab.punted == [(allocation.five_tuple, STUN), (allocation.five_tuple, STUN[::-1])]
    assert await peer.data() == b"hello"


async def test_unknown_client_is_punted(lab: Lab) -> None:
    five_tuple = FiveTuple("tcp", TransportAddress(CLIENT, 1), TransportAddress(SERVER, 2))
    frames = [channel_data(b"hello"), STUN]
    lab.table.receive(five_tuple, frames)
    assert lab.punted == [(five_tuple, frame) for frame in frames]


@pytest.mark.parametrize(
    "frame",
    [
        channel_data(b"hello", CHANNEL + 1),
        b"\x7f\xff\0\0",
        channel_data(b"hello")[:-1],
        b"\x40\0\0",
        b"\x40",
    ],
)
async def test_unbound_or_malformed_is_dropped(lab: Lab, frame: bytes) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    receive(allocation, frame)
    assert allocation.counters.dropped_channel == 1
    assert peer.is_empty()
    assert lab.punted == []


async def test_channel_needs_a_permission(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.bind(allocation, peer.address)
    receive(allocation, channel_data(b"too early"))
    lab.permit(allocation, PEER)
    receive(allocation, channel_data(b"hello"))
    assert await peer.data() == b"hello"
    lab.clock.advance(300)
    receive(allocation, channel_data(b"too late"))
    assert peer.is_empty()
    assert allocation.counters.dropped_permission == 2


async def test_channel_and_allocation_expire(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.clock.advance(600)
    lab.permit(allocation, PEER)
    receive(allocation, channel_data(b"no channel"))
    assert allocation.counters.dropped_channel == 1
    lab.table.set_expiry(allocation.slot, lab.clock.now)
    receive(allocation, channel_data(b"no allocation"))
    assert [data for _, data in lab.punted] == [channel_data(b"no allocation")]
    assert peer.is_empty()


async def test_request_and_data_in_one_batch(lab: Lab) -> None:
    """What a request brings about is there for the data behind it."""
    client, peer, relay = lab.endpoint(CLIENT), lab.endpoint(PEER), lab.relay()
    five_tuple = FiveTuple("tcp", client.address, TransportAddress(SERVER, 2))

    def handle(five_tuple: FiveTuple, _data: bytes) -> None:
        sink = SinkClient(five_tuple, lambda _: True)
        slot = lab.table.add(sink, (relay,), lab.clock.now + 600)
        lab.table.permit(slot, PEER, lab.clock.now + 300)
        lab.table.bind_channel(slot, CHANNEL, peer.address, lab.clock.now + 600)

    lab.table.on_punt = handle
    lab.table.receive(five_tuple, [STUN, channel_data(b"hello")])
    assert await peer.receive() == (b"hello", relay.local)


async def test_bucket_limits_what_is_sent(lab: Lab) -> None:
    client, peer, relay = lab.endpoint(CLIENT), lab.endpoint(PEER), lab.relay()
    five_tuple = FiveTuple("tcp", client.address, TransportAddress(SERVER, 2))
    sink = SinkClient(five_tuple, lambda _: True)
    slot = lab.table.add(sink, (relay,), lab.clock.now + 600, (Bucket(1000, 10),))
    allocation = Allocation(lab.table, slot, client, [relay], five_tuple)
    lab.connect(allocation, peer.address)
    receive(allocation, channel_data(b"ten bytes!"), channel_data(b"more"))
    assert await peer.data() == b"ten bytes!"
    assert peer.is_empty()
    assert allocation.counters.dropped_quota == 1


async def test_hairpin_reaches_live_relays_only(lab: Lab) -> None:
    one, two = lab.allocate_stream(), lab.allocate_stream()
    echo = lab.endpoint(SERVER)
    lab.connect(one, two.address, hairpin=True)
    lab.connect(two, one.address, hairpin=True)
    receive(one, channel_data(b"hello"))
    assert two.written == [channel_data(b"hello") + bytes(3)]
    lab.bind(one, echo.address, CHANNEL + 1)
    receive(one, channel_data(b"hello", CHANNEL + 1))
    assert echo.is_empty()
    assert one.counters.dropped_own == 1


async def test_stream_has_one_allocation(lab: Lab) -> None:
    one, two = lab.allocate_stream(), lab.allocate_stream()
    with pytest.raises(ValueError, match="has an allocation already"):
        lab.table.add(SinkClient(one.five_tuple, lambda _: True), (relay := lab.relay(),), 0.0)
    relay.close()
    with pytest.raises(ValueError, match="has an allocation already"):
        lab.table.move_client(one.slot, SinkClient(two.five_tuple, lambda _: True))
    peer = lab.endpoint(PEER)
    lab.connect(one, peer.address)
    receive(one, channel_data(b"still here"))
    assert await peer.data() == b"still here"


async def test_client_that_moved_or_left_is_unknown(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    five_tuple = FiveTuple("tls", TransportAddress(CLIENT, 1), TransportAddress(SERVER, 443))
    lab.table.move_client(allocation.slot, SinkClient(five_tuple, lambda _: True))
    receive(allocation, channel_data(b"from the old one"))
    assert [where for where, _ in lab.punted] == [allocation.five_tuple]
    lab.table.receive(five_tuple, [channel_data(b"hello")])
    assert await peer.data() == b"hello"
    lab.table.remove(allocation.slot)
    lab.table.receive(five_tuple, [channel_data(b"gone")])
    assert [where for where, _ in lab.punted] == [allocation.five_tuple, five_tuple]
