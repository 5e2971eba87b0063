"""Metrics of a real server: calls, allocations, reloads and drains show, hostile clients do not."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.conftest import ExpectLog
from tests.plugins.metrics.site import BASIS, TEXT, get, plugin_of, port_of, scrape, taken_port
from tests.reloading import ReloadSite, site
from tests.web.rawhttp import fetch
from tests.wire import call, until
from tornado_webrtc import __version__
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.implementation import faults
from tornado_webrtc.plugins import metrics
from tornado_webrtc.plugins.metrics.rule import MAX_VALUES
from tornado_webrtc.server import Server, load

__all__ = ["site"]

TOKEN = "0123456789abcdef-first"
OTHER_TOKEN = "0123456789abcdef-other"

POND = """
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection, Denied

broken = False
number = None

@hookimpl
def counters():
    if broken:
        raise RuntimeError("broken on purpose")
    return {"caught": 3 if number is None else number}

@hookimpl
def gauges():
    return {"depth": 1.5 if number is None else number}

@hookimpl
def collections():
    return {"fish": Collection(count=lambda: 4, entries=list, get=lambda _id: None)}

@hookimpl
def permit_message(message):
    if message.type == "candidate":
        return Denied("no", code=message.data["candidate"]["candidate"])
"""


def with_pond(site: ReloadSite) -> dict[str, str]:
    folder = site.folder / "mine"
    folder.mkdir()
    (folder / "pond.py").write_text(POND)
    return BASIS | {"plugins.path": str(folder)}


def with_tokens(site: ReloadSite, *tokens: str) -> dict[str, str]:
    path = site.folder / "metrics-token"
    path.write_text("".join(f"{token}\n" for token in tokens))
    path.chmod(0o600)
    return BASIS | {"metrics.token_file": path.name}


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_plugin_is_sound() -> None:
    assert faults(metrics) == []
    assert not hasattr(metrics, "ENABLED_BY_DEFAULT")


# --- what is measured ---------------------------------------------------------------------------


async def test_a_call(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    ann, ben = await site.connect("1"), await site.connect("2")
    before = await scrape(server)
    assert before.value("peers") == before.value("connections") == 2
    assert before.value("scopes") == 1
    assert before.value("sign_ins_total") == before.value("connections_opened_total") == 2
    assert before.value("calls_offered_total") == 0
    assert before.value("peer_lists_sent_total") == 1 + 2
    assert before.value("peer_list_bytes_total") > 3 * 50
    session_id = await call(ann, ben)
    during = await scrape(server)
    assert during.value("calls", state="answered") == 1
    assert during.value("calls", state="offered") == 0
    assert during.value("call_setup_seconds_count") == 1
    assert during.value("call_duration_seconds_count") == 0
    await ann.send("bye", {"session_id": session_id})
    await ben.read_type("bye")
    await ben.drop()
    await until(lambda: len(server.hub) == 1)
    after = await scrape(server)
    assert after.value("calls", state="answered") == 0
    assert after.value("calls_ended_total", reason="bye", answered="yes") == 1
    assert after.value("calls_ended_total", reason="bye", answered="no") == 0
    assert after.value("call_duration_seconds_count") == 1
    assert after.value("call_duration_seconds_bucket", le="+Inf") == 1
    assert after.value("sign_outs_total", reason="disconnected") == 1
    assert after.value("messages_received_total", type="offer") == 1
    assert after.value("messages_received_total", type="candidate") == 2
    assert after.value("listener_accepted_total") == 2
    assert after.value("listener_arrivals_total", outcome="claimed") == 2
    assert after.value("collection_entries", collection="peers") == 1


async def test_a_call_that_nobody_answers(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    ann, ben = await site.connect("1"), await site.connect("2")
    await ann.send("offer", {"to": "2", "session_id": "1-2", "description": {}, "media": "audio"})
    await ben.read_type("offer")
    assert (await scrape(server)).value("calls", state="offered") == 1
    assert server.hub.kick(next(iter(server.hub.peers())), "be gone")
    found = await scrape(server)
    assert found.value("calls", state="offered") == 0
    assert found.value("calls_ended_total", reason="kicked", answered="no") == 1
    assert found.value("connections_closed_total", cause="kicked") == 1
    assert found.value("call_setup_seconds_count") == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_allocation(site: ReloadSite, transport: str) -> None:
    server = await site.start(BASIS | {"turn.relay_ports": "50000-59999"})
    peer = site.turn.peer()
    client = await site.turn.client(transport)
    await client.allocate()
    assert await client.bind(peer.address) == 0
    client.send_channel(b"four")
    await peer.receive()
    assert await client.permit(peer.address._replace(host="10.0.0.1")) == 403
    during = await scrape(server)
    assert during.value("turn_allocations", transport=transport) == 1
    assert during.value("turn_relay_ports", family="ipv4") == 10000
    assert during.value("turn_relay_ports_used", family="ipv4") == 1
    assert during.value("turn_relayed_bytes_total", direction="to-peer") == 4
    assert during.value("turn_relayed_packets_total", direction="to-peer") == 1
    assert during.value("turn_errors_total", code="403") == 1
    assert during.value("collection_entries", collection="allocations") == 1
    assert await client.refresh(0) == 0
    after = await scrape(server)
    assert after.value("turn_allocations", transport=transport) == 0
    assert after.value("turn_allocations_opened_total", transport=transport) == 1
    ended = {"transport": transport, "cause": "refreshed-to-0"}
    assert after.value("turn_allocations_ended_total", **ended) == 1
    assert after.value("turn_relay_ports_used", family="ipv4") == 0
    assert after.value("turn_relayed_bytes_total", direction="to-peer") == 4, "what ended counts"
    shrunk = {key for key, value in during.counters().items() if after.counters()[key] < value}
    assert not shrunk


async def test_the_server_itself(site: ReloadSite) -> None:
    cert, key = site.folder / "cert.pem", site.folder / "key.pem"
    write_certificate(cert, key, ["localhost"])
    server = await site.start(BASIS | {"general.cert": str(cert), "general.key": str(key)})
    server.ban("peer", "mallory")
    assert await server.bans_stored()
    assert (await fetch(server.port, "/")).status == 400, "plain HTTP on a TLS port"
    found = await scrape(server)
    assert found.value("listener_arrivals_total", outcome="failed_handshakes") == 1
    build = {"version": __version__, "node_id": server.hub.node_id}
    assert found.value("build_info", **build) == 1
    assert found.value("server_state", state="running") == 1
    assert found.value("server_state", state="draining") == 0
    assert (found.value("bans"), found.value("bans_stored")) == (1, 1)
    assert found.value("plugins") == len(server.plugins.names)
    assert found.value("plugins_left_out") == 0
    assert 395 < found.value("certificate_days_left") < 398
    assert server.certificates
    expires = server.certificates.certificate.not_valid_after_utc.timestamp()
    assert found.value("certificate_not_after_timestamp_seconds") == expires
    assert {"process_cpu_seconds", "python_info", "python_gc_collections"} <= found.families.keys()


async def test_without_a_certificate_there_is_no_expiry(site: ReloadSite) -> None:
    found = await scrape(await site.start(BASIS))
    assert not found.labelled("certificate_days_left")


async def test_the_event_loop(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    lag = plugin_of(server)._lag
    await until(lambda: lag.histogram.buckets()[-1][1] > 0)
    lag.note(70.0)  # longer than any that this machine has of its own
    found = await scrape(server)
    assert found.value("event_loop_lag_seconds_count") >= 2
    assert 70 <= found.value("event_loop_lag_seconds_sum") < 140
    assert found.value("event_loop_lag_max_seconds") == 70


async def test_what_other_plugins_count_and_measure(site: ReloadSite) -> None:
    server = await site.start(with_pond(site))
    found = await scrape(server)
    assert found.value("events_total", part="pond", event="caught") == 3
    assert found.value("values", part="pond", name="depth") == 1.5
    assert found.value("collection_entries", collection="fish") == 4
    assert found.value("events_total", part="metrics", event="answered") == 1
    assert (await scrape(server)).value("events_total", part="metrics", event="answered") == 2


async def test_a_plugin_that_fails_hides_nothing_else(
    site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("plugin pond: counters raised RuntimeError")
    server = await site.start(with_pond(site))
    pond = server.plugins._pluggy.get_plugin("pond")
    vars(pond)["broken"] = True
    found = await scrape(server)
    assert not [key for key in found.labelled("events_total") if ("part", "pond") in key]
    assert found.value("values", part="pond", name="depth") == 1.5
    assert found.value("peers") == 0


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**63], ids=["+", "-", "+1"])
async def test_a_number_that_no_float_holds_hides_nothing_else(
    site: ReloadSite, expect_log: ExpectLog, number: int
) -> None:
    expect_log("plugin pond: counters returned a dict, but has to return .*64 bits")
    expect_log("plugin pond: gauges returned a dict, but has to return .*64 bits")
    server = await site.start(with_pond(site))
    vars(server.plugins._pluggy.get_plugin("pond"))["number"] = number
    found = await scrape(server)
    assert not [key for key in found.labelled("events_total") if ("part", "pond") in key]
    assert not [key for key in found.labelled("values") if ("part", "pond") in key]
    assert found.value("collection_entries", collection="fish") == 4


async def test_clients_cannot_make_labels(site: ReloadSite) -> None:
    """Neither types nor codes, whoever makes them, are more than so many."""
    server = await site.start(with_pond(site) | {"signaling.messages_per_s": "0"})
    ann = await site.connect("1")
    await site.connect("2")
    number = 2 * MAX_VALUES
    for each in range(number):
        await ann.send(f"type-{each}", {})
        await ann.send(
            "candidate", {"to": "2", "session_id": "x", "candidate": {"candidate": f"c{each}"}}
        )
        await ann.send(
            "candidate", {"to": "2", "session_id": "x", "candidate": {"candidate": f'"{each}\\n'}}
        )
    await ann.settled()
    found = await scrape(server)
    types = found.labelled("messages_received_total")
    assert {dict(key)["type"] for key in types} == {
        *("new", "offer", "answer", "candidate", "bye", "leave", "keepalive", "other")
    }
    assert found.value("messages_received_total", type="other") == number
    errors = found.labelled("errors_total")
    known = len(metrics.metric.METRICS["errors"].known)
    assert len(errors) == known + MAX_VALUES
    assert found.value("errors_total", code="unknown-type") == number
    assert found.value("errors_total", code="other") == 2 * number - MAX_VALUES
    again = await scrape(server)
    assert again.labelled("errors_total") == errors


# --- the page -----------------------------------------------------------------------------------


async def test_it_has_a_port_of_its_own(site: ReloadSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server = await site.start(BASIS)
    assert (await fetch(server.port, "/metrics")).status == 404
    assert f"metrics on http://127.0.0.1:{port_of(server)}/metrics" in caplog.messages
    with socket.create_connection(("127.0.0.1", port_of(server))) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"
    assert (await scrape(server, TEXT)).value("server_state", state="running") == 1


async def test_two_servers_in_one_process(tmp_path: Path, site: ReloadSite) -> None:
    server = await site.start(BASIS)
    await site.connect("1")
    (tmp_path / "other").mkdir()
    conf = tmp_path / "other" / "server.ini"
    conf.write_text(site.conf.read_text())
    other = Server(*load(conf))
    try:
        await other.start()
        assert (await scrape(other)).value("sign_ins_total") == 0
        assert (await scrape(server)).value("sign_ins_total") == 1
    finally:
        await other.stop()
    assert (await scrape(server)).value("sign_ins_total") == 1


async def test_a_port_that_is_taken(site: ReloadSite, expect_log: ExpectLog) -> None:
    with taken_port() as taken:
        port = taken.getsockname()[1]
        sentence = f"cannot listen on 127.0.0.1:{port}: port {port} is in use"
        expect_log(sentence)
        server = await site.start({"metrics.port": str(port)})
        assert sentence in server.plugins.left_out["metrics"]


async def test_a_port_that_is_taken_from_a_plugin_that_is_required(
    site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("port .* is in use")
    with taken_port() as taken, pytest.raises(PluginError, match=r"is in use; stop the program"):
        await site.start(
            {"metrics.port": str(taken.getsockname()[1]), "plugins.required": "metrics,"}
        )


async def test_tokens(site: ReloadSite, expect_log: ExpectLog) -> None:
    expect_log(r"127\.0\.0\.1 asked for the metrics with no token")
    server = await site.start(with_tokens(site, TOKEN, OTHER_TOKEN))
    for headers in ({}, by("wrong"), by(TOKEN[:-1]), {"Authorization": f"Basic {TOKEN}"}):
        answer = await get(server, headers)
        assert (answer.status, answer.text) == (401, "401 Unauthorized\n")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
    for token in (TOKEN, OTHER_TOKEN):
        assert (await get(server, by(token))).status == 200
    found = await scrape(server, **by(TOKEN))
    assert found.value("events_total", part="metrics", event="unauthorized") == 4


async def test_no_token_is_ever_logged(
    site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("with a wrong token")
    caplog.set_level("DEBUG")
    server = await site.start(with_tokens(site, TOKEN))
    await get(server, by(TOKEN))
    await get(server, by("s3cr3t-s3cr3t-s3cr3t"))
    assert TOKEN not in caplog.text
    assert "s3cr3t" not in caplog.text


# --- reload, drain, stop ------------------------------------------------------------------------


async def test_reload(site: ReloadSite, expect_log: ExpectLog) -> None:
    expect_log("the configuration is not taken over")
    expect_log("asked for the metrics with a wrong token")
    server = await site.start(with_tokens(site, TOKEN))
    with_tokens(site, OTHER_TOKEN)
    report = await site.reload({})
    assert report.applied == ("metrics.token_file",)
    assert (await get(server, by(TOKEN))).status == 401
    with pytest.raises(ConfigError, match=r"metrics\.token_file.*empty"):
        await site.reload(with_tokens(site))
    found = await scrape(server, **by(OTHER_TOKEN))
    assert found.value("reloads_total", outcome="applied") == 1
    assert found.value("reloads_total", outcome="refused") == 1
    report = await site.reload({"metrics.token_file": "", "metrics.port": "9999"})
    assert report.needs_restart == ("metrics.port",)
    assert (await get(server)).status == 200


async def test_a_drain_is_seen_and_not_held(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    ann, ben = await site.connect("1"), await site.connect("2")
    await call(ann, ben)
    draining = asyncio.ensure_future(server.drain(60))
    await until(lambda: not server.accepting)
    found = await scrape(server)
    assert found.value("server_state", state="draining") == 1
    assert found.value("server_state", state="running") == 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
    await ann.drop()
    await asyncio.wait_for(draining, 15)
    async with asyncio.timeout(5):
        await server.stop()
        await reader.read(-1)
    writer.close()


async def test_stop_closes_the_port(site: ReloadSite) -> None:
    server = await site.start(BASIS)
    port = port_of(server)
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


# --- check --------------------------------------------------------------------------------------


async def doubts(site: ReloadSite, settings: dict[str, str]) -> list[str]:
    """What the start warns of."""
    site.write(settings)
    server = Server(*load(site.conf))
    server.plugins.load()
    examination = await server.plugins.check()
    assert not examination.problems
    return [str(each) for each in examination.doubts if "metrics" in str(each)]


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost", "127.0.0.1, ::1"])
async def test_loopback_needs_no_token(site: ReloadSite, bind: str) -> None:
    assert await doubts(site, {"metrics.bind": bind}) == []


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1", "metrics.example.org"])
async def test_beyond_loopback_a_token_is_wanted(site: ReloadSite, bind: str) -> None:
    (doubt,) = await doubts(site, {"metrics.bind": f"127.0.0.1, {bind}"})
    assert f"whoever reaches {bind} may read" in doubt
    assert await doubts(site, with_tokens(site, TOKEN)) == []


async def test_a_token_file_that_others_read(site: ReloadSite) -> None:
    settings = with_tokens(site, TOKEN)
    (site.folder / "metrics-token").chmod(0o644)
    (doubt,) = await doubts(site, settings)
    assert "other users of this machine can use " in doubt


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"metrics.token_file": "missing"}, r"token_file: .*missing cannot be read: No such file"),
        ({"metrics.port": "8086", "general.port": "8086"}, r"port: 8086 is general\.port as well"),
        ({"metrics.port": "9641", "turn.port_tcp": "9641"}, r"port: 9641 is turn\.port_tcp as"),
        ({"metrics.port": "metrics"}, r"port"),
    ],
)
async def test_settings_that_cannot_be(
    site: ReloadSite, settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=rf"metrics\.{problem}"):
        await site.start(settings)
