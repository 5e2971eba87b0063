"""Sentry's library at work, with a sink that speaks its protocol."""

import asyncio
import gc
import http.client
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import sentry_sdk

from tests.conftest import ExpectLog
from tests.plugins.sentry.sink import KEY, Sink, sinking
from tests.service import ROOT
from tests.wire import until
from tornado_webrtc.plugins.sentry import reporter as reporter_module
from tornado_webrtc.plugins.sentry.reporter import BURST, FLUSH_S, MAX_WAITING, Allowance, Reporter
from tornado_webrtc.plugins.sentry.settings import Settings
from tornado_webrtc.plugins.sentry.tally import Tally

log = logging.getLogger("somebody")
own_log = logging.getLogger("tornado_webrtc.plugins.sentry")


def settings_of(dsn: object, **changes: object) -> Settings:
    basis = Settings(
        dsn=str(dsn),
        findings=(),
        environment="test",
        release="tornado-webrtc@1.2.3",
        server_name="",
        sample_rate=1.0,
        traces_sample_rate=0.0,
        level=logging.ERROR,
        breadcrumbs=10,
        events_per_minute=60,
        anonymous=True,
        debug=False,
    )
    return replace(basis, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as made:
        yield made


@asynccontextmanager
async def reporting(sink: Sink, **changes: object) -> AsyncIterator[Tally]:
    """Report to a sink until the end of the block; all has arrived then."""
    tally = Tally(own_log)
    reporter = Reporter(settings_of(**{"dsn": sink.dsn, **changes}), "node-1", tally)
    reporter.open()
    try:
        yield tally
    finally:
        reporter.detach()
        await asyncio.to_thread(reporter.close)


async def test_error_in_the_log(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with reporting(sink) as tally:
        log.info("before it, from %s", "93.184.216.34", extra={"token": "s3cr3t"})
        log.error("it is %s: token=%s", "broken", "s3cr3t", extra={"port": 8086})
    (event,) = sink.events
    assert event["logentry"] == {
        "message": "it is %s: token=[redacted]",
        "formatted": "it is broken: token=[redacted]",
    }
    assert (event["level"], event["logger"]) == ("error", "somebody")
    assert event["release"] == "tornado-webrtc@1.2.3"
    assert (event["environment"], event["server_name"]) == ("test", "node-1")
    assert event["extra"] == {"port": 8086}
    (crumb,) = event["breadcrumbs"]["values"]
    assert crumb["message"] == "before it, from 93.184.216.0"
    assert crumb["data"] == {"token": "[redacted]"}
    assert KEY in sink.keys[0]
    assert "s3cr3t" not in sink.raw
    assert tally.counts() == {"sent": 1, "dropped": 0, "lost": 0}


async def test_exception(sink: Sink) -> None:
    password = "s3cr3t"

    def fail() -> None:
        local = {"password": password, "harmless": password}
        raise ValueError(f"cannot reach redis://user:{local['password']}@cache")

    async with reporting(sink):
        try:
            fail()
        except ValueError as error:
            log.exception("it failed")
            log.error("and again", exc_info=error)
    (event,) = sink.events
    (value,) = event["exception"]["values"]
    assert value["type"] == "ValueError"
    assert value["value"] == "cannot reach redis://[redacted]@cache"
    frame = value["stacktrace"]["frames"][-1]
    assert (frame["function"], "vars" in frame) == ("fail", False)
    assert frame["context_line"].lstrip().startswith("raise ValueError(")
    shown = {key: text for key, text in frame.items() if not key.endswith(("context", "_line"))}
    assert "s3cr3t" not in str(shown)
    assert "s3cr3t" not in str(event["logentry"])


async def test_nobody_is_named(sink: Sink) -> None:
    async with reporting(sink):
        sentry_sdk.set_user({"ip_address": "93.184.216.34", "username": "s3cr3t"})
        sentry_sdk.get_isolation_scope().add_attachment(bytes=b"s3cr3t", filename="x.txt")
        try:
            log.error("broken")
        finally:
            sentry_sdk.set_user(None)
            sentry_sdk.get_isolation_scope().clear()
    (envelope,) = sink.envelopes
    ((kind, event),) = envelope.items
    assert kind == "event"
    assert "user" not in event
    assert "modules" not in event
    assert "s3cr3t" not in sink.raw
    assert sys.argv[0] not in sink.raw
    assert set(envelope.header) <= {"event_id", "sent_at"}


@pytest.mark.parametrize(
    ("level", "expected"),
    [(logging.WARNING, ["w", "e", "c"]), (logging.ERROR, ["e", "c"]), (logging.CRITICAL, ["c"])],
)
async def test_level(sink: Sink, level: int, expected: list[str]) -> None:
    async with reporting(sink, level=level):
        log.warning("w")
        log.error("e")
        log.critical("c")
    assert [event["logentry"]["formatted"] for event in sink.events] == expected


@pytest.mark.parametrize(("limit", "kept"), [(0, []), (2, ["3", "4"])])
async def test_breadcrumbs(
    sink: Sink, limit: int, kept: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with reporting(sink, breadcrumbs=limit):
        for number in range(5):
            log.info("%d", number)
        log.error("broken")
    (event,) = sink.events
    values = event.get("breadcrumbs", {}).get("values", [])
    assert [crumb["message"] for crumb in values] == kept


async def test_samples(sink: Sink) -> None:
    async with reporting(sink, sample_rate=0.0):
        log.error("broken")
    assert sink.events == []


async def test_own_lines_are_not_reported(sink: Sink, expect_log: ExpectLog) -> None:
    expect_log("mine")
    async with reporting(sink):
        own_log.error("mine")
        logging.getLogger("urllib3.connectionpool").error("its own")
        logging.getLogger("sentry_sdk.errors").error("its own")
    assert sink.events == []


async def test_storm(sink: Sink, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture) -> None:
    expect_log("too much to report; .* the faults that")
    async with reporting(sink, events_per_minute=5) as tally:
        for number in range(500):
            log.error("broken %d", number)
            await asyncio.sleep(0)
    assert len(sink.events) == tally.counts()["sent"]
    assert 5 <= len(sink.events) < 20
    assert tally.counts()["dropped"] == 500 - len(sink.events)
    assert len([line for line in caplog.messages if "too much" in line]) == 1


async def test_storm_of_exceptions_that_others_report(sink: Sink, expect_log: ExpectLog) -> None:
    expect_log("too much to report")
    async with reporting(sink, events_per_minute=3) as tally:
        for number in range(50):
            sentry_sdk.capture_exception(ValueError(f"broken {number} token=s3cr3t"))
    assert 3 <= len(sink.events) < 10
    assert tally.counts()["dropped"] == 50 - len(sink.events)
    assert "s3cr3t" not in sink.raw


def test_allowance() -> None:
    for per_minute, burst in ((3, 3), (60, BURST)):
        allowance = Allowance(per_minute)
        assert [allowance.take() for _ in range(burst + 1)] == [True] * burst + [False]


@pytest.mark.parametrize("logged_first", [False, True])
async def test_what_is_caught_and_logged_costs_once(
    sink: Sink, logged_first: bool, expect_log: ExpectLog
) -> None:
    """Be it reported or too much."""
    expect_log("too much to report; .* the faults that")
    async with reporting(sink, events_per_minute=2) as tally:
        for number in range(4):
            error = ValueError(f"broken {number}")
            if not logged_first:
                sentry_sdk.capture_exception(error)
            log.error("it failed", exc_info=error)
            log.error("and again", exc_info=error)
            if logged_first:
                sentry_sdk.capture_exception(error)
    values = [event["exception"]["values"][0]["value"] for event in sink.events]
    assert values == ["broken 0", "broken 1"]
    assert tally.counts() == {"sent": 2, "dropped": 2, "lost": 0}


async def test_what_failed_is_not_kept(sink: Sink) -> None:
    """A connection may last for days after it."""

    class Body:
        """What a frame of the traceback holds."""

    def fail() -> weakref.ref[Body]:
        body = Body()
        try:
            raise ValueError("broken")
        except ValueError as error:
            sentry_sdk.capture_exception(error)
        return weakref.ref(body)

    async with reporting(sink) as tally:
        held = fail()
        gc.collect()
        assert held() is None
        assert tally.counts()["sent"] == 1


async def test_exception_that_is_raised_again_later_is_another_fault(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some have one for all times; in Sentry it is to be seen that it goes on."""
    lasting = ValueError("broken")
    async with reporting(sink) as tally:
        for _ in range(3):
            sentry_sdk.capture_exception(lasting)
        monkeypatch.setattr(reporter_module, "SAME_FAULT_S", 0.0)
        sentry_sdk.capture_exception(lasting)
    assert len(sink.events) == 2
    assert tally.counts() == {"sent": 2, "dropped": 0, "lost": 0}


# --- a Sentry that is not well ---------------------------------------------------------------


async def test_dead(expect_log: ExpectLog, caplog: pytest.LogCaptureFixture) -> None:
    expect_log("Sentry did not take an event: it cannot be reached, or does not answer in time")
    async with sinking() as gone:
        pass
    began = time.monotonic()
    async with reporting(gone) as tally:
        for _ in range(20):
            log.error("broken")
        took = time.monotonic() - began
    assert took < 5.0
    assert tally.counts()["sent"] == 20
    assert 0 < tally.counts()["lost"] <= 20
    assert [each.name for each in caplog.records if each.name.startswith("urllib3")] == []
    assert time.monotonic() - began < 2 * FLUSH_S + 10


async def test_hanging(sink: Sink, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop goes on, and the end is not waited for; the queue is bounded."""
    monkeypatch.setattr(reporter_module, "BURST", 1000)
    monkeypatch.setattr(reporter_module, "FLUSH_S", 0.5)
    expect_log(f"Sentry did not take an event: {MAX_WAITING} wait already")
    sink.hangs = True
    slowest, ticks = 0.0, 0
    began = time.monotonic()
    async with reporting(sink, events_per_minute=1000) as tally:
        for _ in range(MAX_WAITING + 50):
            log.error("broken")
            before = time.monotonic()
            await asyncio.sleep(0)
            slowest = max(slowest, time.monotonic() - before)
            ticks += 1
        closing = time.monotonic()
    assert slowest < 2.0
    assert ticks == MAX_WAITING + 50
    assert closing - began < 10
    assert time.monotonic() - closing < 5.5
    assert tally.counts()["lost"] >= 40


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "it answers with HTTP 500"), (413, "HTTP 413"), (429, "it answers with HTTP 429")],
)
async def test_refusing(sink: Sink, status: int, words: str, expect_log: ExpectLog) -> None:
    expect_log(f"Sentry did not take an event: .*{words}")
    sink.statuses.append(status)
    async with reporting(sink) as tally:
        log.error("broken")
        await until(lambda: tally.counts()["lost"] == 1)
    assert tally.counts() == {"sent": 1, "dropped": 0, "lost": 1}


# --- manners ---------------------------------------------------------------------------------


async def test_one_after_the_other(sink: Sink) -> None:
    for number in range(3):
        async with reporting(sink):
            log.error("broken %d", number)
        log.error("nobody hears it")
        sentry_sdk.capture_message("nor this")
    texts = [event["logentry"]["formatted"] for event in sink.events]
    assert texts == ["broken 0", "broken 1", "broken 2"]
    assert not sentry_sdk.get_client().is_active()


async def test_another_one_takes_over(sink: Sink) -> None:
    async with sinking() as other:
        first = Reporter(settings_of(sink.dsn), "node-1", Tally(own_log))
        second = Reporter(settings_of(other.dsn), "node-1", Tally(own_log))
        first.open()
        second.open()
        first.detach()
        log.error("broken")
        second.detach()
        await asyncio.to_thread(first.close)
        await asyncio.to_thread(second.close)
        assert (len(sink.events), len(other.events)) == (0, 1)


async def test_other_code_is_left_alone(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    def state() -> tuple[object, ...]:
        loop = asyncio.get_running_loop()
        return (
            *(sys.excepthook, threading.excepthook, threading.Thread.start, threading.Thread.run),
            *(http.client.HTTPConnection.putrequest, subprocess.Popen.__init__),
            *(logging.Logger.callHandlers, loop.get_task_factory(), loop.get_exception_handler()),
            *logging.getLogger().handlers,
        )

    before = state()
    async with reporting(sink):
        during = state()
    assert state() == before
    logging.getLogger("urllib3.connectionpool").warning("somebody else may log")
    assert "somebody else may log" in caplog.text
    assert during[: len(before)] == before
    assert len(during) == len(before) + 2, "two handlers at the root of the log"


@pytest.mark.parametrize("debug", [False, True])
async def test_the_librarys_own_log(
    sink: Sink, debug: bool, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with reporting(sink, debug=debug):
        log.error("broken")
    lines = [record for record in caplog.records if record.name.startswith("sentry_sdk")]
    assert bool(lines) == debug
    assert KEY not in "".join(record.getMessage() for record in lines)
    assert "[sentry]" not in capfd.readouterr().err


async def test_environment_variables_change_nothing(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sinking() as other:
        monkeypatch.setenv("SENTRY_DSN", other.dsn)
        monkeypatch.setenv("SENTRY_SPOTLIGHT", f"http://127.0.0.1:{other.port}/stream")
        monkeypatch.setenv("SENTRY_ENVIRONMENT", "elsewhere")
        monkeypatch.setenv("SENTRY_RELEASE", "elsewhere")
        monkeypatch.setenv("SENTRY_DEBUG", "1")
        async with reporting(sink):
            log.error("broken")
        assert other.arrived == []
    (event,) = sink.events
    assert (event["environment"], event["release"]) == ("test", "tornado-webrtc@1.2.3")


async def test_threads(sink: Sink) -> None:
    async with reporting(sink):
        threads = [
            threading.Thread(target=log.error, args=("from thread %d", number))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert len(sink.events) == 4


async def test_what_is_sent_goes_nowhere_else(sink: Sink, expect_log: ExpectLog) -> None:
    expect_log("HTTP 307")
    asked: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        place = sink.dsn.replace(f"{KEY}@", "").encode()
        writer.write(b"HTTP/1.1 307 T\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with reporting(sink, dsn=f"http://{KEY}@127.0.0.1:{port}/1"):
            log.error("something")
    assert len(asked) == 1
    assert sink.raw == ""


def test_the_library_never_prints_by_itself() -> None:
    """Not even before anything is reported, and in a process that logs nowhere."""
    code = """
import logging
from tests.plugins.sentry.test_reporter import settings_of
from tornado_webrtc.plugins.sentry.reporter import Reporter
from tornado_webrtc.plugins.sentry.tally import Tally
settings = settings_of("http://key@127.0.0.1:9/1", debug=True)
for _ in range(2):
    reporter = Reporter(settings, "n", Tally(logging.root))
    reporter.open()
    logging.getLogger("sentry_sdk.errors").error("it says something")
    reporter.detach()
    reporter.close()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert (result.stdout, result.stderr) == ("", "")
