"""Two clients of one server: data between relays stays in the table.

Behind a 1:1 NAT the advertised address often cannot be reached from the server
itself: 203.0.113.5 stands for one.
"""

import pytest

from tests.relay.lab import CHANNEL, PEER, SERVER, Allocation, Lab, channel_data
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import DATA, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import decode

UNROUTABLE = "203.0.113.5"
ADVERTISED = [UNROUTABLE, SERVER]


def pair(lab: Lab, advertised: str) -> tuple[Allocation, Allocation]:
    return lab.allocate(advertised=advertised), lab.allocate(advertised=advertised)


@pytest.mark.parametrize("advertised", ADVERTISED)
async def test_channels_both_ways(lab: Lab, advertised: str) -> None:
    one, two = pair(lab, advertised)
    for mine, other in ((one, two), (two, one)):
        assert mine.advertised.host == advertised
        lab.connect(mine, other.advertised, hairpin=True)
    for mine, other in ((one, two), (two, one)):
        lab.send_channel(mine, b"hello")
        assert await other.client.data() == channel_data(b"hello")
    assert one.counters[:4] == two.counters[:4] == (1, 5, 1, 5)
    assert one.counters.dropped == two.counters.dropped == 0


@pytest.mark.parametrize("advertised", ADVERTISED)
async def test_receiver_sees_the_advertised_address(lab: Lab, advertised: str) -> None:
    one, two = pair(lab, advertised)
    lab.permit(one, advertised, hairpin=True)
    lab.permit(two, advertised, hairpin=True)
    assert lab.table.send(one.slot, two.advertised, b"hello", False)
    message = decode(await two.client.data())
    assert message.get(XOR_PEER_ADDRESS) == one.advertised
    assert message.get(DATA) == b"hello"


async def test_ipv6(lab: Lab) -> None:
    one, two = (lab.allocate(host="::1", client_host="::1", advertised="2001:db8::5") for _ in "12")
    lab.connect(one, two.advertised, hairpin=True)
    lab.connect(two, one.advertised, hairpin=True)
    lab.send_channel(one, b"hello")
    assert await two.client.data() == channel_data(b"hello")


async def test_local_address_is_delivered_too(lab: Lab) -> None:
    one, two = pair(lab, UNROUTABLE)
    lab.connect(one, two.address, hairpin=True)
    lab.connect(two, one.advertised, hairpin=True)
    lab.send_channel(one, b"hello")
    assert await two.client.data() == channel_data(b"hello")


async def test_channel_and_indication_may_meet(lab: Lab) -> None:
    one, two = pair(lab, UNROUTABLE)
    lab.connect(one, two.advertised, hairpin=True)
    lab.permit(two, UNROUTABLE, hairpin=True)
    lab.send_channel(one, b"\xff" * 99)
    await two.client.data()
    lab.send_channel(one, b"hello")
    message = await two.client.data()
    assert decode(message).get(DATA) == b"hello"
    assert message[-8:] == b"hello\0\0\0"
    assert lab.table.send(two.slot, one.advertised, b"world", False)
    assert await one.client.data() == channel_data(b"world")


async def test_client_may_talk_to_itself(lab: Lab) -> None:
    one = lab.allocate(advertised=UNROUTABLE)
    lab.connect(one, one.advertised, hairpin=True)
    lab.send_channel(one, b"hello")
    assert await one.client.data() == channel_data(b"hello")


async def test_stream_client_receives(lab: Lab) -> None:
    one, two = lab.allocate(), lab.allocate_stream()
    lab.connect(one, two.address, hairpin=True)
    lab.connect(two, one.address, hairpin=True)
    lab.send_channel(one, b"\xff" * 99)
    lab.send_channel(one, b"hello")
    await lab.until(lambda: len(two.written) == 2)
    assert two.written[1] == channel_data(b"hello") + bytes(3)


LONGEST = {SERVER: 65507, "::1": 65527}
"""Data of a UDP datagram: 65,535 bytes less its header, with IPv4 less the IP header too."""


@pytest.mark.parametrize("host", [SERVER, "::1"])
@pytest.mark.parametrize("channel", [True, False])
async def test_what_no_datagram_can_carry_is_dropped(lab: Lab, host: str, channel: bool) -> None:
    """A stream could: a channel's data may have 65,535 bytes."""
    one, two = lab.allocate_stream(host=host), lab.allocate_stream(host=host)
    lab.connect(one, two.address, hairpin=True)
    lab.permit(two, host, hairpin=True)
    if channel:
        lab.bind(two, one.address)
    for size in (LONGEST[host] + 1, 65532, 65533, 65534, 65535):
        lab.table.receive(one.five_tuple, [channel_data(bytes(size))])
    assert one.counters.dropped_send == 5
    assert two.written == []


@pytest.mark.parametrize("host", [SERVER, "::1"])
async def test_what_a_datagram_can_carry_comes(lab: Lab, host: str) -> None:
    one, two = lab.allocate_stream(host=host), lab.allocate_stream(host=host)
    lab.connect(one, two.address, hairpin=True)
    lab.connect(two, one.address, hairpin=True)
    sizes = range(LONGEST[host] - 4, LONGEST[host] + 1)
    lab.table.receive(one.five_tuple, [channel_data(bytes(size)) for size in sizes])
    assert two.written == [channel_data(bytes(size)) + bytes(-size % 4) for size in sizes]
    assert one.counters.packets_to_peer == two.counters.packets_from_peer == 5


