"""What the operator sees of allocations, and how one of them is ended."""

import json

import pytest

from tests.plugins.turn.client import CHANNEL
from tests.plugins.turn.site import HOST, LOOPBACK, Manual, Recorder, StartTurn
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.turn.allocation import AllocationTable

TRANSPORTS = ("udp", "tcp")


async def test_none_at_the_beginning(start_turn: StartTurn) -> None:
    site = await start_turn()
    allocations = site.server.collections["allocations"]
    assert (len(allocations), list(allocations.entries())) == (0, [])
    assert allocations.holds_drain


async def test_no_collection_without_a_driver(start_turn: StartTurn) -> None:
    site = await start_turn(start=False)
    site.server.plugins.load()
    assert site.plugin.collections(site.server) == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_allocation_is_shown_as_it_is(start_turn: StartTurn, transport: str) -> None:
    time = Manual()
    site = await start_turn(allow_peers=LOOPBACK, clock=time.clock)
    allocations = site.server.collections["allocations"]
    client, peer = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    assert await client.permit(TransportAddress("127.0.0.9", 1)) == 0
    client.send_channel(b"hello")
    assert await peer.receive() == (b"hello", relayed)
    time.advance(10)
    (entry,) = allocations.entries()
    json.dumps(entry)
    assert entry == {
        "id": "1",
        "user": "alice",
        "username": client.username,
        "peer_id": "alice",
        "client": entry["client"],
        "remote_ip": HOST,
        "transport": transport,
        "relayed": str(relayed),
        "created_s": 10.0,
        "expires_s": 590.0,
        "permissions": [HOST, "127.0.0.9"],
        "channels": [{"number": CHANNEL, "peer": str(peer.address)}],
        "bytes_to_peer": 5,
        "bytes_from_peer": 0,
        "packets_to_peer": 1,
        "packets_from_peer": 0,
        "dropped": 0,
    }
    assert str(entry["client"]).startswith(f"{HOST}:")
    assert allocations.get("1") == entry
    assert allocations.get("2") is None
    time.advance(300)
    (entry,) = allocations.entries()
    assert (entry["permissions"], len(client.password) > 0) == ([], True)
    assert client.password not in json.dumps(entry)


async def test_operator_ends_an_allocation(start_turn: StartTurn) -> None:
    recorder = Recorder()
    site = await start_turn(recorder)
    allocations = site.server.collections["allocations"]
    client, other = await site.udp(), await site.udp("bob")
    await client.allocate()
    await other.allocate()
    assert allocations.end is not None
    assert not allocations.end("7", "")
    assert allocations.end("1", "")
    assert not allocations.end("1", "")
    assert allocations.end("2", "a test")
    assert [event[3] for event in recorder.events if event[0] == "deleted"] == [
        "ended by the operator",
        "a test",
    ]
    assert await client.refresh(600) == 437
    assert len(allocations) == 0


@pytest.mark.parametrize(
    "entry_id", ["", "0", "01", "+1", " 1", "1.0", "\u0661", "x", "-1", "9" * 5000]
)
async def test_an_id_is_written_in_one_way(start_turn: StartTurn, entry_id: str) -> None:
    site = await start_turn()
    allocations = site.server.collections["allocations"]
    await (await site.udp()).allocate()
    assert allocations.get("1") is not None
    assert allocations.get(entry_id) is None


async def test_one_is_found_without_looking_at_all(
    start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await start_turn()
    allocations = site.server.collections["allocations"]
    for name in ("alice", "bob"):
        await (await site.udp(name)).allocate()

    def fail(_self: object) -> None:
        raise AssertionError

    monkeypatch.setattr(AllocationTable, "__iter__", fail)
    assert allocations.end is not None
    for entry_id in ("1", "2"):
        assert allocations.get(entry_id) is not None
        assert allocations.end(entry_id, "")
    assert allocations.get("1") is None
