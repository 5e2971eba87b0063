"""Signing in over real sockets: `new`, the list of peers, ids that two clients want."""

import asyncio
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.web.conftest import Serve
from tests.wire import WireClient, error, signed_in, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import JoinRequest, ScopeRequest


async def test_new_announces_to_everyone_concerned(serve: Serve) -> None:
    server = await serve()
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        first = {"id": "1", "name": "Ann", "user_agent": "flutter"}
        assert await ann.register("1", name="Ann", user_agent="flutter") == [first]
        second = {"id": "2", "name": "", "user_agent": ""}
        assert await ben.register("2", name=None, user_agent=None) == [first, second]
        assert await ann.read_type("peers") == [first, second]


async def test_long_labels_are_cut_and_ids_may_be_any_text(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        peer_id = "\U0001f469\u200d\U0001f52c \u00a0"
        peers = await client.register(peer_id, name="n" * 1000, user_agent="u" * 1000)
        assert peers == [{"id": peer_id, "name": "n" * 64, "user_agent": "u" * 192}]


async def test_second_new_updates_the_entry(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await ann.send("new", {"id": "1", "name": "Anna", "user_agent": "x"})
        for client in (ann, ben):
            assert (await client.read_type("peers"))[0]["name"] == "Anna"
        await ann.send("new", {"id": "3", "name": "Anna"})
        answer = await ann.read()
        assert answer["data"]["code"] == "already-registered"
        assert await ben.settled() == []


async def test_leave_keeps_the_socket(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await ann.send("leave", "anything")
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        messages = await ann.settled()
        assert [each["data"]["code"] for each in messages] == ["not-registered"]
        assert [peer["id"] for peer in await ben.read_type("peers")] == ["2"]
        assert [peer["id"] for peer in await ann.register("1")] == ["2", "1"]


async def test_id_in_use_is_refused_while_its_holder_answers(serve: Serve) -> None:
    server = await serve()
    async with (
        await WireClient.connect(server.port) as holder,
        await WireClient.connect(server.port) as newcomer,
    ):
        await holder.register("1")
        answering = asyncio.ensure_future(holder.read_until_closed())
        await newcomer.send("new", {"id": "1", "name": "impostor"})
        assert await newcomer.read() == error("new", "Peer id [1] is in use.", "id-in-use")
        assert (await newcomer.read_until_closed()).code == 4409
        assert [peer.name for peer in server.hub.peers()] == ["peer 1"]
        answering.cancel()


async def test_id_of_a_dead_holder_is_taken_over(serve: Serve) -> None:
    server = await serve()
    async with (
        await WireClient.connect(server.port) as holder,
        await WireClient.connect(server.port) as newcomer,
    ):
        await holder.register("1")
        peers = await newcomer.register("1", name="returned")
        assert [peer["name"] for peer in peers] == ["returned"]
        assert (await holder.read_until_closed()).code == 4001


async def test_reject_asks_nobody(serve: Serve) -> None:
    server = await serve(signaling={"on_duplicate_id": "reject"})
    async with (
        await WireClient.connect(server.port) as holder,
        await WireClient.connect(server.port) as newcomer,
    ):
        await holder.register("1")
        await newcomer.send("new", {"id": "1"})
        assert (await newcomer.read_until_closed()).code == 4409
        assert await holder.settled() == []


async def test_many_claim_one_id_and_one_gets_it(serve: Serve) -> None:
    server = await serve()
    clients = [await WireClient.connect(server.port) for _ in range(8)]
    for client in clients:
        await client.send("new", {"id": "1"})
    reading = [asyncio.ensure_future(client.read_until_closed()) for client in clients]
    refused: list[int | None] = []
    for finished in asyncio.as_completed(reading):
        refused.append((await finished).code)
        if len(refused) == len(clients) - 1:
            break
    assert refused == [4409] * 7
    assert server.hub.signaling.peer_count == 1
    for client in clients:
        await client.drop()
    await asyncio.gather(*reading)


async def test_newcomer_that_goes_as_the_holder_does_is_not_signed_in(serve: Serve) -> None:
    """All in one turn of the loop: a sign of life, and the end of both connections.

    Python 3.11's `asyncio.wait_for` forgets that it was cancelled if what it waits for
    has just come, so the newcomer's `new` goes on although nobody is there any more.
    """
    server = await serve()
    async with (
        await WireClient.connect(server.port) as first,
        await WireClient.connect(server.port) as second,
    ):
        await first.register("alice")
        await second.send("new", {"id": "alice", "name": "", "user_agent": ""})
        holder, newcomer = server.hub._connections.values()
        await until(lambda: bool(holder._probes))
        holder.heard()
        holder.abort(left="gone")
        newcomer.abort(left="gone")
        await until(lambda: len(server.hub) == 0)
        await asyncio.gather(*filter(None, [newcomer._worker]), return_exceptions=True)
        assert list(server.hub.peers()) == []


class Doorman:
    """Notes what is known of those who want in."""

    def __init__(self) -> None:
        self.scopes: list[ScopeRequest] = []
        self.joins: list[JoinRequest] = []

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str:
        self.scopes.append(request)
        return f"scope of {request.room}"

    @hookimpl
    def permit_join(self, request: JoinRequest) -> None:
        self.joins.append(request)


async def test_plugins_learn_of_room_and_password(serve: Serve) -> None:
    doorman = Doorman()
    server = await serve(plugins=[doorman])
    path = "/ws?room=blue&password=x&more=1"
    fields: list[dict[str, Any]] = [
        {},
        {"room": "red", "password": "sesame"},
        {"room": "", "password": None},
    ]
    for number, given in enumerate(fields):
        async with await WireClient.connect(server.port, path=path) as client:
            peers = await client.register(str(number), **given)
            assert [set(peer) for peer in peers] == [{"id", "name", "user_agent"}]
            await client.drop()
            await until(lambda: not list(server.hub.peers()))
    assert [each.room for each in doorman.scopes] == ["blue", "red", "blue"]
    assert [each.room for each in doorman.joins] == ["blue", "red", "blue"]
    assert [each.scope for each in doorman.joins] == [f"scope of {r.room}" for r in doorman.scopes]
    assert [each.password for each in doorman.joins] == [None, "sesame", None]
    assert {each.query["more"] for each in doorman.joins} == {"1"}


@pytest.mark.parametrize("failure", [RuntimeError("no tenants"), 7])
@pytest.mark.parametrize("others", [(), (Doorman(),)])
async def test_nobody_gets_in_while_nobody_can_tell_where_to(
    serve: Serve, expect_log: ExpectLog, failure: object, others: tuple[Doorman, ...]
) -> None:
    """Not into the lobby, nor where the next plugin would put it: those are other people's."""

    class Tenants:
        @hookimpl(tryfirst=True)
        def scope_for(self, request: ScopeRequest) -> object:
            if request.room != "elsewhere":
                return request.room
            if isinstance(failure, Exception):
                raise failure
            return failure

    expect_log("^plugin tenants: scope_for (raised|returned)")
    server = await serve(plugins=[Tenants(), *others])
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as eve,
    ):
        await ann.register("ann", room="ours")
        await eve.send("new", {"id": "eve", "room": "elsewhere"})
        reason = "Which peers you may meet cannot be found out at the moment."
        assert await eve.read() == error("new", reason, "plugin-failed")
        assert (await eve.read_until_closed()).code == 4500
        assert [peer.id for peer in server.hub.peers()] == ["ann"]
        assert server.hub.counters["error.plugin-failed"] == 1


async def test_nobody_gets_in_while_it_takes_too_long_to_tell_where_to(
    serve: Serve, expect_log: ExpectLog
) -> None:
    class Tenants:
        @hookimpl
        async def scope_for(self) -> str:
            await asyncio.Event().wait()
            return "never"

    expect_log("plugin tenants: scope_for did not finish within")
    server = await serve(plugins=[Tenants()])
    server.hooks._isolation._timeout_s = 0.01
    async with await WireClient.connect(server.port) as client:
        await client.send("new", {"id": "1"})
        assert (await client.read())["type"] == "error"
        assert (await client.read_until_closed()).code == 4500
    assert list(server.hub.peers()) == []


async def test_plugins_learn_of_no_room(serve: Serve) -> None:
    doorman = Doorman()
    server = await serve(plugins=[doorman])
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
    (join,) = doorman.joins
    assert (join.room, join.password, join.query) == (None, None, {})
