"""What the operator is shown of peers and calls, and how one of them is ended."""

import json
from collections.abc import Mapping

import pytest

from tests.conftest import ExpectLog
from tests.web.conftest import Serve, serve
from tests.wire import WireClient, call, signed_in
from tornado_webrtc import hookimpl
from tornado_webrtc.collection import CORE_COLLECTIONS, RESERVED, Collection, collection_fault
from tornado_webrtc.hooks import ScopeRequest
from tornado_webrtc.server import Server

__all__ = ["serve"]


class Rooms:
    """A plugin that takes scopes from the query."""

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str | None:
        return request.room


def ended(collection: Collection, entry_id: str, reason: str = "") -> bool:
    assert collection.end is not None
    return collection.end(entry_id, reason)


def ids(collection: Collection) -> list[object]:
    entries = list(collection.entries())
    assert len(collection) == len(entries)
    json.dumps(entries)
    for entry in entries:
        found = collection.get(str(entry["id"]))
        assert found is not None
        assert found["id"] == entry["id"]
    return [entry["id"] for entry in entries]


@pytest.mark.parametrize("name", ["allocations", "a", "dnd-2", "snake_case"])
def test_good_names(name: str) -> None:
    assert collection_fault(name) is None


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a/b", "é", *sorted(RESERVED)])
def test_bad_names(name: str) -> None:
    assert collection_fault(name)


async def test_peers_are_shown(serve: Serve) -> None:
    server = await serve()
    peers = server.collections["peers"]
    assert (len(peers), list(peers.entries()), peers.holds_drain) == (0, [], False)
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1", name="Ann", user_agent="phone")
        (entry,) = peers.entries()
        connected_s = entry["connected_s"]
        assert isinstance(connected_s, float)
        assert 0 <= connected_s < 60
        assert entry == {
            "id": "1",
            "peer_id": "1",
            "name": "Ann",
            "user_agent": "phone",
            "scope": "",
            "remote_ip": "127.0.0.1",
            "subject": None,
            "node": server.hub.node_id,
            "connected_s": connected_s,
            "sessions": [],
        }
        assert peers.get("2") is None


async def test_kicked_peer_is_closed_with_the_reason(serve: Serve) -> None:
    server = await serve()
    peers = server.collections["peers"]
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        assert not ended(peers, "2")
        assert ended(peers, "1", "spam")
        closed = await ann.read_until_closed()
        assert (closed.code, closed.reason) == (4403, "spam")
        assert len(peers) == 0
        assert not ended(peers, "1")
        assert server.hub.counters["closed.kicked"] == 1


async def test_the_call_of_a_kicked_peer_has_to_end(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        assert ended(server.collections["peers"], "1", "between us: spam")
        bye = {"session_id": session_id, "to": "2", "code": "peer-removed", "reason": ""}
        assert await ben.read_type("bye") == bye
        assert await ben.read_type("leave") == "1"
        assert "bye" not in {each["type"] for each in await ben.settled()}


async def test_ids_of_other_scopes_are_told_apart(serve: Serve) -> None:
    server = await serve(plugins=[Rooms()])
    peers = server.collections["peers"]
    async with (
        await WireClient.connect(server.port) as plain,
        await WireClient.connect(server.port) as slash,
        await WireClient.connect(server.port, path="/ws?room=red") as red,
        await WireClient.connect(server.port, path="/ws?room=a/b") as deep,
    ):
        await plain.register("1")
        await slash.register("red/1")
        await red.register("1")
        await deep.register("1")
        assert ids(peers) == ["1", "/red/1", "red/1", "a%2Fb/1"]
        for entry_id, client in (
            ("red/1", red),
            ("/red/1", slash),
            ("a%2Fb/1", deep),
            ("1", plain),
        ):
            assert ended(peers, entry_id)
            assert (await client.read_until_closed()).code == 4403
        assert len(peers) == 0


async def test_peer_of_another_node_is_shown_but_not_held(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        (peer,) = server.hub.peers()
        peer.address = peer.address._replace(node_id="elsewhere")
        try:
            assert shown(server, "peers", "1")["connected_s"] is None
            assert not ended(server.collections["peers"], "1")
        finally:
            peer.address = peer.address._replace(node_id=server.hub.node_id)


def shown(server: Server, name: str, entry_id: str) -> Mapping[str, object]:
    entry = server.collections[name].get(entry_id)
    assert entry is not None
    return entry


async def test_sessions_are_shown_and_ended_for_both_legs(serve: Serve) -> None:
    server = await serve()
    sessions = server.collections["sessions"]
    assert sessions.holds_drain
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        await ben.read_type("offer")
        entry = shown(server, "sessions", "1-2")
        assert (entry["state"], entry["answered_s"]) == ("offered", None)
        await ann.send("bye", {"session_id": "1-2"})
        await ann.settled()
        await ben.settled()
        session_id = await call(ann, ben)
        assert ids(sessions) == [session_id]
        entry = shown(server, "sessions", session_id)
        assert (entry["caller"], entry["callee"], entry["state"]) == ("1", "2", "answered")
        assert isinstance(entry["offered_s"], float)
        assert isinstance(entry["answered_s"], float)
        assert shown(server, "peers", "1")["sessions"] == [session_id]
        assert ended(sessions, session_id, "time is up")
        for client in (ann, ben):
            told = {"code": "call-ended", "reason": "time is up"}
            bye = {"session_id": session_id, "to": client.id, **told}
            assert await client.read_type("bye") == bye
        assert len(sessions) == 0
        assert sessions.get(session_id) is None
        assert not ended(sessions, session_id)


async def test_sessions_of_a_named_scope(serve: Serve) -> None:
    server = await serve(plugins=[Rooms()])
    async with (
        await WireClient.connect(server.port, path="/ws?room=red") as ann,
        await WireClient.connect(server.port, path="/ws?room=red") as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        session_id = await call(ann, ben)
        assert ids(server.collections["sessions"]) == [f"red/{session_id}"]


class Games:
    """A plugin with a collection of its own."""

    names: tuple[str, ...] = ("games",)

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        return {
            name: Collection(count=lambda: 0, entries=list, get=lambda _id: None)
            for name in self.names
        }


class More(Games):
    """Another plugin that wants the same name."""


class Greedy(Games):
    """A plugin that wants what the core has."""

    names = ("peers",)


async def test_plugins_add_theirs(serve: Serve, expect_log: ExpectLog) -> None:
    expect_log("more.*the collection 'games' of plugin games")
    expect_log("greedy.*the collection 'peers' of the core")
    server = await serve(plugins=[Games(), More(), Greedy()])
    assert set(server.collections) == {*CORE_COLLECTIONS, "games"}
    assert server.plugins.names == ("games",)
