"""The way of a datagram through tier 0.

One buffer serves all sockets. A datagram is received into it with room before
it; a header is written into that room, or left out by slicing, and what is
sent is a part of the buffer: no data is copied, whichever way it goes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable

from tornado_webrtc.relay.entry import Entry, Listener, Permission, Relay
from tornado_webrtc.relay.indication import HEADROOM, TAILROOM, IndicationWriter
from tornado_webrtc.relay.socket import SocketAddress, set_dont_fragment, transport_address
from tornado_webrtc.relay.table import FROM_PEER, TO_PEER, datagram_bytes, grant
from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.stun.channeldata import HEADER_BYTES

__all__ = ["Relaying"]

_BATCH = 16
"""Datagrams that are taken from one socket before it is the next one's turn."""

_SIZE_MAX = 0xFFFF
_MOST_DATA = {2: 65507, 4: 65527}
"""Data of the longest UDP datagram, IPv4 and IPv6, by the length of a socket address."""

_DATAGRAM = HEADROOM
_DATA = _DATAGRAM + HEADER_BYTES
_PADDING = bytes(3)
_CHANNEL_DATA = 0b01
"""The first two bits of ChannelData, RFC 8656 section 12.4; STUN begins with 0b00."""

_header = struct.Struct("!HH")
_pack_header = _header.pack_into
_unpack_header = _header.unpack_from


