"""`permit_join` over real sockets: asked for another name too, and told if nothing came of it."""

import asyncio

import pytest

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.wire import WireClient, call, error, signed_in, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import AuthRequest, Denied, Identity, JoinRequest, ScopeRequest
from tornado_webrtc.signaling import Peer

# --- another name -------------------------------------------------------------------------------


class Names:
    """Nobody may be called like the operator's people, and no software like its own."""

    def __init__(self) -> None:
        self.asked: list[JoinRequest] = []
        self.abandoned: list[JoinRequest] = []

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | None:
        return None if request.token is None else Identity(request.token)

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str | None:
        return request.room

    @hookimpl
    async def permit_join(self, request: JoinRequest) -> Denied | None:
        self.asked.append(request)
        await asyncio.sleep(0)
        if request.name == "broken":
            raise RuntimeError("the list of names cannot be read")
        if "Support" in (request.name, request.user_agent):
            return Denied("That name is taken.", "name-taken")
        return None

    @hookimpl
    def join_abandoned(self, request: JoinRequest) -> None:
        self.abandoned.append(request)


def shown(client_list: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(peer["name"], peer["user_agent"]) for peer in client_list]


@pytest.mark.parametrize("field", ["name", "user_agent"])
async def test_name_that_is_denied_at_the_door_is_denied_afterwards(
    serve: Serve, field: str
) -> None:
    server = await serve(plugins=[Names()])
    async with (
        signed_in(server.port, "ben") as (ben,),
        await WireClient.connect(server.port) as eve,
    ):
        await eve.register("eve", name="x", user_agent="y")
        await ben.read_type("peers")
        await eve.send("new", {"id": "eve", "name": "x", "user_agent": "y", field: "Support"})
        assert await eve.read() == error("new", "That name is taken.", "name-taken")
        assert await eve.settled() == await ben.settled() == []
        assert [(peer.name, peer.user_agent) for peer in server.hub.peers()][1] == ("x", "y")
        await call(eve, ben)  # its connection and its place are still there
        assert shown(await eve.register("eve", name="z", user_agent="y"))[1] == ("z", "y")
        assert server.hub.counters["error.name-taken"] == 1


async def test_plugins_learn_that_it_is_an_update(serve: Serve) -> None:
    names = Names()
    server = await serve(plugins=[names])
    path = "/ws?room=blue&more=1"
    async with await WireClient.connect(server.port, path=path) as client:
        await client.register("ann", name="Ann", token="account-7")
        await client.register("ann", name="Anna", room="red", password="sesame")
        await client.send("leave")
        await client.register("ann", name="Annika", token="account-8")
    first, second, third = names.asked
    assert [each.update for each in names.asked] == [False, True, False]
    assert (second.peer_id, second.name, second.scope) == ("ann", "Anna", "blue")
    assert (second.room, second.password, second.query["more"]) == ("red", "sesame", "1")
    assert second.remote_ip == first.remote_ip
    assert [each.identity.subject for each in names.asked if each.identity] == [
        "account-7",
        "account-7",
        "account-8",
    ]
    assert third.scope == "blue"
    assert names.abandoned == []


async def test_who_showed_a_token_as_it_connected_is_who_changes_its_name(serve: Serve) -> None:
    names = Names()
    server = await serve(plugins=[names])
    headers = {"Authorization": "Bearer account-7"}
    async with await WireClient.connect(server.port, headers=headers) as client:
        await client.register("ann")
        await client.register("ann", name="Anna")
    assert [each.identity for each in names.asked] == [Identity("account-7")] * 2


async def test_same_again_is_no_question_but_announced(serve: Serve) -> None:
    """As some clients of the legacy family do."""
    names = Names()
    server = await serve(plugins=[names])
    async with await WireClient.connect(server.port) as client:
        for _ in range(3):
            assert shown(await client.register("ann", name="Ann", user_agent="x")) == [("Ann", "x")]
    assert len(names.asked) == 1


async def test_another_id_is_no_question(serve: Serve) -> None:
    names = Names()
    server = await serve(plugins=[names])
    async with signed_in(server.port, "ann") as (client,):
        await client.send("new", {"id": "ben", "name": "Ben"})
        assert (await client.read())["data"]["code"] == "already-registered"
    assert len(names.asked) == 1


async def test_plugin_that_fails_lets_nobody_change(serve: Serve, expect_log: ExpectLog) -> None:
    expect_log("plugin names: permit_join raised RuntimeError")
    server = await serve(plugins=[Names()])
    async with await WireClient.connect(server.port) as client:
        await client.register("ann", name="Ann")
        await client.send("new", {"id": "ann", "name": "broken"})
        assert (await client.read())["data"]["code"] == "plugin-failed"
        assert [peer.name for peer in server.hub.peers()] == ["Ann"]


async def test_without_plugins_names_change_at_once(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "ann") as (client,):
        assert (await client.register("ann", name="Support"))[0]["name"] == "Support"


# --- nothing came of it -------------------------------------------------------------------------


