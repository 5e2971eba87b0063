"""Send and Data indications (RFC 8656 section 11): data without a channel."""

import pytest

from tests.relay.lab import OTHER, PEER, Lab
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import DATA, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import MessageClass, Method, decode

IP_MTU_DISCOVER, DONT, DO = 10, 0, 2  # ip(7)


@pytest.mark.parametrize(
    ("data", "length", "attribute"),
    [
        (b"", "0010", "0013 0000"),
        (b"a", "0014", "0013 0001 61000000"),
        (b"abc", "0014", "0013 0003 61626300"),
        (b"abcd", "0014", "0013 0004 61626364"),
        (b"abcde", "0018", "0013 0005 6162636465000000"),
    ],
)
async def test_ipv4_data_indication(lab: Lab, data: bytes, length: str, attribute: str) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    peer.send(b"\xff" * 64, allocation.address)  # what padding must not show
    await allocation.client.data()
    peer.send(data, allocation.address)
    message, source = await allocation.client.receive()
    xport = (peer.address.port ^ 0x2112).to_bytes(2).hex()
    head, transaction_id, rest = message[:8], message[8:20], message[20:]
    assert head == bytes.fromhex(f"0017 {length} 2112a442")
    assert rest == bytes.fromhex(f"0012 0008 0001 {xport} 5e12a441 {attribute}")
    assert source == allocation.five_tuple.server
    assert transaction_id != bytes(12)
    assert allocation.counters[:4] == (0, 0, 2, 64 + len(data))


async def test_ipv6_data_indication(lab: Lab) -> None:
    allocation, peer = lab.allocate(host="::1", client_host="::1"), lab.endpoint("::1")
    lab.permit(allocation, "::1")
    peer.send(b"hello", allocation.address)
    message = await allocation.client.data()
    xport = (peer.address.port ^ 0x2112).to_bytes(2).hex()
    transaction_id = message[8:20]
    masked = transaction_id[:11].hex() + bytes([transaction_id[11] ^ 1]).hex()
    assert message[:8] == bytes.fromhex("0017 0024 2112a442")
    assert message[20:] == bytes.fromhex(
        f"0012 0014 0002 {xport} 2112a442 {masked} 0013 0005 68656c6c6f000000"
    )


async def test_every_indication_is_a_transaction_of_its_own(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    messages = []
    for _ in range(20):
        peer.send(b"hello", allocation.address)
        messages.append(decode(await allocation.client.data()))
    assert len({message.transaction_id for message in messages}) == 20
    for message in messages:
        assert message.method == Method.DATA
        assert message.message_class == MessageClass.INDICATION
        assert message.get(XOR_PEER_ADDRESS) == peer.address
        assert message.get(DATA) == b"hello"


async def test_data_without_permission_is_dropped(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(OTHER)
    lab.permit(allocation, PEER)
    peer.send(b"hello", allocation.address)
    await lab.counted(allocation, dropped_permission=1)
    assert allocation.client.is_empty()
    assert allocation.counters.dropped == 1


async def test_send(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    assert lab.table.send(allocation.slot, peer.address, b"hello", False)
    assert await peer.receive() == (b"hello", allocation.address)
    assert lab.table.send(allocation.slot, peer.address, b"", False)
    assert await peer.receive() == (b"", allocation.address)
    assert allocation.counters[:4] == (2, 5, 0, 0)


async def test_send_ipv6(lab: Lab) -> None:
    allocation, peer = lab.allocate(host="::1", client_host="::1"), lab.endpoint("::1")
    lab.permit(allocation, "0:0::1")
    assert lab.table.send(allocation.slot, TransportAddress("0::1", peer.address.port), b"x", True)
    assert await peer.receive() == (b"x", allocation.address)
    assert lab.table.send(allocation.slot, peer.address, b"y", False)
    assert await peer.receive() == (b"y", allocation.address)


async def test_send_without_permission_is_dropped(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(OTHER)
    lab.permit(allocation, PEER)
    assert not lab.table.send(allocation.slot, peer.address, b"hello", False)
    assert peer.is_empty()
    assert allocation.counters.dropped_permission == 1


async def test_send_to_a_family_without_relay_is_dropped(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint("::1")
    lab.permit(allocation, "::1")
    assert not lab.table.send(allocation.slot, peer.address, b"hello", False)
    assert peer.is_empty()
    assert allocation.counters.dropped_send == 1


async def test_what_the_kernel_refuses_is_dropped(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.permit(allocation, PEER)
    assert not lab.table.send(allocation.slot, TransportAddress(PEER, 0), b"hello", False)
    assert not lab.table.send(allocation.slot, peer.address, bytes(65508), False)
    assert not lab.table.send(allocation.slot, peer.address, bytes(70000), False)
    assert allocation.counters.dropped_send == 3
    assert lab.table.send(allocation.slot, peer.address, bytes(65507), False)
    assert await peer.data() == bytes(65507)


async def test_dont_fragment_is_for_one_datagram(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    sock = allocation.relays[0].sock

    def state() -> int:
        return sock.getsockopt(0, IP_MTU_DISCOVER)

    assert state() == DONT
    for wanted, expected in ((True, DO), (True, DO), (False, DONT), (True, DO)):
        assert lab.table.send(allocation.slot, peer.address, b"hello", wanted)
        assert await peer.data() == b"hello"
        assert state() == expected
    lab.send_channel(allocation, b"channel")
    assert await peer.data() == b"channel"
    assert state() == DONT
