"""The way of a datagram through tier 0, one batch at a time."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.relay.lab import CLIENT, PEER, SERVER, Clock, Endpoint, channel_data
from tornado_webrtc.relay.entry import Entry, Listener, Relay
from tornado_webrtc.relay.relaying import Relaying
from tornado_webrtc.relay.socket import open_relay
from tornado_webrtc.relay.table import Slot
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

BATCH = 16


class Bench:
    """One allocation, and a `Relaying` whose sockets are read when the test says so."""

    def __init__(self, stack: ExitStack) -> None:
        self.clock, self.clock_reads = Clock(), 0
        self.punted: list[bytes] = []
        self.troubled: list[Relay] = []
        self.relaying = Relaying(
            self.read_clock, 0, lambda _, data: self.punted.append(data), self.troubled.append
        )
        self.client, self.peer, server = Endpoint(CLIENT), Endpoint(PEER), Endpoint(SERVER)
        opened = open_relay(
            SERVER, range(49152, 65536), random=secrets.randbelow, advertised=SERVER
        )
        assert opened is not None
        (self.relay_socket,) = opened
        for each in (self.client, self.peer, server, self.relay_socket):
            stack.callback(each.sock.close)
        five_tuple = FiveTuple("udp", self.client.address, server.address)
        self.entry = Entry(Slot(1), five_tuple, 2000.0, ())
        self.listener = Listener(server.sock, server.address, {self.client.address: self.entry})
        self.entry.client, self.entry.client_sock = self.client.address, server.sock
        self.relay = self.entry.add_relay(self.relay_socket)
        self.entry.permit(PEER, 2000.0, hairpin=False)
        self.entry.bind_channel(0x4000, self.peer.address, 2000.0, 0.0)

    def read_clock(self) -> float:
        self.clock_reads += 1
        return self.clock.now

    def read_listener(self) -> None:
        self.relaying.read_listener(self.listener, self.listener.sock, 1)

    def read_relay(self) -> None:
        self.relaying.read_relay(self.relay, self.relay.sock, 1)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack)


def drain(endpoint: Endpoint) -> int:
    count = 0
    while not endpoint.is_empty():
        endpoint.sock.recv(65536)
        count += 1
    return count


def test_batch_from_the_client(bench: Bench) -> None:
    for _ in range(BATCH + 4):
        bench.client.send(channel_data(b"hello"), bench.listener.address)
    bench.read_listener()
    assert (drain(bench.peer), bench.clock_reads) == (BATCH, 1)
    bench.read_listener()
    assert (drain(bench.peer), bench.clock_reads) == (4, 2)


def test_batch_from_the_peer(bench: Bench) -> None:
    for _ in range(BATCH + 4):
        bench.peer.send(b"hello", bench.relay_socket.local)
    bench.read_relay()
    assert (drain(bench.client), bench.clock_reads) == (BATCH, 1)
    bench.read_relay()
    assert (drain(bench.client), bench.clock_reads) == (4, 2)


def test_batch_from_a_stream(bench: Bench) -> None:
    bench.relaying.streams[bench.entry.five_tuple] = bench.entry
    bench.relaying.read_stream(bench.entry.five_tuple, [channel_data(b"hello")] * (BATCH + 4))
    assert (drain(bench.peer), bench.clock_reads) == (BATCH + 4, 1)


def test_batch_of_punted_datagrams(bench: Bench) -> None:
    for _ in range(BATCH + 4):
        bench.client.send(b"\0hello", bench.listener.address)
    bench.read_listener()
    assert bench.punted == [b"\0hello"] * BATCH


def test_what_is_punted_stays_as_it_is(bench: Bench) -> None:
    for data in (b"\0 first, and longer", b"\0 second"):
        bench.client.send(data, bench.listener.address)
        bench.read_listener()
    assert bench.punted == [b"\0 first, and longer", b"\0 second"]


def test_waking_for_nothing_is_worth_a_look_at_the_errors(bench: Bench) -> None:
    bench.read_relay()
    assert bench.troubled == [bench.relay]
    bench.peer.send(b"hello", bench.relay_socket.local)
    bench.read_relay()
    assert bench.troubled == [bench.relay]


def test_error_is_worth_a_look(bench: Bench) -> None:
    with Endpoint(PEER).sock as nobody:
        address = TransportAddress(*nobody.getsockname())
    assert bench.relaying.send(bench.entry, address, b"anybody?", False)
    assert bench.relaying.send(bench.entry, bench.peer.address, b"hello", False)
    assert drain(bench.peer) == 1, "although it met the error of the one before"
    bench.peer.send(b"hello", bench.relay_socket.local)
    bench.read_relay()
    assert bench.troubled == [bench.relay]
    assert drain(bench.client) == 1


def test_error_of_a_read_is_worth_a_look(bench: Bench) -> None:
    with Endpoint(PEER).sock as nobody:
        address = TransportAddress(*nobody.getsockname())
    assert bench.relaying.send(bench.entry, address, b"anybody?", False)
    bench.read_relay()
    assert bench.troubled == [bench.relay]


def test_closed_sockets_are_left_alone(bench: Bench) -> None:
    bench.listener.sock.close()
    bench.relay.sock.close()
    bench.read_listener()
    bench.read_relay()
    assert bench.punted == []


def test_addresses_that_stand_for_others_are_followed_once(bench: Bench) -> None:
    one, two, three = (("203.0.113.1", port) for port in (1, 2, 3))
    bench.relaying.own.update({one: two, two: three, three: bench.relay})
    assert bench.relaying.find(two) is bench.relay
    assert bench.relaying.find(three) is bench.relay
    assert bench.relaying.find(one) is None
    assert bench.relaying.find(("203.0.113.1", 4)) is None