class Door:
    """Asks everybody to wait, and notes who came in and who did not."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: list[JoinRequest] = []
        self.ended: list[JoinRequest] = []
        self.abandoned: list[JoinRequest] = []
        self.joined: list[str] = []

    @hookimpl
    async def permit_join(self, request: JoinRequest) -> bool:
        self.asked.append(request)
        try:
            if not request.update or request.name == "wait":
                await self.open.wait()
        finally:
            self.ended.append(request)
        return request.name != "unwelcome"

    @hookimpl
    def join_abandoned(self, request: JoinRequest) -> None:
        assert request in self.ended
        self.abandoned.append(request)

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        self.joined.append(peer.id)


async def test_nothing_is_abandoned_where_all_goes_well(serve: Serve) -> None:
    door = Door()
    door.open.set()
    server = await serve(plugins=[door])
    async with signed_in(server.port, "ann", "ben"):
        pass
    await until(lambda: not len(server.hub))
    assert (door.joined, door.abandoned) == (["ann", "ben"], [])


async def test_who_is_denied(serve: Serve) -> None:
    door = Door()
    door.open.set()
    server = await serve(plugins=[door])
    async with await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "eve", "name": "unwelcome"})
        assert (await client.read())["data"]["code"] == "denied"
        assert (await client.read_until_closed()).code == 4403
    assert door.abandoned == door.asked
    assert len(door.asked) == 1


async def test_who_goes_while_a_plugin_thinks(serve: Serve) -> None:
    door = Door()
    server = await serve(plugins=[door])
    async with await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "eve"})
        await until(lambda: bool(door.asked))
        await client.drop()
        await until(lambda: bool(door.abandoned))
    assert door.abandoned == door.asked
    assert door.abandoned[0] is door.asked[0]
    assert door.joined == []


async def test_whose_id_is_taken(serve: Serve) -> None:
    door = Door()
    door.open.set()
    server = await serve(plugins=[door], signaling={"on_duplicate_id": "reject"})
    async with signed_in(server.port, "ann"), await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "ann"})
        assert (await client.read_until_closed()).code == 4409
    assert door.joined == ["ann"]
    assert door.abandoned == door.asked[1:]


async def test_who_goes_while_the_holder_of_its_id_is_asked(serve: Serve) -> None:
    door = Door()
    door.open.set()
    server = await serve(plugins=[door])
    async with signed_in(server.port, "ann"), await WireClient.connect(server.port) as client:
        holder = next(iter(server.hub._connections.values()))
        await client.send("new", {"id": "ann"})
        await until(lambda: bool(holder._probes))
        await client.drop()
        await until(lambda: bool(door.abandoned))
    assert door.abandoned == door.asked[1:]


async def test_who_is_banned_meanwhile(serve: Serve) -> None:
    door = Door()
    server = await serve(plugins=[door])
    async with await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "eve"})
        await until(lambda: bool(door.asked))
        server.ban("peer", "eve")
        door.open.set()
        assert (await client.read())["data"]["code"] == "banned"
        await client.read_until_closed()
    assert door.abandoned == door.asked


@pytest.mark.parametrize("ends_in_time", [True, False])
async def test_plugin_that_does_not_mind_being_cancelled_is_told_afterwards(
    serve: Serve, ends_in_time: bool
) -> None:
    """But not waited for without end."""
    told: list[str] = []
    go_on = asyncio.Event()

    class Stubborn:
        @hookimpl
        async def permit_join(self) -> None:
            while not go_on.is_set():
                try:
                    told.append("asked")
                    await go_on.wait()
                except asyncio.CancelledError:
                    told.append("cancelled")
            told.append("kept a place")

        @hookimpl
        def join_abandoned(self) -> None:
            told.append("abandoned")

    class Beside:
        @hookimpl
        async def join_abandoned(self) -> None:
            await asyncio.sleep(0)
            told.append("beside")

    server = await serve(plugins=[Stubborn(), Beside()])
    if not ends_in_time:
        server.hooks._isolation._timeout_s = 0.05
    async with await WireClient.connect(server.port) as client:
        server.hooks._isolation._timeout_s, timeout_s = 5.0, server.hooks._isolation._timeout_s
        await client.send("new", {"id": "eve"})
        await until(lambda: bool(told))
        server.hooks._isolation._timeout_s = timeout_s
        await client.drop()
        await until(lambda: "beside" in told)
        assert told == ["asked", "cancelled", "asked", "beside"]
        if not ends_in_time:
            await until(lambda: "abandoned" in told)
        go_on.set()
        await until(lambda: len(told) == 6)
    last = ["kept a place", "abandoned"]
    assert told[4:] == (last if ends_in_time else last[::-1])


async def test_update_is_never_abandoned(serve: Serve) -> None:
    door = Door()
    door.open.set()
    server = await serve(plugins=[door])
    async with signed_in(server.port, "ann") as (client,):
        await client.send("new", {"id": "ann", "name": "unwelcome"})
        assert (await client.read())["data"]["code"] == "denied"
        door.open.clear()
        await client.send("new", {"id": "ann", "name": "wait"})
        await until(lambda: len(door.asked) == 3)
        await client.drop()
        await until(lambda: len(door.ended) == 3)
        await until(lambda: not len(server.hub))
    assert door.abandoned == []


async def test_nobody_is_told_of_what_nobody_was_asked(serve: Serve) -> None:
    told: list[str] = []

    class Beside:
        @hookimpl
        def join_abandoned(self, request: JoinRequest) -> None:
            told.append(request.peer_id)

    server = await serve(plugins=[Beside()], signaling={"on_duplicate_id": "reject"})
    async with signed_in(server.port, "ann"), await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "ann"})
        assert (await client.read_until_closed()).code == 4409
    assert told == []


async def test_exactly_once_whenever_the_client_goes(serve: Serve) -> None:
    """Clients that go after every number of steps of the loop that their sign-in takes."""
    door = Door()
    door.open.set()
    server = await serve(plugins=[door])
    for steps in range(40):
        async with await WireClient.connect(server.port):
            await until(lambda: len(server.hub) == 1)
            (connection,) = server.hub._connections.values()
            connection.receive('{"type":"new","data":{"id":"eve"}}')
            for _ in range(steps):
                await asyncio.sleep(0)
            connection.abort(left="gone")
            await until(lambda: not len(server.hub))
    assert 0 < len(door.joined) < 40
    assert len(door.abandoned) == len(set(door.abandoned))
    assert len(door.joined) + len(door.abandoned) == len(door.asked)
