"""`close_at_expiry`: what a token allowed ends with it, or does not, in a running server."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.plugins.auth_jwt.site import (
    BY_SECRET,
    by_header,
    by_subprotocol,
    credential,
    refused,
    token,
)
from tests.reloading import ReloadSite, site
from tests.wallclock import WallClock
from tests.wire import WireClient, call, error, until
from tornado_webrtc.server import Server, ServerState
from tornado_webrtc.web import connection
from tornado_webrtc.web.connection import Connection

__all__ = ["site"]

NOW = float(int(time.time()))
CLOSING = BY_SECRET | {"auth_jwt.close_at_expiry": "yes", "auth_jwt.leeway_s": "0"}
EXPIRED = error("", "Your sign-in has expired.", "identity-expired")


@pytest.fixture
def watch() -> WallClock:
    """It stands still: however long signing in takes, no token is over."""
    return WallClock(NOW)


def good(subject: str, life_s: float) -> str:
    """A token that is over so long after the clock was made."""
    return token(subject, iat=NOW, exp=NOW + life_s)


def names(server: Server) -> list[str]:
    return [peer.id for peer in server.hub.peers()]


def remaining(server: Server) -> list[Connection]:
    found = map(server.hub.connection_of, server.hub.peers())
    return [each for each in found if each is not None]


async def signed_in(server: Server, shown: str, peer_id: str) -> WireClient:
    client = await WireClient.connect(server.port, headers=by_header(shown))
    await client.register(peer_id)
    return client


@pytest.mark.parametrize("show", [by_header, by_subprotocol, None])
async def test_token_ends_its_connection_and_a_newer_one_lets_in_again(
    site: ReloadSite, watch: WallClock, show: Callable[[str], dict[str, str]] | None
) -> None:
    server = await site.start(CLOSING, clock=watch.clock)
    shown = good("ann", 1)
    headers, extra = (show(shown), {}) if show else (None, {"token": shown})
    async with await WireClient.connect(server.port, headers=headers) as ann:
        await ann.register("ann", **extra)
        watch.run()
        assert await ann.read() == EXPIRED
        closed = await ann.read_until_closed()
        assert (closed.code, closed.reason) == (4401, "Your sign-in has expired.")
        assert watch.wall >= NOW + 1
    assert (await refused(server.port, by_header(shown))).reason == "The token has expired."
    async with await signed_in(server, good("ann", 3600), "ann") as ann:
        assert await ann.settled() == []


async def test_calls_end_as_with_any_connection_that_ends(
    site: ReloadSite, watch: WallClock
) -> None:
    server = await site.start(CLOSING, clock=watch.clock)
    async with (
        await signed_in(server, good("ann", 1), "ann") as ann,
        await signed_in(server, good("ben", 3600), "ben") as ben,
    ):
        session_id = await call(ann, ben)
        watch.run()
        assert await ben.read_type("bye") == {"session_id": session_id, "to": "ben"}
        assert await ben.read_type("leave") == "ann"
        assert (await ann.read_until_closed()).code == 4401
        await ben.settled()
        assert names(server) == ["ben"]


async def test_drain_ends_with_the_last_call(site: ReloadSite, watch: WallClock) -> None:
    server = await site.start(CLOSING, clock=watch.clock)
    async with (
        await signed_in(server, good("ann", 1), "ann") as ann,
        await signed_in(server, good("ben", 3600), "ben") as ben,
    ):
        await call(ann, ben)
        drain = asyncio.create_task(server.drain(3600))
        await until(lambda: server.state is ServerState.DRAINING)
        assert not drain.done()
        watch.run()
        assert (await ann.read_until_closed()).code == 4401
        async with asyncio.timeout(15):
            await drain
        assert await ben.read_type("leave") == "ann", "who has a good token stays"


async def test_reload_counts_for_who_signs_in_afterwards(
    site: ReloadSite, watch: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in was let in on other terms, and stays or goes by those."""
    monkeypatch.setattr(connection, "MAX_EXPIRY_WAIT_S", 0.01)
    server = await site.start(BY_SECRET, clock=watch.clock)
    async with AsyncExitStack() as stack:
        for name, terms in (("ann", "no"), ("ben", "yes"), ("cid", "no")):
            report = await site.reload({"auth_jwt.close_at_expiry": terms})
            assert report.applied == (() if name == "ann" else ("auth_jwt.close_at_expiry",))
            client = await signed_in(server, good(name, 100), name)
            await stack.enter_async_context(client)
        watch.set(129.9)
        await watch.looked_at()
        assert names(server) == ["ann", "ben", "cid"], "there is the same leeway as at the door"
        watch.set(0.2)
        await until(lambda: names(server) == ["ann", "cid"])
        assert [each.expires_at for each in remaining(server)] == [math.inf, math.inf]


async def test_credentials_of_turn_end_with_the_token(site: ReloadSite, watch: WallClock) -> None:
    server = await site.start(BY_SECRET | {"auth_jwt.close_at_expiry": "yes"}, clock=watch.clock)
    shown = good("ann", 100)
    made = (await credential(server, "ann", shown)).json
    assert (made["ttl"], made["username"]) == (130, f"{NOW + 130:.0f}:ann")
    await site.reload({"auth_jwt.close_at_expiry": "no"})
    assert (await credential(server, "ann", shown)).json["ttl"] == 86400


async def test_anonymous_clients_have_nothing_that_expires(
    site: ReloadSite, watch: WallClock
) -> None:
    settings = {"auth_jwt.close_at_expiry": "yes", "auth_jwt.allow_anonymous": "yes"}
    server = await site.start(BY_SECRET | settings, clock=watch.clock)
    async with await WireClient.connect(server.port) as client:
        await client.register("123456")
        assert [each.expires_at for each in remaining(server)] == [math.inf]
