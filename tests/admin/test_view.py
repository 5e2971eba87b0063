"""What operators see: everything of the server, and no secret of it."""

import json
import os
from dataclasses import replace

import pytest

from tests.admin.conftest import Operate
from tests.conftest import ExpectLog
from tests.plugins.turn.site import SECRET, SETTINGS, Manual, found
from tests.wire import WireClient
from tornado_webrtc import __version__, hookimpl
from tornado_webrtc.admin.view import all_collections, shown_ban, status
from tornado_webrtc.ban import Ban
from tornado_webrtc.hooks import Collection
from tornado_webrtc.server import Server


class Rooms:
    """A plugin with a collection, counters and gauges."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    @hookimpl
    def collections(self) -> dict[str, Collection]:
        return {"rooms": Collection(count=self._count, entries=list, get=lambda _id: None)}

    def _count(self) -> int:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return 7

    @hookimpl
    def counters(self) -> dict[str, int]:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return {"made": 9}

    @hookimpl
    def gauges(self) -> dict[str, float]:
        return {"full": 0.5}


async def test_status(operate: Operate) -> None:
    operated = await operate(plugins=[found(), Rooms()], turn=SETTINGS, tls=True)
    server = operated.server
    async with await WireClient.connect(server.port, tls=True) as ann:
        await ann.register("1")
        seen = status(server, 12.3456)
    assert (seen["version"], seen["state"], seen["uptime_s"]) == (__version__, "running", 12.346)
    assert (seen["pid"], seen["node_id"]) == (os.getpid(), server.hub.node_id)
    assert seen["event_loop"] in {"asyncio", "uvloop"}
    assert seen["config"] is None
    assert seen["addresses"] == [f"https://127.0.0.1:{server.port}"]
    assert seen["certificate"]["file"].endswith("/cert.pem")
    assert seen["certificate"]["days_left"] == 396
    assert [each["id"] for each in seen["plugins"]] == ["turn", "rooms"]
    assert seen["plugins_left_out"] == {}
    assert seen["collections"] == {
        "peers": 1,
        "sessions": 0,
        "allocations": 0,
        "rooms": 7,
        "plugins": 2,
        "bans": 0,
    }
    assert seen["bans_stored"] is True
    assert list(seen["counters"]) == ["signaling", "listener", "server", "turn", "rooms"]
    assert seen["counters"]["signaling"]["message.new"] == 1
    assert seen["gauges"]["listener"] == {"open": 1}
    assert seen["gauges"]["rooms"] == {"full": 0.5}
    assert seen["counters"]["rooms"] == {"made": 9}
    assert SECRET not in json.dumps(seen)


async def test_a_plugin_that_raises_hides_nothing_else(
    operate: Operate, expect_log: ExpectLog
) -> None:
    expect_log("the rooms cannot be counted")
    expect_log("plugin rooms: counters raised RuntimeError")
    operated = await operate(plugins=[Rooms(broken=True)])
    seen = status(operated.server, 1)
    assert seen["collections"]["rooms"] is None
    assert list(seen["counters"]) == ["signaling", "listener", "server"]


async def test_uptime_is_the_clock_s(operate: Operate) -> None:
    time = Manual()
    operated = await operate(clock=time.clock)
    time.advance(90)
    assert (await operated.ask("GET", "/status"))[1]["uptime_s"] == 90


async def test_plugins_and_their_versions(operate: Operate) -> None:
    operated = await operate(plugins=[replace(found(), version="7.1"), Rooms()], turn=SETTINGS)
    plugins = all_collections(operated.server)["plugins"]
    assert (plugins.count(), plugins.end) == (2, None)
    turn, rooms = plugins.entries()
    assert (turn["version"], turn["origin"]) == ("7.1", "shipped")
    assert rooms == {
        "id": "rooms",
        "version": "",
        "origin": "a test",
        "hooks": ["collections", "counters", "gauges"],
    }
    assert plugins.get("rooms") == rooms
    assert plugins.get("nobody") is None


async def test_bans_as_a_collection(operate: Operate) -> None:
    server: Server = (await operate()).server
    bans = all_collections(server)["bans"]
    server.ban("peer", "ann")
    assert (len(bans), [each["id"] for each in bans.entries()]) == (1, ["peer:ann"])
    shown = bans.get("peer:ann")
    assert shown
    assert (shown["value"], shown["left_s"]) == ("ann", None)
    assert bans.get("peer:ben") is None
    assert bans.end
    assert (bans.end("peer:ann", ""), bans.end("peer:ann", "")) == (True, False)


@pytest.mark.parametrize(("expires_at", "left_s"), [(None, None), (160.0, 60.0), (90.0, 0.0)])
def test_ban(expires_at: float | None, left_s: float | None) -> None:
    shown = shown_ban(Ban("peer", "ann", "spam", 100.0, expires_at), 100.0)
    assert (shown["id"], shown["reason"], shown["left_s"]) == ("peer:ann", "spam", left_s)
    assert shown["expires_at"] == expires_at
