"""ChannelData between clients and peers (RFC 8656 section 12)."""

import pytest

from tests.relay.lab import CHANNEL, CLIENT, OTHER, PEER, SERVER, Lab, channel_data
from tornado_webrtc.relay import UdpClient
from tornado_webrtc.stun.address import FiveTuple, TransportAddress


async def test_both_ways(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"hello")
    assert await peer.receive() == (b"hello", allocation.address)
    peer.send(b"world!", allocation.address)
    assert await allocation.client.receive() == (
        b"\x40\x00\x00\x06world!",
        allocation.five_tuple.server,
    )
    assert allocation.counters[:4] == (1, 5, 1, 6)
    assert allocation.counters.dropped == 0
    assert lab.punted == []


async def test_ipv6(lab: Lab) -> None:
    allocation, peer = lab.allocate(host="::1", client_host="::1"), lab.endpoint("::1")
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"hello")
    assert await peer.receive() == (b"hello", allocation.address)
    peer.send(b"world!", allocation.address)
    assert await allocation.client.data() == b"\x40\x00\x00\x06world!"


async def test_dual_allocation_uses_the_relay_of_the_peers_family(lab: Lab) -> None:
    client, relays = lab.endpoint(CLIENT), (lab.relay(), lab.relay("::1"))
    five_tuple = FiveTuple("udp", client.address, lab.listeners[SERVER])
    expires_at = lab.clock.now + 600
    slot = lab.table.add(UdpClient(five_tuple), relays, expires_at)
    for number, relay in enumerate(relays, CHANNEL):
        peer = lab.endpoint(relay.local.host)
        lab.table.permit(slot, peer.address.host, expires_at)
        lab.table.bind_channel(slot, number, peer.address, expires_at)
        client.send(channel_data(b"hello", number), five_tuple.server)
        assert await peer.receive() == (b"hello", relay.local)
        peer.send(b"world", relay.local)
        assert await client.data() == channel_data(b"world", number)


async def test_length_counts_not_what_follows(lab: Lab) -> None:
    """Over UDP, the padding is not required but MAY be included (section 12.5)."""
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    allocation.client.send(b"\x40\x00\x00\x05hello\0\0\0", allocation.five_tuple.server)
    assert await peer.data() == b"hello"


async def test_zero_length(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"")
    assert await peer.data() == b""
    peer.send(b"", allocation.address)
    assert await allocation.client.data() == b"\x40\x00\x00\x00"
    assert allocation.counters[:4] == (1, 0, 1, 0)


@pytest.mark.parametrize(
    "frame", [b"\x40\x00\x00\x06hello", b"\x40\x00\x00", b"\x40", b"\x40\x00\xff\xff", b"\x7f\xff"]
)
async def test_malformed_is_dropped(lab: Lab, frame: bytes) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"what is in the buffer before it")
    await peer.data()
    allocation.client.send(frame, allocation.five_tuple.server)
    await lab.counted(allocation, dropped_channel=1)
    assert peer.is_empty()
    assert lab.punted == []


async def test_unbound_channel_is_dropped(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.send_channel(allocation, b"hello", CHANNEL + 1)
    await lab.counted(allocation, dropped_channel=1)
    assert peer.is_empty()
    assert lab.punted == []


async def test_channel_needs_a_permission(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.bind(allocation, peer.address)
    lab.send_channel(allocation, b"hello")
    peer.send(b"world", allocation.address)
    await lab.counted(allocation, dropped_permission=2)
    assert peer.is_empty()
    assert allocation.client.is_empty()
    lab.permit(allocation, PEER)
    lab.send_channel(allocation, b"hello")
    assert await peer.data() == b"hello"


async def test_channel_expires(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.clock.advance(600)
    lab.permit(allocation, PEER)
    lab.send_channel(allocation, b"hello")
    await lab.counted(allocation, dropped_channel=1)
    peer.send(b"world", allocation.address)
    assert (await allocation.client.data())[:2] == b"\x00\x17"
    lab.bind(allocation, peer.address)
    lab.send_channel(allocation, b"hello")
    assert await peer.data() == b"hello"


async def test_channel_is_refreshed(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.clock.advance(599)
    lab.connect(allocation, peer.address)
    lab.clock.advance(299)
    lab.send_channel(allocation, b"hello")
    assert await peer.data() == b"hello"


async def test_channel_is_unbound(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.table.unbind_channel(allocation.slot, CHANNEL)
    lab.table.unbind_channel(allocation.slot, CHANNEL)
    lab.send_channel(allocation, b"hello")
    await lab.counted(allocation, dropped_channel=1)
    peer.send(b"world", allocation.address)
    assert (await allocation.client.data())[:2] == b"\x00\x17"


async def test_number_gets_another_peer(lab: Lab) -> None:
    allocation, peer, other = lab.allocate(), lab.endpoint(PEER), lab.endpoint(OTHER)
    lab.connect(allocation, peer.address)
    lab.connect(allocation, other.address)
    lab.send_channel(allocation, b"hello")
    assert await other.data() == b"hello"
    peer.send(b"world", allocation.address)
    assert (await allocation.client.data())[:2] == b"\x00\x17"


async def test_peer_gets_another_number(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.bind(allocation, peer.address, CHANNEL + 1)
    peer.send(b"world", allocation.address)
    assert await allocation.client.data() == b"\x40\x01\x00\x05world"
    lab.send_channel(allocation, b"hello", CHANNEL)
    await lab.counted(allocation, dropped_channel=1)


async def test_a_channel_is_for_one_port(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.endpoint(PEER).send(b"world", allocation.address)
    assert (await allocation.client.data())[:2] == b"\x00\x17"


async def test_clients_have_channels_of_their_own(lab: Lab) -> None:
    for host in (PEER, OTHER):
        allocation, peer = lab.allocate(), lab.endpoint(host)
        lab.connect(allocation, peer.address)
        lab.send_channel(allocation, host.encode())
        assert await peer.receive() == (host.encode(), allocation.address)


@pytest.mark.parametrize("number", [0, 0x3FFF, 0x7FFF, 0x8000])
async def test_number_that_is_none_is_refused(lab: Lab, number: int) -> None:
    allocation = lab.allocate()
    with pytest.raises(ValueError, match="channel number"):
        lab.bind(allocation, TransportAddress(PEER, 1), number)


@pytest.mark.parametrize("host", ["::1", "example.org", "127.0.0", "fe80::1%no such zone"])
async def test_peer_that_cannot_be_is_refused(lab: Lab, host: str) -> None:
    allocation = lab.allocate()
    with pytest.raises(ValueError, match=r"no relay of the address family|no IP address"):
        lab.bind(allocation, TransportAddress(host, 1))
