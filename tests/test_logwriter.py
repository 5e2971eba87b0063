"""The thread that writes: in order, never in the way, and honest about what it lost."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tornado_webrtc import logwriter as writer_module
from tornado_webrtc.logwriter import REPORT_S, Descriptor, Writer, say

DEADLINE_S = 20.0


class Destination(logging.Handler):
    """Keeps lines; fails or blocks as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.tried = threading.Semaphore(0)
        self.closed_after: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.tried.release()
        assert self.open.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        self.lines.append(self.format(record))

    def close(self) -> None:
        self.closed_after = len(self.lines)
        super().close()

    def wait_tried(self, times: int) -> None:
        for _ in range(times):
            assert self.tried.acquire(timeout=DEADLINE_S)


class Bench:
    def __init__(self, max_waiting_bytes: int) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        self.destination = Destination()
        self.writer = Writer(
            self.destination,
            lambda count, reason: f"gap of {count}: {reason}",
            name="logging_json",
            max_waiting_bytes=max_waiting_bytes,
            tell=self.told.append,
            clock=lambda: self.now,
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait with a deadline for what the thread does."""
        waited = threading.Event()
        for _ in range(int(DEADLINE_S * 200)):
            if condition():
                return
            waited.wait(0.005)
        pytest.fail("it did not happen")


@contextmanager
def bench(max_waiting_bytes: int = 10**6) -> Iterator[Bench]:
    made = Bench(max_waiting_bytes)
    try:
        yield made
    finally:
        made.destination.open.set()
        made.writer.close()
        assert not made.writer._thread.is_alive()


FULL = OSError(28, "No space left on device")


def test_lines_are_written_in_order() -> None:
    with bench() as made:
        lines = [str(number) for number in range(1000)]
        for line in lines:
            made.writer.put(line)
    assert made.destination.lines == lines
    assert made.destination.closed_after == 1000
    assert made.told == []
    assert made.writer.dropped == 0


def test_lines_that_cannot_be_written_are_told_of_once_a_minute() -> None:
    with bench() as made:
        made.destination.error = FULL
        for _ in range(5):
            made.writer.put("x")
        made.destination.wait_tried(5)
        made.wait_until(lambda: made.writer._missing == 5)
        beginning = "tornado-webrtc: logging_json: 1 line was not written: [Errno 28] No space"
        assert [each.startswith(beginning) for each in made.told] == [True]
        made.now += REPORT_S
        made.writer.put("x")
        made.wait_until(lambda: len(made.told) == 2)
        assert "5 lines were not written: [Errno 28]" in made.told[1]
        assert made.writer.dropped == 6
    assert len(made.told) == 2


def test_end_tells_of_the_rest() -> None:
    with bench() as made:
        made.destination.error = FULL
        for _ in range(3):
            made.writer.put("x")
    assert [each.split(":")[2] for each in made.told] == [
        " 1 line was not written",
        " 2 lines were not written",
    ]
    assert made.writer.dropped == 3


def test_log_itself_tells_of_the_gap_once_it_is_well_again() -> None:
    with bench() as made:
        made.destination.error = FULL
        made.writer.put("lost")
        made.writer.put("lost")
        made.wait_until(lambda: made.writer._missing == 2)
        made.destination.error = None
        made.writer.put("written")
        made.writer.put("too")
    gap = "gap of 2: [Errno 28] No space left on device"
    assert made.destination.lines == ["written", gap, "too"]


def test_blocked_destination_blocks_nobody_else() -> None:
    with bench(max_waiting_bytes=100) as made:
        made.destination.open.clear()
        made.writer.put("0" * 50)
        made.destination.wait_tried(1)
        for number in range(1, 10):
            made.writer.put(str(number) * 50)
        reason = "1 line was not written: too many lines wait to be written"
        assert made.told == [f"tornado-webrtc: logging_json: {reason}"]
    written = [line[0] for line in made.destination.lines]
    assert written == ["0", "g", "1", "2"]


def test_close_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "CLOSE_S", 0.01)
    with bench() as made:
        made.destination.open.clear()
        made.writer.put("a")
        made.destination.wait_tried(1)
        made.writer.put("b")
        made.writer.put("c")
        made.writer.close()
        assert made.told == [
            "tornado-webrtc: logging_json: 2 lines were not written: they still waited at the end"
        ]
        assert made.destination.closed_after is None, "the thread still uses it"
        monkeypatch.setattr(writer_module, "CLOSE_S", DEADLINE_S)


def test_lines_after_the_end_are_dropped() -> None:
    with bench() as made:
        made.writer.close()
        made.writer.put("late")
    assert made.destination.lines == []
    assert len(made.told) == 1


def test_minute_without_lines_still_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "REPORT_S", 0.01)
    with bench() as made:
        made.destination.error = FULL
        made.writer.put("x")
        made.writer.put("x")
        made.wait_until(lambda: made.writer._missing == 2)
        made.now += REPORT_S
        made.wait_until(lambda: len(made.told) == 2)


def test_flush_waits_for_what_waits() -> None:
    with bench() as made:
        assert made.writer.flush()
        made.destination.open.clear()
        made.writer.put("a")
        made.destination.wait_tried(1)
        assert not made.writer.flush(0.01), "the line is not written yet"
        made.writer.put("b")
        made.destination.open.set()
        assert made.writer.flush(DEADLINE_S)
        assert made.destination.lines == ["a", "b"]


def test_descriptor_is_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as file:
        destination = Descriptor(file.fileno())
    destination.emit(logging.makeLogRecord({"msg": "é\ud800"}))
    destination.close()
    destination.close()
    assert path.read_text(encoding="utf-8") == "é\\ud800\n"


# --- standard error ------------------------------------------------------------------------


def test_say(capfd: pytest.CaptureFixture[str]) -> None:
    say("a sentence")
    assert capfd.readouterr().err == "a sentence\n"


def test_say_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("x")


def test_say_on_a_broken_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as broken, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", broken)
        say("x")
        with pytest.raises(OSError, match="No space left"):
            broken.close()
        say("x")