async def test_receiver_has_to_permit_the_sender(lab: Lab) -> None:
    one, two = pair(lab, UNROUTABLE)
    lab.connect(one, two.advertised, hairpin=True)
    lab.permit(two, SERVER, hairpin=True)  # not what the sender is seen as
    lab.send_channel(one, b"hello")
    await lab.counted(two, dropped_permission=1)
    assert two.client.is_empty()


async def test_sender_has_to_permit_the_receiver(lab: Lab) -> None:
    one, two = pair(lab, UNROUTABLE)
    lab.connect(two, one.advertised, hairpin=True)
    assert not lab.table.send(one.slot, two.advertised, b"hello", False)
    assert one.counters.dropped_permission == 1
    assert two.client.is_empty()


@pytest.mark.parametrize("server", [SERVER, "::1"])
async def test_other_ports_of_the_server_are_out_of_reach(lab: Lab, server: str) -> None:
    """A permission is per address: what else runs on the server must stay closed."""
    one = lab.allocate(host=server, client_host=server)
    echo = lab.endpoint(server)
    lab.connect(one, echo.address, hairpin=True)
    lab.send_channel(one, b"hello")
    await lab.counted(one, dropped_own=1)
    assert not lab.table.send(one.slot, echo.address, b"hello", False)
    assert one.counters.dropped_own == 2
    assert echo.is_empty()


async def test_other_ports_of_the_server_reach_nobody(lab: Lab) -> None:
    one, program = lab.allocate(), lab.endpoint(SERVER)
    lab.connect(one, program.address, hairpin=True)
    program.send(b"hello", one.address)
    await lab.counted(one, dropped_own=1)
    assert one.client.is_empty()


@pytest.mark.parametrize("hairpin", [True, False])
async def test_own_listening_sockets_are_out_of_reach(lab: Lab, hairpin: bool) -> None:
    one = lab.allocate()
    lab.connect(one, lab.listeners[SERVER], hairpin=hairpin)
    lab.send_channel(one, b"hello")
    await lab.counted(one, dropped_own=1)
    assert not lab.table.send(one.slot, lab.listeners[SERVER], b"hello", False)
    assert one.counters.dropped_own == 2
    assert lab.punted == []


async def test_permission_that_is_not_marked_opens_every_port(lab: Lab) -> None:
    one, program = lab.allocate(), lab.endpoint(SERVER)
    lab.connect(one, program.address)
    lab.send_channel(one, b"hello")
    assert await program.receive() == (b"hello", one.address)
    program.send(b"world", one.address)
    assert await one.client.data() == channel_data(b"world")


async def test_mark_is_changed_by_the_next_permission(lab: Lab) -> None:
    one, program = lab.allocate(), lab.endpoint(SERVER)
    lab.connect(one, program.address)
    lab.permit(one, SERVER, hairpin=True)
    assert not lab.table.send(one.slot, program.address, b"hello", False)
    assert one.counters.dropped_own == 1


@pytest.mark.parametrize("advertised", ADVERTISED)
async def test_removed_relay_is_not_live(lab: Lab, advertised: str) -> None:
    one, two = pair(lab, advertised)
    lab.connect(one, two.advertised, hairpin=True)
    lab.table.remove(two.slot)
    lab.send_channel(one, b"hello")
    await lab.counted(one, dropped_own=1)


async def test_more_addresses_can_stand_for_a_relay(lab: Lab) -> None:
    one, two = pair(lab, SERVER)
    more = TransportAddress("203.0.113.77", 4711)
    lab.table.map_address(more, two.address)
    lab.connect(one, more, hairpin=True)
    lab.connect(two, one.advertised, hairpin=True)
    lab.send_channel(one, b"hello")
    assert await two.client.data() == channel_data(b"hello")
    lab.table.map_address(more, None)
    lab.table.map_address(more, None)
    lab.send_channel(one, b"hello")
    await lab.counted(one, dropped_own=1)


async def test_more_addresses_can_stand_for_a_listening_socket(lab: Lab) -> None:
    one, more = lab.allocate(), TransportAddress("203.0.113.77", 3478)
    lab.table.map_address(more, lab.listeners[SERVER])
    lab.connect(one, more)
    lab.send_channel(one, b"hello")
    await lab.counted(one, dropped_own=1)


async def test_mapped_address_cannot_replace_a_real_one(lab: Lab) -> None:
    one, two = pair(lab, UNROUTABLE)
    lab.table.map_address(two.advertised, two.address)
    lab.table.map_address(two.address, None)
    lab.table.map_address(lab.listeners[SERVER], two.address)
    lab.table.map_address(TransportAddress("203.0.113.1", 1), TransportAddress("203.0.113.2", 2))
    lab.table.map_address(TransportAddress("203.0.113.2", 2), TransportAddress("203.0.113.1", 1))
    for advertised in ("203.0.113.1", UNROUTABLE):
        lab.permit(one, advertised, hairpin=True)
        lab.permit(two, advertised, hairpin=True)
    lab.bind(two, one.advertised)
    assert lab.table.send(one.slot, two.advertised, b"hello", False)
    assert await two.client.data() == channel_data(b"hello")
    assert not lab.table.send(one.slot, TransportAddress("203.0.113.1", 1), b"hello", False)
    lab.connect(one, lab.listeners[SERVER])
    lab.send_channel(one, b"hello", CHANNEL)
    await lab.counted(one, dropped_own=2)


async def test_peer_elsewhere_is_reached_all_the_same(lab: Lab) -> None:
    one, peer = lab.allocate(advertised=UNROUTABLE), lab.endpoint(PEER)
    lab.connect(one, peer.address)
    lab.send_channel(one, b"hello")
    assert await peer.receive() == (b"hello", one.address)
