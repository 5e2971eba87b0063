"""A relay table with clients and peers around it, all on real sockets.

Loopback addresses 127.0.0.x stand for hosts; the table's clock is the test's.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tornado_webrtc.relay import (
    Bucket,
    Counters,
    RelaySocket,
    RelayTable,
    SinkClient,
    Slot,
    UdpClient,
    open_relay,
)
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

DEADLINE_S = 15.0
PORTS = range(49152, 65536)
SERVER, CLIENT, PEER, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
HOUR_S = 3600.0
CHANNEL = 0x4000

TableFactory = Callable[["Clock"], RelayTable]


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Endpoint:
    """A UDP socket of a client or peer."""

    def __init__(self, host: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((host, port))
        self.address = TransportAddress(*self.sock.getsockname()[:2])

    def send(self, data: bytes, to: TransportAddress) -> None:
        self.sock.sendto(data, to)

    async def receive(self) -> tuple[bytes, TransportAddress]:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.sock, readable.set)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await readable.wait()
        finally:
            loop.remove_reader(self.sock)
        data, source = self.sock.recvfrom(65536)
        return data, TransportAddress(*source[:2])

    async def data(self) -> bytes:
        return (await self.receive())[0]

    def is_empty(self) -> bool:
        """Tell whether nothing has come; what was sent on loopback is there at once."""
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


@dataclass
class Allocation:
    """A slot, its client and its relays; `written` is what a stream client got."""

    table: RelayTable
    slot: Slot
    client: Endpoint
    relays: list[RelaySocket]
    five_tuple: FiveTuple
    written: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> TransportAddress:
        return self.relays[0].local

    @property
    def advertised(self) -> TransportAddress:
        return self.relays[0].advertised

    @property
    def counters(self) -> Counters:
        return self.table.counters(self.slot)


class Lab:
    """The table, and what it called back with."""

    def __init__(self, factory: TableFactory, stack: ExitStack) -> None:
        self.clock = Clock()
        self.table = factory(self.clock)
        self.punted: list[tuple[FiveTuple, bytes]] = []
        self.icmp: list[tuple[Slot, TransportAddress, int, int, bytes]] = []
        self.table.on_punt = lambda *arguments: self.punted.append(arguments)
        self.table.on_icmp = lambda *arguments: self.icmp.append(arguments)
        self.listeners: dict[str, TransportAddress] = {}
        self._stack = stack
        stack.callback(self.table.stop)

    def listen(self, *hosts: str) -> None:
        for address in self.table.listen(hosts, 0):
            self.listeners[address.host] = address

    def endpoint(self, host: str, port: int = 0) -> Endpoint:
        endpoint = Endpoint(host, port)
        self._stack.callback(endpoint.sock.close)
        return endpoint

    def relay(self, host: str = SERVER, advertised: str = "") -> RelaySocket:
        opened = open_relay(host, PORTS, random=secrets.randbelow, advertised=advertised or host)
        assert opened is not None
        return opened[0]

    def allocate(
        self,
        *,
        host: str = SERVER,
        client_host: str = CLIENT,
        advertised: str = "",
        buckets: tuple[Bucket, ...] = (),
    ) -> Allocation:
        """Take in an allocation of a new UDP client."""
        client = self.endpoint(client_host)
        five_tuple = FiveTuple("udp", client.address, self.listeners[host])
        relays = [self.relay(host, advertised)]
        expires_at = self.clock.now + HOUR_S
        slot = self.table.add(UdpClient(five_tuple), tuple(relays), expires_at, buckets)
        return Allocation(self.table, slot, client, relays, five_tuple)

    def allocate_stream(self, *, host: str = SERVER, full: bool = False) -> Allocation:
        """Take in an allocation of a new stream client, with or without room in its buffer."""
        client = self.endpoint(CLIENT)  # a name only: its stream is `written`
        five_tuple = FiveTuple("tcp", client.address, TransportAddress(host, 3478))
        relays, written = [self.relay(host)], list[bytes]()

        def write(frame: bytes) -> bool:
            written.append(frame)
            return not full

        sink = SinkClient(five_tuple, write)
        slot = self.table.add(sink, tuple(relays), self.clock.now + HOUR_S)
        return Allocation(self.table, slot, client, relays, five_tuple, written)

    def permit(self, allocation: Allocation, ip: str, hairpin: bool = False) -> None:
        self.table.permit(allocation.slot, ip, self.clock.now + 300, hairpin)

    def bind(self, allocation: Allocation, peer: TransportAddress, number: int = CHANNEL) -> None:
        """Bind a channel that lives longer than a permission."""
        self.table.bind_channel(allocation.slot, number, peer, self.clock.now + 600)

    def connect(
        self, allocation: Allocation, peer: TransportAddress, *, hairpin: bool = False
    ) -> None:
        """Install permission and channel."""
        self.permit(allocation, peer.host, hairpin)
        self.bind(allocation, peer)

    def send_channel(self, allocation: Allocation, data: bytes, number: int = CHANNEL) -> None:
        """Let the client send ChannelData."""
        allocation.client.send(channel_data(data, number), allocation.five_tuple.server)

    async def counted(self, allocation: Allocation, **expected: int) -> None:
        """Wait until counters have these values."""
        await self.until(
            lambda: all(
                getattr(allocation.counters, name) == value for name, value in expected.items()
            )
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, and fail if it does not come true in time."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - a counter sets no event
                await asyncio.sleep(0.001)


@contextmanager
def open_lab(factory: TableFactory, *, start: bool = True) -> Iterator[Lab]:
    """A table with listeners on 127.0.0.1 and ::1."""
    with ExitStack() as stack:
        lab = Lab(factory, stack)
        lab.listen(SERVER, "::1")
        if start:
            lab.table.start()
        yield lab


def channel_data(data: bytes, number: int = CHANNEL) -> bytes:
    return number.to_bytes(2) + len(data).to_bytes(2) + data
