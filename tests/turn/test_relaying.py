"""Send indications and ChannelData: RFC 8656 sections 11.2 and 12.6."""

import pytest

from tests.turn.client import OTHER_PEER, PEER, Client, code, peers
from tests.turn.world import World
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.attribute import (
    DATA,
    DONT_FRAGMENT,
    PRIORITY,
    SOFTWARE,
    XOR_PEER_ADDRESS,
)
from tornado_webrtc.stun.message import MessageClass, Method, encode
from tornado_webrtc.turn.action import RelayData, Unpermit
from tornado_webrtc.turn.request import AttributeValue


def assert_dropped(client: Client, data: bytes, reason: str) -> None:
    """Nothing comes of it but a count."""
    counters = client.world.server.counters
    before = counters.copy()
    assert client.send(data) == []
    assert counters - before == {f"dropped-{reason}": 1}


def indication(client: Client, *attributes: AttributeValue) -> bytes:
    """Encode a Send indication."""
    transaction_id = client.world.transaction_id()
    return encode(Method.SEND, MessageClass.INDICATION, transaction_id, attributes)


def permitted(transport: str = "udp") -> Client:
    """Make a client with a permission and a channel."""
    alice = World().client(transport=transport)
    alice.allocated()
    assert code(alice.bind(0x4000, PEER)) == 0
    return alice


# --- Send -------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)), bytes(60000)])
def test_send_reaches_a_permitted_peer(data: bytes) -> None:
    alice = permitted()
    peer = PEER._replace(port=7)
    assert alice.indicate(peer, data) == [RelayData(alice.allocation, peer, data, False)]  # type: ignore[arg-type]
    assert alice.take() == []


def test_dont_fragment_is_passed_on() -> None:
    alice = permitted()
    (action,) = alice.indicate(PEER, b"x", (DONT_FRAGMENT, True))
    assert isinstance(action, RelayData)
    assert action.dont_fragment


def test_without_permission() -> None:
    alice = permitted()
    data = indication(alice, *peers(OTHER_PEER), (DATA, b"x"))
    assert_dropped(alice, data, "no-permission")


def test_permission_ends_with_its_time_whether_or_not_anybody_expired_it() -> None:
    alice = permitted()
    allocation = alice.allocation
    assert allocation is not None
    alice.world.wait(299.9)
    assert len(alice.indicate(PEER, b"x")) == 1
    alice.world.wait(0.1)
    assert alice.indicate(PEER, b"x") == [Unpermit(allocation, PEER.host)]


def test_send_does_not_refresh_the_permission() -> None:
    """ "Permissions are only refreshed by CreatePermission and ChannelBind" (section 9)."""
    alice = permitted()
    allocation = alice.allocation
    assert allocation is not None
    before = allocation.permissions[PEER.host].expires_at
    alice.world.wait(100)
    alice.indicate(PEER, b"x")
    assert allocation.permissions[PEER.host].expires_at == before


def test_without_allocation() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    alice.allocated()
    alice.permit(PEER)
    data = indication(bob, *peers(PEER), (DATA, b"x"))
    assert_dropped(bob, data, "send-without-allocation")
    world.wait(600)
    world.expire()
    assert_dropped(alice, data, "send-without-allocation")


@pytest.mark.parametrize(
    "attributes", [peers(PEER), [(DATA, b"x")], [], [(SOFTWARE, "x"), (DONT_FRAGMENT, True)]]
)
def test_peer_and_data_are_required(attributes: list[AttributeValue]) -> None:
    alice = permitted()
    assert_dropped(alice, indication(alice, *attributes), "malformed")


def test_malformed_peer() -> None:
    alice = permitted()
    data = bytearray(indication(alice, *peers(PEER), (DATA, b"x")))
    data[data.index(XOR_PEER_ADDRESS.code.to_bytes(2)) + 5] = 9
    assert_dropped(alice, bytes(data), "malformed")


def test_unknown_attribute_that_has_to_be_understood() -> None:
    alice = permitted()
    data = indication(alice, *peers(PEER), (DATA, b"x"), (PRIORITY, 1))
    assert_dropped(alice, data, "unknown-attribute")


def test_unknown_attribute_that_need_not() -> None:
    alice = permitted()
    data = indication(alice, *peers(PEER), (DATA, b"x"), (SOFTWARE, "x"))
    assert len(alice.send(data)) == 1


# --- ChannelData ------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "tls", "udp", "dtls"])
@pytest.mark.parametrize("data", [b"", b"x", b"1234", bytes(60000)])
def test_channel_data_is_the_relay_tables(transport: str, data: bytes) -> None:
    """What still comes here has no live allocation there."""
    alice = permitted(transport)
    frame = channeldata.encode(0x4000, data, pad=alice.five_tuple.is_stream)
    assert_dropped(alice, frame, "channel-data-without-allocation")


@pytest.mark.parametrize(
    "frame", [b"", b"\x40", b"\x40\0\0", b"\x40\0\0\x04abc", b"\x80\0\0\0", b"GET / HTTP/1.1\r\n"]
)
def test_neither_stun_nor_channel_data(frame: bytes) -> None:
    assert_dropped(permitted("tcp"), frame, "malformed")
