"""Webhooks of a whole server: real calls, real allocations, a real receiver."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.conftest import ExpectLog
from tests.plugins.section import section
from tests.plugins.webhook.receiver import OLD_SECRET, SECRET, Receiver, Reply, receiving
from tests.reloading import ReloadSite, site
from tests.wire import WireClient, call, until
from tornado_webrtc import __version__
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.hooks import Doubt, PluginContext
from tornado_webrtc.implementation import faults
from tornado_webrtc.plugins import webhook
from tornado_webrtc.plugins.webhook import Plugin
from tornado_webrtc.plugins.webhook.event import FIELDS, TYPES

__all__ = ["site"]

UNWANTED = ("v=0", "candidate:1", "s3cr3t", "whsec_")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def settings_of(receiver: Receiver, **more: str) -> dict[str, str]:
    basis = {"url": receiver.url, "secret": SECRET, "flush_s": "8"}
    return {f"webhook.{name}": value for name, value in (basis | more).items()}


def events(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    return [each["data"] for each in receiver.events if each["type"] == kind]


def counters(site: ReloadSite) -> dict[str, int]:
    ((_, counts),) = [
        each for each in site.server.hooks.collect("counters") if each[0] == "webhook"
    ]
    assert isinstance(counts, dict)
    return counts


def test_plugin_is_sound() -> None:
    assert faults(webhook) == []
    assert not hasattr(webhook, "ENABLED_BY_DEFAULT")


async def test_everything_that_happens(receiver: Receiver, site: ReloadSite) -> None:
    """Every event there is, with the fields that are listed, and nothing that is secret."""
    server = await site.start(settings_of(receiver))
    async with (
        await WireClient.connect(server.port, path="/ws?token=s3cr3t") as alice,
        await WireClient.connect(server.port) as bob,
    ):
        await alice.register("alice")
        await bob.register("bob")
        session_id = await call(alice, bob)
        await alice.send("bye", {"session_id": session_id})
        await bob.read_type("bye")
    client = await site.allocated("carol")
    assert await client.refresh(0) == 0
    await until(lambda: receiver.types.count("peer.left") == 2)
    await server.drain(0.0)
    await server.stop()

    assert set(receiver.types) == set(TYPES)
    for each in receiver.events:
        assert set(each) == {"type", "timestamp", "node_id", "dropped", "data"}
        assert set(each["data"]) == set(FIELDS[each["type"]]), each["type"]
        assert (each["node_id"], each["dropped"]) == (server.hub.node_id, 0)
    for request in receiver.requests:
        assert Webhook(SECRET).verify(request.body, request.headers) == request.event
        assert [word for word in UNWANTED if word in request.body.decode()] == []
    assert receiver.types[0] == "server.started"
    assert receiver.types[-2:] == ["server.draining", "server.stopped"]

    (started,) = events(receiver, "server.started")
    address = f"http://127.0.0.1:{server.port}"
    assert started == {"version": __version__, "addresses": [address]}
    joined = {each["peer_id"]: each for each in events(receiver, "peer.joined")}
    assert joined["alice"]["name"] == "peer alice"
    assert joined["alice"]["remote_ip"] == "127.0.0.1"
    left = {each["peer_id"]: each for each in events(receiver, "peer.left")}
    for peer in ("alice", "bob"):
        assert left[peer]["connection_id"] == joined[peer]["connection_id"]
        assert left[peer]["connected_s"] > 0
    (ended,) = events(receiver, "session.ended")
    assert (ended["session_id"], ended["reason"]) == ("alice-bob", "bye")
    assert (ended["caller_id"], ended["callee_id"]) == ("alice", "bob")
    assert ended["answered"] is True
    assert ended["talked_s"] >= 0
    (deleted,) = events(receiver, "allocation.deleted")
    assert (deleted["user"], deleted["transport"]) == ("carol", "udp")
    assert deleted["lasted_s"] > 0
    assert deleted["bytes_to_peer"] == 0


async def test_a_call_that_nobody_answers(receiver: Receiver, site: ReloadSite) -> None:
    await site.start(settings_of(receiver, events="session.*"))
    alice, bob = await site.connect("alice"), await site.connect("bob")
    description = {"type": "offer", "sdp": "v=0\r\n"}
    await alice.send("offer", {"to": "bob", "session_id": "s", "description": description})
    await bob.read_type("offer")
    await bob.drop()
    await until(lambda: len(receiver.requests) == 2)
    assert receiver.types == ["session.offered", "session.ended"]
    (ended,) = events(receiver, "session.ended")
    assert (ended["answered"], ended["talked_s"]) == (False, None)
    assert ended["rang_s"] >= 0


async def test_addresses_are_shortened(receiver: Receiver, site: ReloadSite) -> None:
    settings = settings_of(receiver, anonymize_addresses="yes", events="peer.joined,")
    server = await site.start(settings | {"general.trusted_proxies": "127.0.0.1,"})
    headers = {"X-Forwarded-For": "93.184.216.34"}
    async with await WireClient.connect(server.port, headers=headers) as client:
        await client.register("alice")
        await until(lambda: bool(receiver.requests))
    assert receiver.events[0]["data"]["remote_ip"] == "93.184.216.0"


async def test_a_dead_receiver_slows_nobody_down(
    receiver: Receiver, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("events are dropped: the server stops, and 0 s are over")
    receiver.usual = Reply(hangs=True)
    server = await site.start(settings_of(receiver, flush_s="0", timeout_s="60"))
    began = time.monotonic()
    alice, bob = await site.connect("alice"), await site.connect("bob")
    for _ in range(10):
        session_id = await call(alice, bob)
        await alice.send("bye", {"session_id": session_id})
        await bob.read_type("bye")
    assert time.monotonic() - began < 10
    await until(lambda: bool(receiver.requests))
    assert len(receiver.requests) == 1
    await server.stop()
    assert time.monotonic() - began < 20


async def test_stopping_sends_what_waits(
    receiver: Receiver, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("takes no events: it answers with HTTP 503")
    receiver.replies.extend([Reply(503)])
    server = await site.start(settings_of(receiver))
    await site.connect("alice")
    await until(lambda: counters(site)["failed"] == 1)
    await server.stop()
    assert receiver.types[-1] == "server.stopped"
    assert {"peer.joined", "peer.left"} <= set(receiver.types)


async def test_reload_takes_over_everything(receiver: Receiver, site: ReloadSite) -> None:
    await site.start(settings_of(receiver))
    await site.connect("alice")
    await until(lambda: "peer.joined" in receiver.types)
    async with receiving() as other:
        changed = settings_of(other, secret=f"{OLD_SECRET}, {SECRET}", events="peer.left,")
        changed |= {"webhook.max_queue": "5", "webhook.concurrency": "2"}
        report = await site.reload(changed)
        assert report.needs_restart == ()
        assert {"webhook.url", "webhook.secret", "webhook.events"} <= {*report.applied}
        bob = await site.connect("bob")
        await bob.drop()
        await until(lambda: bool(other.requests))
        assert other.types == ["peer.left"]
        for secret in (SECRET, OLD_SECRET):
            assert Webhook(secret).verify(other.requests[0].body, other.requests[0].headers)
        await site.server.stop()
    assert receiver.types == ["server.started", "peer.joined"]


async def test_reload_reads_the_secrets_again(
    receiver: Receiver, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over")
    file = site.folder / "secrets"
    file.write_text(SECRET)
    file.chmod(0o600)
    await site.start(settings_of(receiver, secret=",", secret_file="secrets"))
    await until(lambda: bool(receiver.requests))
    file.write_text(f"{OLD_SECRET}\n{SECRET}\n")
    await site.reload({})
    await site.connect("alice")
    await until(lambda: len(receiver.requests) == 2)
    Webhook(OLD_SECRET).verify(receiver.requests[1].body, receiver.requests[1].headers)
    file.write_text("s3cr3t")
    with pytest.raises(ConfigError, match=r"secret_file: a secret does not begin") as raised:
        await site.reload({})
    assert "s3cr3t" not in str(raised.value)


async def test_bad_settings_that_nobody_checked(
    receiver: Receiver, site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("the new settings cannot be used; the ones before hold")
    await site.start(settings_of(receiver))
    own = site.server.plugins._pluggy.get_plugin("webhook")
    assert isinstance(own, Plugin)
    bad = section(webhook.SETTINGS, url=receiver.url, secret="s3cr3t")
    own.settings_changed(Config(plugin_settings={"webhook": bad}))
    await site.connect("alice")
    await until(lambda: "peer.joined" in receiver.types)


async def test_counters(receiver: Receiver, site: ReloadSite) -> None:
    await site.start(settings_of(receiver))
    await until(lambda: counters(site)["sent"] == 1)
    assert counters(site) == {"sent": 1, "failed": 0, "retried": 0, "refused": 0, "dropped": 0}
    gauges = dict(site.server.hooks.collect("gauges"))
    assert gauges["webhook"] == {"waiting": 0}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("url", "ftp://s3cr3t/", r"webhook\.url: it is no address of a web server"),
        ("secret", "s3cr3t", r"webhook\.secret: a secret does not begin with whsec_"),
        ("events", "peer.jioned", r"webhook\.events: 'peer\.jioned' is no event; did you mean"),
        ("ca_file", "nowhere.pem", r"webhook\.ca_file: .*nowhere\.pem cannot be read"),
    ],
)
async def test_no_server_starts_with_bad_settings(
    receiver: Receiver, site: ReloadSite, key: str, value: str, words: str
) -> None:
    settings = settings_of(receiver, **{key: value})
    with pytest.raises(ConfigError, match=words.replace("webhook\\.", ".*webhook\\.")) as raised:
        await site.start(settings)
    assert "s3cr3t" not in str(raised.value)
    assert receiver.requests == []


def plugin(**written: Any) -> Plugin:
    own = section(webhook.SETTINGS, **{"url": "https://app.example.org/", **written})
    log = logging.getLogger("tornado_webrtc.plugins.webhook")
    return Plugin(PluginContext("webhook", own, Config(), log))


def test_check_calls_nobody_and_doubts() -> None:
    (doubt,) = plugin(url="http://app.example.org/", secret=SECRET).check()
    assert isinstance(doubt, Doubt)
    assert doubt.startswith("webhook.url: over http, ")
    assert plugin(secret=SECRET).check() == []


async def test_started_without_a_look_at_check() -> None:
    with pytest.raises(PluginError, match="secret: is empty"):
        plugin().start(None)  # type: ignore[arg-type]


async def test_stopped_without_a_start() -> None:
    made = plugin(secret=SECRET)
    await made.stop()
    assert made.counters() == {}
    assert made.gauges() == {}
    made.server_draining()


async def test_nothing_secret_in_the_log(
    site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("takes no events: Connection refused")
    expect_log("events are dropped")
    caplog.set_level("DEBUG")
    async with receiving() as there:
        settings = settings_of(there, flush_s="0")
    server = await site.start(settings)
    await site.connect("alice")
    await until(lambda: counters(site)["failed"] > 0)
    await server.stop()
    await asyncio.sleep(0)
    assert SECRET not in caplog.text
    assert "s3cr3t-path" not in caplog.text
