"""What the table does not relay: it goes to `on_punt`, answers go out from the same socket."""

import pytest

from tests.conftest import ExpectLog
from tests.relay.lab import CLIENT, HOUR_S, OTHER, PEER, SERVER, Lab, channel_data
from tornado_webrtc.errors import ListenError
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

BINDING = bytes.fromhex("0001 0000 2112a442 000102030405060708090a0b")


@pytest.mark.parametrize(
    "data", [BINDING, b"", b"\x00", b"\x80\x60rtp", b"\x16\xfe\xfddtls", b"\x3f\xff\xff\xff"]
)
@pytest.mark.parametrize("known", [True, False])
async def test_whatever_is_no_channel_data(lab: Lab, data: bytes, known: bool) -> None:
    allocation = lab.allocate()
    lab.connect(allocation, TransportAddress(PEER, 9))
    client = allocation.client if known else lab.endpoint(OTHER)
    client.send(data, lab.listeners[SERVER])
    await lab.until(lambda: bool(lab.punted))
    assert lab.punted == [(FiveTuple("udp", client.address, lab.listeners[SERVER]), data)]
    assert allocation.counters.dropped == 0


async def test_channel_data_of_an_unknown_five_tuple(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    stranger = lab.endpoint(CLIENT)
    stranger.send(channel_data(b"hello"), lab.listeners[SERVER])
    await lab.until(lambda: bool(lab.punted))
    five_tuple = allocation.five_tuple._replace(client=stranger.address)
    assert lab.punted == [(five_tuple, channel_data(b"hello"))]
    assert peer.is_empty()


async def test_channel_data_of_an_expired_allocation(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    lab.clock.advance(HOUR_S)
    lab.send_channel(allocation, b"hello")
    await lab.until(lambda: bool(lab.punted))
    assert lab.punted == [(allocation.five_tuple, channel_data(b"hello"))]


async def test_channel_data_to_another_listening_socket(lab: Lab) -> None:
    """A five-tuple has the server's address in it (RFC 8656 section 2)."""
    lab.listen("127.0.0.8")
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)
    other = lab.listeners["127.0.0.8"]
    allocation.client.send(channel_data(b"hello"), other)
    await lab.until(lambda: bool(lab.punted))
    five_tuple = allocation.five_tuple._replace(server=other)
    assert lab.punted == [(five_tuple, channel_data(b"hello"))]


@pytest.mark.parametrize(("server", "client"), [(SERVER, CLIENT), ("::1", "::1")])
async def test_answer_comes_from_where_the_question_went(
    lab: Lab, server: str, client: str
) -> None:
    asking = lab.endpoint(client)
    asking.send(BINDING, lab.listeners[server])
    await lab.until(lambda: bool(lab.punted))
    lab.table.send_to_client(lab.punted[0][0], b"answer")
    assert await asking.receive() == (b"answer", lab.listeners[server])


async def test_answer_that_cannot_be_sent_is_lost(lab: Lab) -> None:
    five_tuple = FiveTuple("udp", TransportAddress(CLIENT, 9), lab.listeners[SERVER])
    lab.table.send_to_client(five_tuple, bytes(70000))
    lab.table.send_to_client(five_tuple._replace(server=TransportAddress(SERVER, 9)), b"x")
    lab.table.stop()
    lab.table.send_to_client(five_tuple, b"x")


async def test_listeners_have_one_port_on_all_addresses(lab: Lab) -> None:
    bound = lab.table.listen(["127.0.0.7", "127.0.0.8", "::1"], 0)
    assert [address.host for address in bound] == ["127.0.0.7", "127.0.0.8", "::1"]
    assert len({address.port for address in bound}) == 1
    assert bound[0].port > 0


async def test_port_in_use_is_refused(lab: Lab) -> None:
    taken = lab.endpoint("127.0.0.8").address
    with pytest.raises(ListenError, match=rf"port {taken.port} of 127\.0\.0\.8: it is in use"):
        lab.table.listen(["127.0.0.7", "127.0.0.8"], taken.port)
    assert lab.table.listen(["127.0.0.7"], taken.port) == [taken._replace(host="127.0.0.7")]


async def test_callback_may_remove_the_slot(lab: Lab) -> None:
    allocation, peer = lab.allocate(), lab.endpoint(PEER)
    lab.connect(allocation, peer.address)

    def remove(five_tuple: FiveTuple, data: bytes) -> None:
        lab.punted.append((five_tuple, data))
        if data == BINDING:
            lab.table.remove(allocation.slot)

    lab.table.on_punt = remove
    allocation.client.send(BINDING, lab.listeners[SERVER])
    lab.send_channel(allocation, b"hello")
    await lab.until(lambda: len(lab.punted) == 2)
    assert peer.is_empty()


async def test_callback_may_stop_the_table(lab: Lab) -> None:
    def stop(five_tuple: FiveTuple, data: bytes) -> None:
        lab.punted.append((five_tuple, data))
        lab.table.stop()

    lab.table.on_punt = stop
    client = lab.endpoint(CLIENT)
    client.send(BINDING, lab.listeners[SERVER])
    client.send(BINDING, lab.listeners[SERVER])
    await lab.until(lambda: bool(lab.punted))
    assert len(lab.punted) == 1


async def test_callback_that_fails_stops_nothing(lab: Lab, expect_log: ExpectLog) -> None:
    def fail(five_tuple: FiveTuple, data: bytes) -> None:
        lab.punted.append((five_tuple, data))
        raise RuntimeError("a fault of the caller")

    lab.table.on_punt = fail
    expect_log("a fault of the caller|Exception in callback")
    client = lab.endpoint(CLIENT)
    client.send(BINDING, lab.listeners[SERVER])
    client.send(BINDING, lab.listeners[SERVER])
    await lab.until(lambda: len(lab.punted) == 2)
