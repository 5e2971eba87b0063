"""What a relay table can do, whichever tier does it, and the types it takes.

The table owns every UDP socket, those that clients talk to and the relays. It
relays what permissions and channel bindings allow (RFC 8656 sections 9, 11 and
12) and hands everything else to `on_punt`. Streams belong to others: their
clients are sinks that framed bytes are written to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, NewType, Protocol

from tornado_webrtc.relay.socket import RelaySocket
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

__all__ = [
    "FROM_PEER",
    "TO_PEER",
    "Bucket",
    "Client",
    "Counters",
    "RelayTable",
    "SinkClient",
    "Slot",
    "UdpClient",
    "datagram_bytes",
    "grant",
]

Slot = NewType("Slot", int)
"""An allocation's place in a table; its number is never used again."""

TO_PEER, FROM_PEER = 0, 1
"""The directions of relayed data."""


class UdpClient(NamedTuple):
    """A client that is reached by the listening socket of its five-tuple."""

    five_tuple: FiveTuple


class SinkClient(NamedTuple):
    """A client on a stream that somebody else owns.

    Attributes:
        five_tuple: The stream's ends.
        write: Takes one whole frame, ChannelData padded to four bytes
            (RFC 8656 section 12.5). False says that the stream's buffer is
            full: the frame is dropped and counted.
    """

    five_tuple: FiveTuple
    write: Callable[[bytes], bool]


Client = UdpClient | SinkClient


class Bucket:
    """A limit on relayed bytes per second, each direction on its own.

    A datagram counts with its IP and UDP headers (`datagram_bytes`), so that
    empty ones are limited too: a rate bounds how many there are.

    Allocations that share the object share the limit. A datagram passes while
    there is anything left, and what it takes beyond that is owed: so the limit
    holds over time, and no datagram is too large for it.

    Args:
        rate: Bytes per second; 0 for no limit.
        burst: Bytes that may pass at once after a rest.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = [burst, burst]
        self._at = [0.0, 0.0]

    def has_any(self, direction: int, now: float) -> bool:
        """Tell whether a datagram may pass at this monotonic time."""
        if not self.rate:
            return True
        level = self._level[direction] + (now - self._at[direction]) * self.rate
        self._level[direction] = min(level, self.burst)
        self._at[direction] = now
        return level > 0

    def take(self, direction: int, size: int) -> None:
        """Take the bytes of a datagram that passes."""
        if self.rate:
            self._level[direction] -= size


_HEADERS = {2: 20 + 8, 4: 40 + 8}
"""IP and UDP, by the length of a socket address."""


def datagram_bytes(size: int, address_length: int) -> int:
    """Return what data costs: with its IP and UDP headers, 28 bytes (IPv4) or 48 (IPv6).

    Args:
        size: Bytes of data.
        address_length: Of the peer's socket address: 2 (IPv4) or 4 (IPv6).
    """
    return size + _HEADERS[address_length]


def grant(buckets: Sequence[Bucket], direction: int, size: int, now: float) -> bool:
    """Take a datagram's bytes from all buckets, or from none if one is empty."""
    for bucket in buckets:
        if not bucket.has_any(direction, now):
            return False
    for bucket in buckets:
        bucket.take(direction, size)
    return True


class Counters(NamedTuple):
    """What became of an allocation's datagrams; bytes are those of their data.

    Attributes:
        packets_to_peer: Datagrams relayed to peers.
        bytes_to_peer: Their bytes.
        packets_from_peer: Datagrams relayed to the client.
        bytes_from_peer: Their bytes.
        dropped_permission: Without a live permission, either way.
        dropped_channel: ChannelData that is malformed or of a channel that is not bound.
        dropped_own: To or from this machine's own addresses, no live relay there.
        dropped_quota: Beyond a bucket's limit.
        dropped_sink: The stream's buffer was full.
        dropped_send: Too long, no route, or refused by the kernel.
    """

    packets_to_peer: int = 0
    bytes_to_peer: int = 0
    packets_from_peer: int = 0
    bytes_from_peer: int = 0
    dropped_permission: int = 0
    dropped_channel: int = 0
    dropped_own: int = 0
    dropped_quota: int = 0
    dropped_sink: int = 0
    dropped_send: int = 0

    @property
    def dropped(self) -> int:
        """How many datagrams were dropped, for whatever reason."""
        return sum(self[4:])


