"""What became of events: counted from any thread, logged once."""

import logging
import threading
from collections.abc import Callable

import pytest

from tests.conftest import ExpectLog
from tornado_webrtc.plugins.sentry.tally import Tally

log = logging.getLogger("tornado_webrtc.plugins.sentry")


def test_counts() -> None:
    tally = Tally(log)
    tally.add("sent")
    tally.add("sent")
    assert tally.counts() == {"sent": 2, "dropped": 0, "lost": 0}


def test_losses_are_logged_once(expect_log: ExpectLog, caplog: pytest.LogCaptureFixture) -> None:
    expect_log("^Sentry did not take an event: it answers with HTTP 500; .* counts what is lost$")
    expect_log("^too much to report; .* counts the faults that are dropped$")
    tally = Tally(log)
    for _ in range(3):
        tally.add("sent")
        tally.lost("it answers with HTTP 500")
        tally.dropped("faults")
    assert tally.counts() == {"sent": 3, "dropped": 3, "lost": 3}
    assert len(caplog.messages) == 2


def test_quiet(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally(log)
    tally.add("sent")
    tally.lost("it has gone", quiet=True)
    assert tally.counts() == {"sent": 1, "dropped": 0, "lost": 1}
    assert caplog.messages == []


def test_no_counter_ever_gets_smaller() -> None:
    """Prometheus would take it for another start of the server."""
    tally = Tally(log)
    seen = tally.counts()
    steps: list[Callable[[], None]] = [
        lambda: tally.add("sent"),
        lambda: tally.lost("it has gone", quiet=True),
        lambda: tally.add("dropped"),
    ]
    for step in steps * 2:
        step()
        counts = tally.counts()
        assert all(counts[name] >= seen[name] for name in counts)
        seen = counts


def test_threads() -> None:
    tally = Tally(log)

    def count() -> None:
        for _ in range(2000):
            tally.add("sent")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.counts()["sent"] == 16_000
