"""Faults of a whole server, reported to a sink that speaks Sentry's protocol."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from tests.conftest import ExpectLog
from tests.plugins.section import section
from tests.plugins.sentry.sink import Sink, sinking
from tests.reloading import ReloadSite, site
from tests.service import ROOT
from tests.wire import WireClient, until
from tornado_webrtc import __version__
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.hooks import Doubt, PluginContext
from tornado_webrtc.implementation import faults
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.plugins import sentry
from tornado_webrtc.plugins.sentry import Plugin

__all__ = ["site"]

CANDIDATE = "candidate:1 1 udp 1 10.20.30.40 46154 typ host ufrag uFr4"

BROKEN = '''
"""Fails in many ways, with secrets in its hands."""

from tornado.web import RequestHandler

from tornado_webrtc import hookimpl


class Broken(RequestHandler):
    def get(self):
        self.fail()

    post = get

    def fail(self):
        password = self.request.body
        raise ValueError("cannot use token=" + self.get_query_argument("token", "none"))


class Loud(Broken):
    """Logs an exception as Tornado does, instead of as the server does."""

    def log_exception(self, typ, value, tb):
        super().log_exception(typ, value, tb)


@hookimpl
def http_handlers():
    return [("/broken", Broken), ("/loud", Loud)]


@hookimpl
def session_answered(session):
    raise KeyError(f"no room for {session.id}: sdp='v=0 s3cr3t'")


@hookimpl
def permit_message(message):
    if message.type == "candidate":
        raise RuntimeError(f"odd: {message.data}")
'''


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as made:
        yield made


async def start(site: ReloadSite, sink: Sink, **more: str) -> int:
    folder = site.folder / "mine"
    folder.mkdir(exist_ok=True)
    (folder / "broken.py").write_text(BROKEN)
    own = {"dsn": sink.dsn, "environment": "test", **more}
    settings = {f"sentry.{name}": value for name, value in own.items()}
    server = await site.start(settings | {"plugins.path": "mine,"})
    return server.port


async def ask(port: int, path: str, **options: Any) -> int:
    client = AsyncHTTPClient(force_instance=True)
    try:
        response = await client.fetch(f"http://127.0.0.1:{port}{path}", **options)
    except HTTPClientError as error:
        return error.code
    finally:
        client.close()
    return response.code


def counters(site: ReloadSite) -> dict[str, int]:
    ((_, counts),) = [each for each in site.server.hooks.collect("counters") if each[0] == "sentry"]
    assert isinstance(counts, dict)
    return counts


def test_plugin_is_sound() -> None:
    assert faults(sentry) == []
    assert not hasattr(sentry, "ENABLED_BY_DEFAULT")


@pytest.mark.parametrize("path", ["/broken", "/loud"])
async def test_exception_in_a_handler_arrives_once(
    sink: Sink, site: ReloadSite, path: str, expect_log: ExpectLog
) -> None:
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    port = await start(site, sink)
    headers = {
        "Authorization": "Bearer s3cr3t",
        "Cookie": "session=s3cr3t",
        "Sec-WebSocket-Protocol": "bearer.s3cr3t",
        "X-Forwarded-For": "93.184.216.34",
        "sentry-trace": f"{'1' * 32}-{'2' * 16}-1",
        "baggage": f"sentry-trace_id={'1' * 32},sentry-user_segment=s3cr3t",
    }
    status = await ask(
        port, f"{path}?token=s3cr3t", method="POST", body="password=s3cr3t", headers=headers
    )
    assert status == 500
    await site.server.stop()
    (event,) = sink.events
    assert event["release"] == f"tornado-webrtc@{__version__}"
    assert (event["environment"], event["server_name"]) == ("test", site.server.hub.node_id)
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "cannot use token=[redacted]")
    assert value["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["request"]["method"] == "POST"
    assert event["request"]["url"] == f"http://127.0.0.1:{port}{path}"
    assert set(event["request"]) == {"method", "url", "headers"}
    assert event["transaction"].endswith("Broken.get")
    assert "s3cr3t" not in sink.raw
    assert "93.184.216.34" not in sink.raw
    assert sink.of_type("transaction") == []


async def test_exception_of_a_plugin_arrives_once(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    expect_log("plugin broken: session_answered raised KeyError")
    expect_log("plugin broken: permit_message raised RuntimeError")
    port = await start(site, sink)
    async with (
        await WireClient.connect(port, path="/ws?token=s3cr3t") as alice,
        await WireClient.connect(port) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        offer = {"to": "bob", "session_id": "s", "description": {"type": "offer", "sdp": "v=0"}}
        await alice.send("offer", offer)
        await bob.read_type("offer")
        await bob.send("answer", offer | {"to": "alice"})
        await alice.read_type("answer")
        await alice.send("candidate", offer | {"candidate": {"candidate": CANDIDATE}})
        assert (await alice.read())["data"]["code"] == "plugin-failed"
    await site.server.stop()
    assert len(sink.events) == 2
    texts = [event["logentry"]["formatted"] for event in sink.events]
    assert texts[0].startswith("plugin broken: session_answered raised KeyError")
    assert texts[1].startswith("plugin broken: permit_message raised RuntimeError")
    for event in sink.events:
        assert event["request"]["url"] == "http://localhost/ws"
        assert event["logger"] == "tornado_webrtc.plugins.broken"
    assert "s3cr3t" not in sink.raw
    assert "10.20.30.40" not in sink.raw
    assert "uFr4" not in sink.raw
    crumbs = [each["message"] for each in sink.events[0]["breadcrumbs"]["values"]]
    assert [crumb.split()[1:4] for crumb in crumbs] == [["GET", "/ws", "101"]], "its own only"


async def test_durations_of_requests_but_not_of_websockets(sink: Sink, site: ReloadSite) -> None:
    port = await start(site, sink, traces_sample_rate="1")
    headers = {"baggage": "sentry-user_segment=s3cr3t,sentry-environment=s3cr3t"}
    assert await ask(port, "/healthz?token=s3cr3t", headers=headers) == 200
    async with await WireClient.connect(port) as client:
        await client.register("alice")
    await site.server.stop()
    # The sink is a web server of this process, too: its own requests are reported to it.
    theirs = f"http://127.0.0.1:{sink.port}/"
    transactions = [
        each
        for each in sink.of_type("transaction")
        if not each["request"]["url"].startswith(theirs)
    ]
    (transaction,) = transactions
    assert transaction["request"]["url"].endswith("/healthz")
    assert transaction["environment"] == "test"
    assert "s3cr3t" not in sink.raw


async def test_reload_takes_over_everything(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    port = await start(site, sink)
    async with sinking() as other:
        changed = {"dsn": other.dsn, "environment": "changed", "release": "mine@2"}
        report = await site.reload({f"sentry.{name}": text for name, text in changed.items()})
        assert report.needs_restart == ()
        assert {"sentry.dsn", "sentry.environment", "sentry.release"} == {*report.applied}
        assert await ask(port, "/broken") == 500
        await until(lambda: bool(other.events))
        (event,) = other.events
        assert (event["environment"], event["release"]) == ("changed", "mine@2")
        await site.reload({})
        await site.reload({"sentry.server_name": "edge-7"})
        assert await ask(port, "/broken") == 500
        await until(lambda: len(other.events) == 2)
        assert other.events[-1]["server_name"] == "edge-7"
        await site.server.stop()
    assert sink.events == []


async def test_reload_with_a_bad_dsn_changes_nothing(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over")
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    port = await start(site, sink)
    with pytest.raises(ConfigError, match=r"sentry\.dsn: it does not begin with https") as raised:
        await site.reload({"sentry.dsn": "s3cr3t"})
    assert "s3cr3t" not in str(raised.value)
    assert await ask(port, "/broken") == 500
    await until(lambda: bool(sink.events))


async def test_bad_settings_that_nobody_checked(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("the new settings cannot be used; the ones before hold")
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    port = await start(site, sink)
    own = site.server.plugins._pluggy.get_plugin("sentry")
    assert isinstance(own, Plugin)
    own.settings_changed(Config(plugin_settings={"sentry": section(sentry.SETTINGS, dsn="s3cr3t")}))
    assert await ask(port, "/broken") == 500
    await until(lambda: bool(sink.events))


async def test_reload_that_fails_leaves_the_reports_as_they_were(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("plugin sentry: settings_changed raised ProxySchemeUnknown")
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    port = await start(site, sink)
    monkeypatch.setenv("http_proxy", "nonsense://127.0.0.1:9")
    await site.reload({"sentry.environment": "changed"})
    monkeypatch.delenv("http_proxy")
    assert await ask(port, "/broken") == 500
    await until(lambda: any("exception" in event for event in sink.events))
    assert {event["environment"] for event in sink.events} == {"test"}


@pytest.mark.parametrize("path", ["/broken", "/loud"])
async def test_counters(sink: Sink, site: ReloadSite, path: str, expect_log: ExpectLog) -> None:
    """A request that raised counts once, whoever else logs its exception."""
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    expect_log("too much to report; .* the faults that")
    port = await start(site, sink, events_per_minute="1")
    for _ in range(3):
        assert await ask(port, path) == 500
    counts = counters(site)
    assert counts == {"sent": 1, "dropped": 2, "lost": 0}


async def test_a_sentry_that_hangs_holds_up_neither_calls_nor_the_end(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.plugins.sentry.reporter.FLUSH_S", 0.5)
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    sink.hangs = True
    port = await start(site, sink)
    for _ in range(5):
        assert await ask(port, "/broken") == 500
    began = time.monotonic()
    async with await WireClient.connect(port) as client:
        await client.register("alice")
    assert time.monotonic() - began < 6.0
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    await site.server.stop()
    assert time.monotonic() - began < 8.0
    ticking.cancel()
    assert ticks > 3, "the event loop was not blocked"


async def test_two_servers_one_after_the_other(
    sink: Sink, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("(?i)uncaught exception")
    expect_log(" 500 ")
    for number in (1, 2):
        port = await start(site, sink, server_name=f"node-{number}")
        assert await ask(port, "/broken") == 500
        await site.server.stop()
    assert [each["server_name"] for each in sink.events] == ["node-1", "node-2"]


@pytest.mark.parametrize(
    ("dsn", "words"),
    [("", "nothing would be reported"), ("https://s3cr3t@host/", "the number of a project")],
)
async def test_no_server_starts_without_a_dsn(
    sink: Sink, site: ReloadSite, dsn: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        await start(site, sink, dsn=dsn)
    assert "sentry.dsn: " in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


def plugin(**written: Any) -> Plugin:
    own = section(sentry.SETTINGS, **written)
    return Plugin(PluginContext("sentry", own, Config(), plugin_logger("sentry")))


def test_check_calls_nobody_and_doubts() -> None:
    (doubt,) = plugin(dsn="http://k@sentry.example.org/1").check()
    assert isinstance(doubt, Doubt)
    assert doubt.startswith("sentry.dsn: over http, ")
    assert plugin(dsn="https://k@sentry.example.org/1").check() == []


async def test_started_without_a_look_at_check() -> None:
    with pytest.raises(PluginError, match="dsn: is empty"):
        await plugin().start(None)  # type: ignore[arg-type]


async def test_stopped_without_a_start() -> None:
    made = plugin()
    await made.stop()
    assert made.counters() == {"sent": 0, "dropped": 0, "lost": 0}


def test_the_library_is_loaded_by_nobody_else() -> None:
    code = """
import json, sys
import tornado_webrtc.plugins.sentry
import tornado_webrtc.cli
print(json.dumps([name for name in sys.modules if name.startswith("sentry_sdk")]))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert json.loads(result.stdout) == []
