"""Clients: streams, other five-tuples, limits on what they may have relayed."""

import pytest

from tests.relay.lab import CLIENT, PEER, SERVER, Lab, channel_data
from tornado_webrtc.relay import Bucket, SinkClient, UdpClient
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import DATA, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import decode


@pytest.mark.parametrize("size", range(6))
async def test_stream_gets_padded_channel_data(lab: Lab, size: int) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    peer.send(b"\xff" * 16, allocation.address)
    peer.send(b"a" * size, allocation.address)
    await lab.until(lambda: len(allocation.written) == 2)
    assert allocation.written[1] == channel_data(b"a" * size) + bytes(-size % 4)
    assert isinstance(allocation.written[1], bytes)
    assert allocation.counters[:4] == (0, 0, 2, 16 + size)


async def test_stream_gets_data_indications(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    peer.send(b"hello", allocation.address)
    await lab.until(lambda: len(allocation.written) == 1)
    message = decode(allocation.written[0])
    assert message.get(XOR_PEER_ADDRESS) == peer.address
    assert message.get(DATA) == b"hello"


async def test_stream_without_room(lab: Lab) -> None:
    allocation, peer = lab.allocate_stream(full=True), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    peer.send(b"hello", allocation.address)
    await lab.counted(allocation, dropped_sink=1)
    assert allocation.counters[:4] == (0, 0, 0, 0)


async def test_stream_may_end_while_it_is_written_to(lab: Lab) -> None:
    client = lab.endpoint(CLIENT)
    five_tuple = FiveTuple("tls", client.address, TransportAddress(SERVER, 443))
    written = []

    def write(frame: bytes) -> bool:
        written.append(frame)
        lab.table.remove(slot)
        return False

    relay, peer = lab.relay(), lab.endpoint(PEER)
    slot = lab.table.add(SinkClient(five_tuple, write), (relay,), lab.clock.now + 600)
    lab.table.permit(slot, PEER, lab.clock.now + 300)
    for _ in range(3):
        peer.send(b"hello", relay.local)
    await lab.until(lambda: bool(written))
    assert relay.sock.fileno() == -1
    assert len(written) == 1


async def test_client_moves(lab: Lab) -> None:
    """RFC 8016: the allocation goes on, with a five-tuple of another network."""
    allocation, peer, new = lab.allocate(), lab.endpoint(PEER), lab.endpoint("127.0.0.9")
    lab.connect(allocation, peer.address)
    five_tuple = allocation.five_tuple._replace(client=new.address)
    lab.table.move_client(allocation.slot, UdpClient(five_tuple))
    peer.send(b"world", allocation.address)
    assert await new.receive() == (channel_data(b"world"), five_tuple.server)
    new.send(channel_data(b"hello"), five_tuple.server)
    assert await peer.receive() == (b"hello", allocation.address)
    lab.send_channel(allocation, b"from the old one")
    await lab.until(lambda: bool(lab.punted))
    assert lab.punted[0][0] == allocation.five_tuple
    assert allocation.client.is_empty()


async def test_client_moves_to_a_stream_and_back(lab: Lab) -> None:
    allocation, peer, frames = lab.allocate(), lab.endpoint(PEER), list[bytes]()
    lab.connect(allocation, peer.address)
    five_tuple = FiveTuple("tcp", TransportAddress(CLIENT, 9), TransportAddress(SERVER, 9))

    def write(frame: bytes) -> bool:
        frames.append(frame)
        return True

    sink = SinkClient(five_tuple, write)
    lab.table.move_client(allocation.slot, sink)
    peer.send(b"one", allocation.address)
    await lab.until(lambda: frames == [b"\x40\x00\x00\x03one\x00"])
    lab.send_channel(allocation, b"from the old one")
    await lab.until(lambda: bool(lab.punted))
    lab.table.move_client(allocation.slot, UdpClient(allocation.five_tuple))
    peer.send(b"two", allocation.address)
    assert await allocation.client.data() == channel_data(b"two")
    assert len(frames) == 1


async def test_five_tuple_has_one_allocation(lab: Lab) -> None:
    one, two = lab.allocate(), lab.allocate()
    with pytest.raises(ValueError, match="has an allocation already"):
        lab.table.add(UdpClient(one.five_tuple), (relay := lab.relay(),), 0.0)
    relay.close()
    with pytest.raises(ValueError, match="has an allocation already"):
        lab.table.move_client(one.slot, UdpClient(two.five_tuple))
    peer = lab.endpoint(PEER)
    lab.connect(one, peer.address)
    lab.send_channel(one, b"still here")
    assert await peer.data() == b"still here"
    lab.table.move_client(one.slot, UdpClient(one.five_tuple))
    lab.send_channel(one, b"and here")
    assert await peer.data() == b"and here"
    lab.table.remove(one.slot)
    slot = lab.table.add(UdpClient(one.five_tuple), (lab.relay(),), 0.0)
    assert slot not in (one.slot, two.slot)


async def test_client_of_no_listening_socket_is_refused(lab: Lab) -> None:
    allocation = lab.allocate()
    five_tuple = allocation.five_tuple._replace(server=TransportAddress(SERVER, 1))
    with pytest.raises(ValueError, match=r"no UDP socket listens on 127\.0\.0\.1:1"):
        lab.table.move_client(allocation.slot, UdpClient(five_tuple))


async def test_relay_belongs_to_one_slot(lab: Lab) -> None:
    allocation, client = lab.allocate(), lab.endpoint(CLIENT)
    five_tuple = allocation.five_tuple._replace(client=client.address)
    with pytest.raises(ValueError, match="is the relay of another slot"):
        lab.table.add(UdpClient(five_tuple), tuple(allocation.relays), 0.0)
    relays = (lab.relay(), lab.relay())
    with pytest.raises(ValueError, match="second relay of one address family"):
        lab.table.add(UdpClient(five_tuple), relays, 0.0)
    for relay in relays:
        relay.close()


async def test_bucket_limits_each_direction(lab: Lab) -> None:
    allocation, peer = lab.allocate(buckets=(Bucket(1000, 10),)), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    for expected in (1, 2):
        lab.send_channel(allocation, b"ten bytes!")
        assert await peer.data() == b"ten bytes!"
        lab.send_channel(allocation, b"more")
        await lab.counted(allocation, dropped_quota=2 * expected - 1)
        peer.send(b"ten bytes!", allocation.address)
        assert await allocation.client.data() == channel_data(b"ten bytes!")
        peer.send(b"more", allocation.address)
        await lab.counted(allocation, dropped_quota=2 * expected)
        lab.clock.advance(0.1)
    assert allocation.counters[:4] == (2, 20, 2, 20)


@pytest.mark.parametrize(("host", "peer_host", "headers"), [(SERVER, PEER, 28), ("::1", "::1", 48)])
async def test_empty_datagrams_are_limited_too(
    lab: Lab, host: str, peer_host: str, headers: int
) -> None:
    """Each costs its IP and UDP headers."""
    client_host, buckets = host if ":" in host else CLIENT, (Bucket(1000, 10 * headers),)
    allocation = lab.allocate(host=host, client_host=client_host, buckets=buckets)
    peer = lab.endpoint(peer_host)
    lab.connect(allocation, peer.address)
    for _ in range(15):
        lab.send_channel(allocation, b"")
    await lab.counted(allocation, packets_to_peer=10, dropped_quota=5)
    for _ in range(15):
        peer.send(b"", allocation.address)
    await lab.counted(allocation, packets_from_peer=10, dropped_quota=10)
    assert allocation.counters.bytes_to_peer == allocation.counters.bytes_from_peer == 0


async def test_buckets_are_replaced_while_data_flows(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"no limit")
    assert await peer.data() == b"no limit"
    lab.table.set_buckets(allocation.slot, (Bucket(1000, 10),))
    for text in (b"ten bytes!", b"more"):
        lab.send_channel(allocation, text)
    assert await peer.data() == b"ten bytes!"
    await lab.counted(allocation, dropped_quota=1)
    lab.table.set_buckets(allocation.slot, ())
    lab.send_channel(allocation, b"no limit again")
    assert await peer.data() == b"no limit again"
    lab.table.remove(allocation.slot)
    with pytest.raises(KeyError):
        lab.table.set_buckets(allocation.slot, ())


async def test_bucket_is_shared(lab: Lab) -> None:
    user = Bucket(1000, 10)
    one, two = (lab.allocate(buckets=(Bucket(1000, 100), user)) for _ in "12")
    peer = lab.endpoint(PEER)
    for allocation in (one, two):
        lab.permit(allocation, PEER)
    assert lab.table.send(one.slot, peer.address, b"ten bytes!", False)
    assert not lab.table.send(two.slot, peer.address, b"more", False)
    assert two.counters.dropped_quota == 1


async def test_bucket_limits_relay_to_relay_at_both_ends(lab: Lab) -> None:
    one, two = lab.allocate(), lab.allocate(buckets=(Bucket(1000, 10),))
    lab.connect(one, two.address, hairpin=True)
    lab.connect(two, one.address, hairpin=True)
    lab.send_channel(one, b"ten bytes!")
    lab.send_channel(one, b"more")
    assert await two.client.data() == channel_data(b"ten bytes!")
    await lab.counted(two, dropped_quota=1)
    assert one.counters.packets_to_peer == 2