class Relaying:
    """Reads sockets, and relays what permissions and channels allow.

    Args:
        clock: Monotonic seconds; read once per batch.
        first_transaction_id: Of Data indications; 96 bits, at random.
        on_punt: Called with what clients sent and is not relayed.
        on_trouble: Called when a relay socket's error queue is worth a look.

    Attributes:
        own: The sockets' own addresses, and addresses that stand for those:
            what is sent there through a relay never goes through the network.
        streams: The allocations of stream clients.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        first_transaction_id: int,
        on_punt: Callable[[FiveTuple, bytes], None],
        on_trouble: Callable[[Relay], None],
    ) -> None:
        self.own: dict[SocketAddress, Relay | Listener | SocketAddress] = {}
        self.streams: dict[FiveTuple, Entry] = {}
        self._clock = clock
        self._on_punt = on_punt
        self._on_trouble = on_trouble
        self._buffer = bytearray(_DATA + _SIZE_MAX + TAILROOM)
        self._view = memoryview(self._buffer)
        self._room = self._view[_DATAGRAM : _DATAGRAM + _SIZE_MAX]
        self._indications = IndicationWriter(self._buffer, first_transaction_id)

    def find(self, address: SocketAddress) -> Relay | Listener | None:
        """Return the socket that an address belongs to or stands for, if it is one of ours."""
        found = self.own.get(address)
        if isinstance(found, tuple):
            found = self.own.get(found)
        return None if isinstance(found, tuple) else found

    def read_listener(self, listener: Listener, sock: socket.socket, _events: int) -> None:
        """Take what clients sent: ChannelData to their peers, the rest to `on_punt`."""
        now = self._clock()
        buffer, room, receive = self._buffer, self._room, sock.recvfrom_into
        clients, relay_channel_data = listener.clients, self._relay_channel_data
        for _ in range(_BATCH):
            try:
                size, source = receive(room)
            except OSError:
                return  # no more of them, or a callback closed it
            entry = clients.get(source)
            if (
                entry is not None
                and now < entry.expires_at
                and size
                and buffer[_DATAGRAM] >> 6 == _CHANNEL_DATA
            ):
                relay_channel_data(entry, size, now)
                continue
            five_tuple = FiveTuple("udp", transport_address(source), listener.address)
            self._on_punt(five_tuple, room[:size].tobytes())

    def read_stream(self, five_tuple: FiveTuple, frames: Iterable[bytes]) -> None:
        """Take what a stream client sent: ChannelData to its peers, the rest to `on_punt`."""
        now = self._clock()
        view, streams, relay_channel_data = self._view, self.streams, self._relay_channel_data
        entry = streams.get(five_tuple)
        for frame in frames:
            if entry is not None and now < entry.expires_at and frame[0] >> 6 == _CHANNEL_DATA:
                size = len(frame)
                view[_DATAGRAM : _DATAGRAM + size] = frame
                relay_channel_data(entry, size, now)
            else:
                self._on_punt(five_tuple, frame)
                entry = streams.get(five_tuple)

    def read_relay(self, relay: Relay, sock: socket.socket, _events: int) -> None:
        """Take what peers sent to their client."""
        if relay.troubled:
            self._on_trouble(relay)
        now = self._clock()
        entry, deliver = relay.entry, self._deliver
        room, receive = self._room, sock.recvfrom_into
        for taken in range(_BATCH):
            try:
                size, source = receive(room)
            except BlockingIOError:
                if not taken:
                    self._on_trouble(relay)  # what else woke us?
                return
            except OSError:
                self._on_trouble(relay)
                return
            deliver(entry, source, _DATAGRAM, size, now)

    def send(self, entry: Entry, peer: SocketAddress, data: bytes, dont_fragment: bool) -> bool:
        """Relay data that came by another way than a listening socket."""
        relay = entry.relays.get(1 if len(peer) == 2 else 2)  # noqa: PLR2004 - IPv4 or IPv6
        size = len(data)
        if relay is None or size > _SIZE_MAX:
            entry.dropped_send += 1
            return False
        now = self._clock()
        permission = entry.permissions.get(peer[0])
        if permission is None or now >= entry.expires_at:
            entry.dropped_permission += 1
            return False
        self._buffer[_DATA : _DATA + size] = data
        return self._forward(entry, relay, permission, peer, _DATA, size, now, dont_fragment)

    def _relay_channel_data(self, entry: Entry, size: int, now: float) -> None:
        """Relay the ChannelData in the buffer to the peer that its number is bound to."""
        number, length = _unpack_header(self._buffer, _DATAGRAM)
        channel = entry.channels.get(number)
        if channel is None or now >= channel.expires_at or length > size - HEADER_BYTES:
            entry.dropped_channel += 1
            return
        relay, permission, peer = channel.relay, channel.permission, channel.peer
        self._forward(entry, relay, permission, peer, _DATA, length, now)

    def _forward(
        self,
        entry: Entry,
        relay: Relay,
        permission: Permission,
        peer: SocketAddress,
        offset: int,
        size: int,
        now: float,
        dont_fragment: bool = False,
    ) -> bool:
        """Relay a part of the buffer to a peer."""
        if now >= permission.expires_at:
            entry.dropped_permission += 1
            return False
        target: Relay | None = None
        if permission.hairpin or peer in self.own:
            found = self.find(peer)
            if isinstance(found, Listener) or (found is None and permission.hairpin):
                entry.dropped_own += 1
                return False
            target = found
            if size > _MOST_DATA[len(peer)]:
                entry.dropped_send += 1  # as the kernel would have it
                return False
        if entry.buckets and not grant(
            entry.buckets, TO_PEER, datagram_bytes(size, len(peer)), now
        ):
            entry.dropped_quota += 1
            return False
        if target is not None:
            self._deliver(target.entry, relay.source, offset, size, now)
        elif not self._send(relay, peer, self._view[offset : offset + size], dont_fragment):
            entry.dropped_send += 1
            return False
        entry.packets_to_peer += 1
        entry.bytes_to_peer += size
        return True

    def _send(
        self, relay: Relay, peer: SocketAddress, data: memoryview, dont_fragment: bool
    ) -> bool:
        if relay.dont_fragment is not dont_fragment:
            set_dont_fragment(relay.sock, dont_fragment)
            relay.dont_fragment = dont_fragment
        try:
            relay.sock.sendto(data, peer)
        except OSError:
            # With IP_RECVERR this may be what an earlier datagram met, see ip(7).
            relay.troubled = True
            try:
                relay.sock.sendto(data, peer)
            except OSError:
                return False
        return True

    def _deliver(
        self, entry: Entry, source: SocketAddress, offset: int, size: int, now: float
    ) -> None:
        """Relay a part of the buffer to the client; what is before it may be overwritten."""
        permission = entry.permissions.get(source[0])
        if permission is None or now >= permission.expires_at or now >= entry.expires_at:
            entry.dropped_permission += 1
            return
        if permission.hairpin and not isinstance(self.find(source), Relay):
            entry.dropped_own += 1
            return
        if entry.buckets and not grant(
            entry.buckets, FROM_PEER, datagram_bytes(size, len(source)), now
        ):
            entry.dropped_quota += 1
            return
        channel = entry.channels_by_peer.get(source)
        if channel is not None and now < channel.expires_at:
            begin, end = offset - HEADER_BYTES, offset + size
            _pack_header(self._buffer, begin, channel.number, size)
        else:
            message = self._indications.write(offset, size, permission.ip, source[1])
            if message is None:
                entry.dropped_send += 1
                return
            begin, end = message
        if entry.write is not None:
            self._write(entry, entry.write, begin, end, size)
            return
        try:
            entry.client_sock.sendto(self._view[begin:end], entry.client)
        except OSError:
            entry.dropped_send += 1
            return
        entry.packets_from_peer += 1
        entry.bytes_from_peer += size

    def _write(
        self, entry: Entry, write: Callable[[bytes], bool], begin: int, end: int, size: int
    ) -> None:
        # "Over TCP and TLS-over-TCP, the ChannelData message MUST be padded to
        # a multiple of four bytes" (RFC 8656 section 12.5).
        self._buffer[end : end + 3] = _PADDING
        if write(self._view[begin : begin + (end - begin + 3 & ~3)].tobytes()):
            entry.packets_from_peer += 1
            entry.bytes_from_peer += size
        else:
            entry.dropped_sink += 1