class RelayTable(Protocol):
    """The data plane: allocations, what they may relay, and all UDP sockets.

    Every time is absolute and monotonic. An entry whose time has come counts as
    absent at once; whoever made it deletes it when convenient. A slot that was
    removed raises `KeyError`; an argument that contradicts what the table
    holds, or is no address, raises `ValueError`.

    Attributes:
        on_punt: Called with what a client sent and the table does not relay:
            STUN, and whatever comes from a five-tuple it does not know.
        on_icmp: Called with slot, peer, ICMP type and code and the four bytes
            of the ICMP attribute's error data (RFC 8656 section 18.13) when a
            datagram to a permitted peer came back.
    """

    on_punt: Callable[[FiveTuple, bytes], None]
    on_icmp: Callable[[Slot, TransportAddress, int, int, bytes], None]

    def listen(self, addresses: Sequence[str], port: int) -> list[TransportAddress]:
        """Take datagrams of clients on one port of each address.

        Args:
            addresses: The machine's own IP addresses. Never 0.0.0.0 or ::, so
                that answers leave from the address that was asked.
            port: The port; 0 means one free port, the same on all addresses.

        Returns:
            The addresses that it listens on, in the same order.

        Raises:
            ListenError: If one cannot be used; then none is.
        """

    def add(
        self,
        client: Client,
        relays: tuple[RelaySocket, ...],
        expires_at: float,
        buckets: tuple[Bucket, ...] = (),
    ) -> Slot:
        """Take an allocation in; the relay sockets are the table's from now on.

        Args:
            client: Who asked for it. Its five-tuple belongs to no other slot, a
                UDP client's to a listening socket of this table.
            relays: One, or one of each address family.
            expires_at: When nothing is relayed for it any more.
            buckets: All of them have to grant a datagram.
        """

    def move_client(self, slot: Slot, client: Client) -> None:
        """Relay for another five-tuple from now on (RFC 8016)."""

    def set_buckets(self, slot: Slot, buckets: tuple[Bucket, ...]) -> None:
        """Let other limits than until now hold for an allocation."""

    def set_expiry(self, slot: Slot, expires_at: float) -> None:
        """Refresh the allocation."""

    def remove(self, slot: Slot) -> Counters:
        """Close an allocation's relay sockets, and forget it."""

    def permit(self, slot: Slot, ip: str, expires_at: float, hairpin: bool = False) -> None:
        """Install or refresh a permission (RFC 8656 section 9).

        Args:
            slot: The allocation.
            ip: The peer's address.
            expires_at: Until when.
            hairpin: The address is this server's own: only ports of live
                relays are admitted, either way.
        """

    def unpermit(self, slot: Slot, ip: str) -> None:
        """Delete a permission, if there is one."""

    def bind_channel(
        self, slot: Slot, number: int, peer: TransportAddress, expires_at: float
    ) -> None:
        """Bind a channel, or refresh it (RFC 8656 section 12).

        Data passes while there is a permission for the peer's address too: this
        call installs none. Whatever number and peer were bound to before is
        not bound any more.
        """

    def unbind_channel(self, slot: Slot, number: int) -> None:
        """Delete a channel binding, if there is one."""

    def map_address(self, advertised: TransportAddress, local: TransportAddress | None) -> None:
        """Take data for one more address as data for a socket of this table.

        A relay's own advertised address needs no such call.

        Args:
            advertised: Where peers are told to send to.
            local: The socket's address; None forgets the advertised one.
        """

    def receive(self, five_tuple: FiveTuple, frames: Iterable[bytes]) -> None:
        """Take what a stream client sent, like datagrams of a UDP client.

        ChannelData goes to the peers that it is for, everything else to `on_punt`.

        Args:
            five_tuple: The stream's ends, whether there is an allocation or not.
            frames: Whole STUN and ChannelData messages in order, without padding:
                as many as came at once, since the clock is read once for all of them.
        """

    def send(self, slot: Slot, peer: TransportAddress, data: bytes, dont_fragment: bool) -> bool:
        """Relay data of a Send indication to a peer.

        Returns:
            Whether it went out; if not, a counter says why.
        """

    def send_to_client(self, five_tuple: FiveTuple, data: bytes) -> None:
        """Send a datagram from the listening socket of the five-tuple's server address.

        Nothing happens if there is no such socket (any more), or the kernel
        refuses: to its receiver a datagram that is not sent is one that is lost.
        """

    def counters(self, slot: Slot) -> Counters:
        """Return what became of an allocation's datagrams so far."""

    def start(self) -> None:
        """Begin to relay; sockets that come later begin at once."""

    def stop(self) -> None:
        """Close every socket, and forget every allocation."""
