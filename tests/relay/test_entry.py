"""What an entry remembers, and that it does not grow without bound."""

from collections.abc import Iterator
from secrets import randbelow

import pytest

from tornado_webrtc.relay.entry import Entry, Listener, Relay
from tornado_webrtc.relay.socket import open_relay
from tornado_webrtc.relay.table import Counters, Slot
from tornado_webrtc.stun.address import FiveTuple, TransportAddress

CLIENT, SERVER = TransportAddress("192.0.2.1", 7), TransportAddress("192.0.2.2", 3478)


@pytest.fixture
def entry() -> Iterator[Entry]:
    entry = Entry(Slot(1), FiveTuple("udp", CLIENT, SERVER), 1000.0, ())
    relays = open_relay("127.0.0.1", range(49152, 65536), random=randbelow, advertised="127.0.0.1")
    assert relays is not None
    entry.add_relay(relays[0])
    yield entry
    relays[0].close()


def peer(number: int) -> TransportAddress:
    return TransportAddress(f"198.51.{number >> 8}.{number & 255}", 5000)


def test_expired_channels_are_forgotten(entry: Entry) -> None:
    for number in range(4000):
        now = float(number)
        entry.bind_channel(0x4000 + number, peer(number), now + 10, now)
        assert len(entry.channels) <= 128
        assert len(entry.channels) >= 10 or number < 10
    assert len(entry.channels_by_peer) == len(entry.channels)
    assert len(entry.permissions) == len(entry.channels)


def test_live_channels_are_kept(entry: Entry) -> None:
    for number in range(1000):
        entry.bind_channel(0x4000 + number, peer(number), 600.0, 0.0)
    assert len(entry.channels) == len(entry.channels_by_peer) == 1000


def test_channel_sees_the_permission_whenever_it_came(entry: Entry) -> None:
    entry.bind_channel(0x4000, peer(1), 600.0, 0.0)
    permission = entry.channels[0x4000].permission
    assert permission.expires_at < 0
    entry.permit(peer(1).host, 300.0, hairpin=True)
    assert entry.channels[0x4000].permission is permission
    assert (permission.expires_at, permission.hairpin) == (300.0, True)
    assert permission.ip == peer(1).packed


def test_deleted_permission_goes_with_its_last_channel(entry: Entry) -> None:
    two = peer(1)._replace(port=5001)
    entry.permit(peer(1).host, 300.0, hairpin=False)
    entry.bind_channel(0x4000, peer(1), 600.0, 0.0)
    entry.bind_channel(0x4001, two, 600.0, 0.0)
    entry.unpermit(peer(1).host)
    entry.unbind_channel(0x4000)
    assert list(entry.permissions) == [peer(1).host]
    entry.unbind_channel(0x4001)
    assert entry.permissions == {}


def test_permission_outlives_its_channel(entry: Entry) -> None:
    entry.permit(peer(1).host, 300.0, hairpin=False)
    entry.bind_channel(0x4000, peer(1), 600.0, 0.0)
    entry.unbind_channel(0x4000)
    assert list(entry.permissions) == [peer(1).host]


def test_counters_are_a_copy(entry: Entry) -> None:
    for number, name in enumerate(Counters._fields):
        setattr(entry, name, number)
    counters = entry.counters()
    entry.packets_to_peer = 99
    assert counters == tuple(range(10))


def test_places_are_told_apart_by_identity(entry: Entry) -> None:
    (relay,) = entry.relays.values()
    twin = Relay(entry, relay.sock, relay.local, relay.source)
    assert twin != relay
    assert Listener(relay.sock, SERVER) != Listener(relay.sock, SERVER)
