"""Tier 0 of the data plane: in Python, on the IOLoop; runs everywhere."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence

from tornado.ioloop import IOLoop

from tornado_webrtc.relay.entry import Entry, Listener, Relay
from tornado_webrtc.relay.icmp import take_errors
from tornado_webrtc.relay.relaying import Relaying
from tornado_webrtc.relay.socket import (
    RelaySocket,
    open_listeners,
    socket_address,
    transport_address,
)
from tornado_webrtc.relay.table import Bucket, Client, Counters, SinkClient, Slot
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

__all__ = ["PureTable"]


def _ignore(*_: object) -> None:
    """Stand in for a callback until there is one."""


class PureTable:
    """A `RelayTable` without anything native.

    Args:
        random: Returns a number from 0 up to, not including, its argument:
            `secrets.randbelow`.
        clock: Monotonic seconds.
    """

    def __init__(
        self, random: Callable[[int], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.on_punt: Callable[[FiveTuple, bytes], None] = _ignore
        self.on_icmp: Callable[[Slot, TransportAddress, int, int, bytes], None] = _ignore
        self._clock = clock
        self._loop: IOLoop | None = None
        self._last_slot = 0
        self._entries: dict[Slot, Entry] = {}
        self._listeners: dict[TransportAddress, Listener] = {}
        self._relaying = Relaying(clock, random(1 << 96), self._punt, self._report_icmp)

    def listen(self, addresses: Sequence[str], port: int) -> list[TransportAddress]:
        """See `RelayTable`."""
        opened = []
        for sock in open_listeners(addresses, port):
            listener = Listener(sock, transport_address(sock.getsockname()))
            self._listeners[listener.address] = listener
            self._relaying.own[socket_address(listener.address)] = listener
            self._watch(listener)
            opened.append(listener.address)
        return opened

    def add(
        self,
        client: Client,
        relays: tuple[RelaySocket, ...],
        expires_at: float,
        buckets: tuple[Bucket, ...] = (),
    ) -> Slot:
        """See `RelayTable`."""
        entry = Entry(Slot(self._last_slot + 1), client.five_tuple, expires_at, buckets)
        own = self._relaying.own
        for each in relays:
            if isinstance(own.get(entry.add_relay(each).local), Relay):
                raise ValueError(f"{each.local} is the relay of another slot")
        self._attach(entry, client)
        self._last_slot = entry.slot
        self._entries[entry.slot] = entry
        for relay in entry.relays.values():
            own[relay.local] = relay
            own.setdefault(relay.source, relay)
            self._watch(relay)
        return entry.slot

    def move_client(self, slot: Slot, client: Client) -> None:
        """See `RelayTable`."""
        self._attach(self._entries[slot], client)

    def set_buckets(self, slot: Slot, buckets: tuple[Bucket, ...]) -> None:
        """See `RelayTable`."""
        self._entries[slot].buckets = buckets

    def set_expiry(self, slot: Slot, expires_at: float) -> None:
        """See `RelayTable`."""
        self._entries[slot].expires_at = expires_at

    def remove(self, slot: Slot) -> Counters:
        """See `RelayTable`."""
        entry = self._entries.pop(slot)
        self._detach(entry)
        own = self._relaying.own
        for relay in entry.relays.values():
            for address in (relay.local, relay.source):
                if own.get(address) is relay:
                    del own[address]
            self._close(relay)
        return entry.counters()

    def permit(self, slot: Slot, ip: str, expires_at: float, hairpin: bool = False) -> None:
        """See `RelayTable`."""
        self._entries[slot].permit(ip, expires_at, hairpin)

    def unpermit(self, slot: Slot, ip: str) -> None:
        """See `RelayTable`."""
        self._entries[slot].unpermit(ip)

    def bind_channel(
        self, slot: Slot, number: int, peer: TransportAddress, expires_at: float
    ) -> None:
        """See `RelayTable`."""
        self._entries[slot].bind_channel(number, peer, expires_at, self._clock())

    def unbind_channel(self, slot: Slot, number: int) -> None:
        """See `RelayTable`."""
        self._entries[slot].unbind_channel(number)

    def map_address(self, advertised: TransportAddress, local: TransportAddress | None) -> None:
        """See `RelayTable`."""
        own, address = self._relaying.own, socket_address(advertised)
        if isinstance(own.get(address), Relay | Listener):
            return  # it is known for what it is
        if local is None:
            own.pop(address, None)
        else:
            own[address] = socket_address(local)

    def receive(self, five_tuple: FiveTuple, frames: Iterable[bytes]) -> None:
        """See `RelayTable`."""
        self._relaying.read_stream(five_tuple, frames)

    def send(self, slot: Slot, peer: TransportAddress, data: bytes, dont_fragment: bool) -> bool:
        """See `RelayTable`."""
        return self._relaying.send(self._entries[slot], socket_address(peer), data, dont_fragment)

    def send_to_client(self, five_tuple: FiveTuple, data: bytes) -> None:
        """See `RelayTable`."""
        if (listener := self._listeners.get(five_tuple.server)) is None:
            return
        try:
            listener.sock.sendto(data, socket_address(five_tuple.client))
        except OSError:
            return

    def counters(self, slot: Slot) -> Counters:
        """See `RelayTable`."""
        return self._entries[slot].counters()

    def start(self) -> None:
        """See `RelayTable`."""
        self._loop = IOLoop.current()
        for listener in self._listeners.values():
            self._watch(listener)
        for entry in self._entries.values():
            for relay in entry.relays.values():
                self._watch(relay)

    def stop(self) -> None:
        """See `RelayTable`."""
        for slot in list(self._entries):
            self.remove(slot)
        for listener in self._listeners.values():
            self._close(listener)
        self._listeners.clear()
        self._relaying.own.clear()
        self._loop = None

    def _attach(self, entry: Entry, client: Client) -> None:
        """Let an entry have this client, and no other any more.

        Raises:
            ValueError: If it cannot be; then nothing has changed.
        """
        five_tuple = client.five_tuple
        if isinstance(client, SinkClient):
            streams = self._relaying.streams
            if streams.get(five_tuple, entry) is not entry:
                raise ValueError(f"{five_tuple} has an allocation already")
            self._detach(entry)
            entry.write = client.write
            streams[five_tuple] = entry
        else:
            if (listener := self._listeners.get(five_tuple.server)) is None:
                raise ValueError(f"no UDP socket listens on {five_tuple.server}")
            address = socket_address(five_tuple.client)
            if listener.clients.get(address, entry) is not entry:
                raise ValueError(f"{five_tuple} has an allocation already")
            self._detach(entry)
            entry.write = None
            entry.client_sock, entry.client = listener.sock, address
            listener.clients[address] = entry
        entry.five_tuple = five_tuple

    def _detach(self, entry: Entry) -> None:
        streams = self._relaying.streams
        if streams.get(entry.five_tuple) is entry:
            del streams[entry.five_tuple]
        listener = self._listeners.get(entry.five_tuple.server)
        if listener is not None and listener.clients.get(entry.client) is entry:
            del listener.clients[entry.client]

    def _watch(self, place: Listener | Relay) -> None:
        if self._loop is None:
            return
        reader = (
            functools.partial(self._relaying.read_listener, place)
            if isinstance(place, Listener)
            else functools.partial(self._relaying.read_relay, place)
        )
        self._loop.add_handler(place.sock, reader, IOLoop.READ)

    def _close(self, place: Listener | Relay) -> None:
        if self._loop is not None:
            self._loop.remove_handler(place.sock)
        place.sock.close()

    def _punt(self, five_tuple: FiveTuple, data: bytes) -> None:
        self.on_punt(five_tuple, data)

    def _report_icmp(self, relay: Relay) -> None:
        """Tell what came back for datagrams to peers that have a permission."""
        relay.troubled = False
        if relay.sock.fileno() < 0:
            return  # a callback closed it
        errors = list(take_errors(relay.sock))
        if errors and self._loop is not None:
            # uvloop watches a socket no more once it had an error.
            self._loop.remove_handler(relay.sock)
            self._watch(relay)
        entry, now = relay.entry, self._clock()
        for error in errors:
            if entry.slot not in self._entries:
                return  # the callback removed it
            permission = entry.permissions.get(error.peer[0])
            if permission is not None and now < min(permission.expires_at, entry.expires_at):
                peer = transport_address(error.peer)
                self.on_icmp(entry.slot, peer, error.type, error.code, error.data)
