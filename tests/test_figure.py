"""What is counted and measured, of the core and of plugins, in one place."""

import pytest

from tests.conftest import ExpectLog
from tests.reloading import ReloadSite, site
from tests.web.conftest import Serve, serve
from tests.wire import WireClient, call, signed_in
from tornado_webrtc import hookimpl
from tornado_webrtc.discovery import RESERVED
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.hooks import ScopeRequest

__all__ = ["serve", "site"]


class Pond:
    """A plugin with figures, and a scope for each room."""

    broken = False

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str:
        return request.room or ""

    @hookimpl
    def counters(self) -> dict[str, int]:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return {"caught": 3}

    @hookimpl
    def gauges(self) -> dict[str, float]:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return {"depth": 1.5}


class Listener:
    """A plugin that is called like a part of the core."""

    @hookimpl
    def counters(self) -> dict[str, int]:
        return {"accepted": 1_000_000}


async def test_counters_of_core_and_plugins(serve: Serve) -> None:
    server = await serve(plugins=[Pond()])
    async with signed_in(server.port, "1", "2") as (ann, ben):
        await call(ann, ben)
        found = server.figures.counters()
    assert list(found) == ["signaling", "listener", "server", "pond"]
    assert found["signaling"]["connections"] == 2
    assert found["signaling"]["message.offer"] == 1
    assert found["listener"]["accepted"] == 2
    assert "open" not in found["listener"], "it may shrink"
    assert found["pond"] == {"caught": 3}


async def test_gauges_of_core_and_plugins(serve: Serve) -> None:
    server = await serve(plugins=[Pond()])
    async with signed_in(server.port, "1", "2"), await WireClient.connect(server.port) as carl:
        await carl.register("3", room="red")
        found = server.figures.gauges()
    assert found == {
        "signaling": {"connections": 3, "peers": 3, "scopes": 2},
        "listener": {"open": 3},
        "pond": {"depth": 1.5},
    }


async def test_a_plugin_that_fails_hides_nothing_else(serve: Serve, expect_log: ExpectLog) -> None:
    expect_log("plugin pond: counters raised RuntimeError")
    expect_log("plugin pond: gauges raised RuntimeError")
    pond = Pond()
    server = await serve(plugins=[pond])
    pond.broken = True
    assert list(server.figures.counters()) == ["signaling", "listener", "server"]
    assert list(server.figures.gauges()) == ["signaling", "listener"]


async def test_no_plugin_replaces_a_part_of_the_core(serve: Serve) -> None:
    server = await serve(plugins=[Listener()])
    assert server.figures.counters()["listener"]["accepted"] == 0


async def test_no_plugin_that_is_found_has_the_name_of_a_part(serve: Serve) -> None:
    server = await serve()
    assert {*server.figures.counters(), *server.figures.gauges()} <= {*RESERVED}


async def test_what_is_returned_is_the_callers(serve: Serve) -> None:
    server = await serve()
    server.figures.counters()["signaling"]["connections"] = 7
    server.figures.counters()["server"]["reload.applied"] = 7
    assert server.figures.counters()["signaling"].get("connections", 0) == 0
    assert server.figures.counters()["server"] == {"reload.applied": 0, "reload.refused": 0}


async def test_reloads_are_counted(site: ReloadSite, expect_log: ExpectLog) -> None:
    expect_log("the configuration is not taken over")
    server = await site.start()
    await site.reload({"signaling.ping_s": "7"})
    await site.reload({})
    with pytest.raises(ConfigError):
        await site.reload({"signaling.ping_s": "often"})
    assert server.figures.counters()["server"] == {"reload.applied": 2, "reload.refused": 1}
