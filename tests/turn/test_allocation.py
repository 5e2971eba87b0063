"""Allocations, and the table that finds them: whatever expired counts as absent."""

from tests.turn.client import OTHER_PEER, PEER, SERVER
from tests.turn.world import MadeUpRelay
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.turn.allocation import (
    Allocation,
    AllocationTable,
    Channel,
    Permission,
    Reservation,
)

NOW = 1000.0
SOON = 1010.0


def allocation(port: int = 40000, relay_port: int = 50000) -> Allocation:
    """Make an allocation that lives until `SOON`."""
    local, advertised = (TransportAddress(ip, relay_port) for ip in ("10.0.0.1", "198.51.100.1"))
    return Allocation(
        id=port,
        five_tuple=FiveTuple("udp", TransportAddress("203.0.113.1", port), SERVER),
        username="alice",
        user="alice",
        key=b"secret",
        relay=MadeUpRelay(local, advertised, port),
        created_at=NOW,
        expires_at=SOON,
        transaction_id=b"transaction!",
    )


def test_permission() -> None:
    one = allocation()
    one.permissions["20.0.0.1"] = permission = Permission(SOON, hairpin=False)
    assert one.permission("20.0.0.1", NOW) is permission
    assert one.permission("20.0.0.1", SOON) is None
    assert one.permission("20.0.0.2", NOW) is None


def test_live_permissions() -> None:
    one = allocation()
    one.permissions = {"20.0.0.1": Permission(SOON, False), "20.0.0.2": Permission(SOON + 1, True)}
    assert [one.live_permissions(now) for now in (NOW, SOON, SOON + 1)] == [2, 1, 0]


def test_channel() -> None:
    one = allocation()
    channel = Channel(0x4001, OTHER_PEER, SOON)
    one.bind(Channel(0x4000, PEER, SOON))
    one.bind(channel)
    assert one.channel(0x4001, NOW) is one.channel_to(OTHER_PEER, NOW) is channel
    assert one.channel(0x4001, SOON) is one.channel_to(OTHER_PEER, SOON) is None
    assert one.channel(0x4002, NOW) is one.channel_to(PEER._replace(port=1), NOW) is None
    one.unbind(0x4001)
    assert one.channel(0x4001, NOW) is one.channel_to(OTHER_PEER, NOW) is None
    assert one.channel_to(PEER, NOW) is one.channels[0x4000]


def test_channel_is_bound_again() -> None:
    one = allocation()
    one.bind(Channel(0x4000, PEER, NOW))
    one.bind(again := Channel(0x4000, PEER, SOON))
    assert one.channel(0x4000, NOW) is one.channel_to(PEER, NOW) is again
    one.unbind(0x4000)
    one.bind(Channel(0x4001, PEER, SOON))
    assert one.channels.keys() == {0x4001}


def test_secrets_do_not_show() -> None:
    shown = repr(allocation())
    assert "secret" not in shown
    assert "transaction!" not in shown


def test_allocations_are_told_apart_by_identity() -> None:
    assert allocation() != allocation()
    kept = (allocation().relay, "1:alice", "alice", "203.0.113.1", NOW)
    assert Reservation(*kept) != Reservation(*kept)


def test_table_finds_by_five_tuple() -> None:
    table = AllocationTable()
    one, two = allocation(), allocation(40001, 50001)
    table.add(one)
    table.add(two)
    assert (len(table), list(table)) == (2, [one, two])
    assert table.get_live(one.five_tuple, NOW) is one
    assert table.get_live(one.five_tuple, SOON) is None
    assert table.get(one.five_tuple) is one, "live or not"
    assert table.pop(one.five_tuple) is one
    assert table.pop(one.five_tuple) is None
    assert table.get_live(one.five_tuple, NOW) is table.get(one.five_tuple) is None
    assert list(table) == [two]


def test_transport_and_server_belong_to_the_five_tuple() -> None:
    table = AllocationTable()
    one = allocation()
    table.add(one)
    assert table.get_live(one.five_tuple._replace(transport="tcp"), NOW) is None
    assert table.get_live(one.five_tuple._replace(server=PEER), NOW) is None


def test_table_knows_live_relays_by_both_addresses() -> None:
    table = AllocationTable()
    one = allocation()
    table.add(one)
    for address in (one.relay.local, one.relay.advertised):
        assert table.is_live_relay(address, NOW)
        assert not table.is_live_relay(address, SOON)
        assert not table.is_live_relay(address._replace(port=1), NOW)
    table.pop(one.five_tuple)
    assert not table.is_live_relay(one.relay.local, NOW)


def test_table_may_change_while_it_is_walked_through() -> None:
    table = AllocationTable()
    for port in range(3):
        table.add(allocation(port, 50000 + port))
    for each in table:
        table.pop(each.five_tuple)
    assert len(table) == 0
