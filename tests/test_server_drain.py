"""Draining: what goes on, what is refused, what ends it."""

import asyncio
from collections.abc import Callable

import pytest
from tornado.web import RequestHandler

from tests.conftest import ExpectLog
from tests.plugins.conftest import serve, start_turn
from tests.plugins.turn.client import CHANNEL
from tests.plugins.turn.site import LOOPBACK, StartTurn
from tests.web.conftest import Serve
from tests.web.rawhttp import fetch
from tests.wire import WireClient, call, signed_in, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection
from tornado_webrtc.server import Server, ServerState

__all__ = ["serve", "start_turn"]

DEADLINE_S = 15.0


async def over(drain: asyncio.Task[None]) -> None:
    """Wait until a drain has ended."""
    async with asyncio.timeout(DEADLINE_S):
        await drain


def begin(server: Server, limit_s: float | None = None) -> asyncio.Task[None]:
    return asyncio.create_task(server.drain(limit_s))


async def begun(server: Server, limit_s: float | None = None) -> asyncio.Task[None]:
    """A drain that has begun and waits for something."""
    drain = begin(server, limit_s)
    await until(lambda: server.state is ServerState.DRAINING)
    assert not drain.done()
    return drain


async def test_life(serve: Serve) -> None:
    server = await serve(start=False)
    states = [server.state]
    await server.drain()
    states.append(server.state)
    for step in (server.start, server.drain, server.stop, server.drain):
        await step()
        states.append(server.state)
    assert states == ["starting", "starting", "running", "draining", "stopped", "stopped"]
    assert server.drained.is_set()


async def test_idle_sockets_do_not_hold_it_up_and_stay(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as ann:
        await ann.register("1")
        await over(begin(server))
        assert await ann.settled() == []
        async with await WireClient.connect(server.port) as late:
            closed = await late.read_until_closed()
            assert (closed.code, closed.reason) == (1012, "the server is restarting")


async def test_call_holds_it_up_and_goes_on(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        await ann.settled()
        drain = await begun(server)
        await ann.send("candidate", {"to": "2", "session_id": session_id})
        assert await ben.read_type("candidate")
        await ann.send("offer", {"to": "2", "session_id": session_id})
        assert await ben.read_type("offer"), "a call that goes on may be negotiated anew"
        await ben.send("offer", {"to": "1", "session_id": "another"})
        refused = await ben.read_type("error")
        assert (refused["request"], refused["code"]) == ("offer", "server-draining")
        assert await ben.read_type("bye") == {"session_id": "another", "to": "2"}
        assert await ann.settled() == []
        assert not drain.done()
        await ann.send("bye", {"session_id": session_id})
        await over(drain)
        assert not server.hub.signaling.sessions
        assert server.hub.counters["error.server-draining"] == 1


async def test_limit_ends_it_and_stop_says_bye(serve: Serve) -> None:
    server = await serve(general={"drain_s": 0.2})
    async with signed_in(server.port, "1", "2") as (ann, ben):
        session_id = await call(ann, ben)
        await ann.settled()
        await over(begin(server))
        assert len(server.collections["sessions"]) == 1
        stop = asyncio.create_task(server.stop())
        for client in (ann, ben):
            assert (await client.read())["data"] == {"session_id": session_id, "to": client.id}
            assert (await client.read_until_closed()).code == 1001
        await stop


@pytest.mark.parametrize("later_s", [(7200, 0.1), (0.1, 7200)])
async def test_shortest_limit_wins(serve: Serve, later_s: tuple[float, float]) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await call(ann, ben)
        drains = [await begun(server, 3600)]
        drains += [begin(server, limit_s) for limit_s in later_s]
        for drain in drains:
            await over(drain)


async def test_stop_ends_a_drain(serve: Serve) -> None:
    server = await serve()
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await call(ann, ben)
        drain = await begun(server, 3600)
        await server.stop()
        await over(drain)
        assert server.state is ServerState.STOPPED


# --- plugins ------------------------------------------------------------------


class Games:
    """A plugin with a collection that holds a drain up."""

    def __init__(self, count: Callable[[], int], *, holds_drain: bool = True) -> None:
        self._count, self._holds_drain = count, holds_drain
        self.told: list[ServerState] = []

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        kept = Collection(
            count=self._count, entries=list, get=lambda _: None, holds_drain=self._holds_drain
        )
        return {"games": kept}

    @hookimpl
    def server_draining(self, server: Server) -> None:
        self.told.append(server.state)


async def test_plugins_are_told_once_and_waited_for(serve: Serve) -> None:
    games = ["chess"]
    plugin = Games(lambda: len(games))
    server = await serve(plugins=[plugin])
    drain = await begun(server)
    again = begin(server)
    games.clear()
    await over(drain)
    await over(again)
    assert plugin.told == [ServerState.DRAINING]


async def test_what_does_not_hold_is_not_waited_for(serve: Serve) -> None:
    server = await serve(plugins=[Games(lambda: 1, holds_drain=False)])
    await over(begin(server))


async def test_plugin_that_cannot_count_is_not_waited_for(
    serve: Serve, expect_log: ExpectLog
) -> None:
    expect_log("the games cannot be counted")
    server = await serve(plugins=[Games(lambda: 1 // 0)])
    await over(begin(server))


# --- TURN ---------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relayed_call_holds_it_up_and_goes_on(start_turn: StartTurn, transport: str) -> None:
    site = await start_turn(allow_peers=LOOPBACK)
    client, peer = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    late = await site.udp("bob")
    drain = await begun(site.server)
    assert await late.try_to_allocate() == 508
    assert await client.refresh(600) == 0
    assert await client.permit(peer.address) == 0
    assert await client.bind(site.peer().address, CHANNEL + 1) == 0
    client.send_channel(b"still here")
    assert await peer.receive() == (b"still here", relayed)
    assert not drain.done()
    assert await client.refresh(0) == 0
    await over(drain)


async def test_allocation_that_stays_is_deleted_at_the_end(start_turn: StartTurn) -> None:
    site = await start_turn()
    client = await site.udp()
    await client.allocate()
    await over(begin(site.server, 0.1))
    assert len(site.server.collections["allocations"]) == 1
    await site.server.stop()
    assert len(site.server.collections["allocations"]) == 0


# --- HTTP ---------------------------------------------------------------------


class Slow(RequestHandler):
    """Answers when it is told to."""

    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def get(self) -> None:
        """Answer."""
        self.asked.set()
        await self.go_on.wait()
        self.finish("done")


class Pages:
    """A plugin with a slow page."""

    @hookimpl
    def http_handlers(self) -> list[object]:
        Slow.asked, Slow.go_on = asyncio.Event(), asyncio.Event()
        return [("/slow", Slow)]


async def test_request_under_way_is_answered_before_the_end(serve: Serve) -> None:
    server = await serve(plugins=[Pages()])
    request = asyncio.create_task(fetch(server.port, "/slow"))
    await Slow.asked.wait()
    stop = asyncio.create_task(server.stop())
    await until(lambda: server.state is ServerState.STOPPED)
    Slow.go_on.set()
    assert (await request).body == b"done"
    await stop


async def test_request_that_takes_too_long_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.server.FINISH_TIMEOUT_S", 0.05)
    server = await serve(plugins=[Pages()])
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await Slow.asked.wait()
    async with asyncio.timeout(DEADLINE_S):
        await server.stop()
        assert await reader.read() == b""
    writer.close()
    Slow.go_on.set()
