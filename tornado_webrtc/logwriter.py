"""Writes lines on a thread of its own: nothing that a disk or a pipe does stops the server.

The console and the plugin `logging_json` use it. What cannot be written, or waits for
too long, is dropped and counted. That is said on standard error, at most once a
minute, and in the log itself once it is well again.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Descriptor", "Writer", "say"]

MAX_WAITING_BYTES = 8 * 1024 * 1024
REPORT_S = 60.0
CLOSE_S = 2.0

STALL_MS = 1000
"""How long a descriptor that does not block may take nothing."""


class Writer:
    """Takes lines and writes them in order.

    Args:
        destination: Its `emit` writes a line or raises.
        gap: Makes the line that tells of lines that are missing, from their
            number and the reason.
        name: Whose lines they are, in what a person is told.
        max_waiting_bytes: More than that does not wait.
        tell: Tells a person, in a sentence.
        clock: Monotonic seconds.

    Attributes:
        dropped: How many lines were not written, since the start.
    """

    def __init__(
        self,
        destination: logging.Handler,
        gap: Callable[[int, str], str],
        *,
        name: str = "log",
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        tell: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._gap = gap
        self._name = name
        self._max_waiting_bytes = max_waiting_bytes
        self._tell = tell or say
        self._clock = clock
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._written = threading.Condition(lock)
        self._busy = False
        self._lines: deque[str] = deque()
        self._waiting_bytes = 0
        self._missing = 0
        self._untold = 0
        self.dropped = 0
        self._reason = ""
        self._told_at: float | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Write a line soon. Never blocks, never raises."""
        with self._changed:
            if self._waiting_bytes + len(line) <= self._max_waiting_bytes and not self._closing:
                self._lines.append(line)
                self._waiting_bytes += len(line)
                self._changed.notify()
                return
        self.drop("too many lines wait to be written")

    def drop(self, reason: str) -> None:
        """Count a line that is not written."""
        with self._changed:
            self._missing += 1
            self._untold += 1
            self.dropped += 1
            self._reason = reason
        self._report()

    def flush(self, timeout_s: float = CLOSE_S) -> bool:
        """Wait until nothing waits any more; tell whether that was so in time."""
        with self._written:
            return self._written.wait_for(lambda: not (self._lines or self._busy), timeout_s)

    def close(self) -> None:
        """Write what waits, but do not wait long for a destination that does not move."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)
        with self._changed:
            left = len(self._lines)
            self._lines.clear()
            self._untold += left
            self.dropped += left
            if left:
                self._reason = "they still waited at the end"
        self._report(at_once=True)
        if not self._thread.is_alive():
            self._destination.close()

    def _run(self) -> None:
        while (line := self._next()) is not None:
            if line:
                self._write(line)
            self._report()

    def _next(self) -> str | None:
        """The next line; empty after a minute without one, None at the end."""
        with self._changed:
            self._busy = False
            self._written.notify_all()
            if not self._lines and not self._closing:
                self._changed.wait(REPORT_S)
            if not self._lines:
                return None if self._closing else ""
            line = self._lines.popleft()
            self._busy = True
            self._waiting_bytes -= len(line)
            return line

    def _write(self, line: str) -> None:
        try:
            self._emit(line)
            if missing := self._missing:
                self._emit(self._gap(missing, self._reason))
                with self._changed:
                    self._missing -= missing
        except Exception as error:  # whatever a file system or a pipe comes up with
            self.drop(str(error) or type(error).__name__)

    def _emit(self, line: str) -> None:
        self._destination.emit(logging.makeLogRecord({"msg": line}))

    def _report(self, *, at_once: bool = False) -> None:
        """Tell of dropped lines; the first at once, then what a minute brings."""
        with self._changed:
            now = self._clock()
            due = at_once or self._told_at is None or now - self._told_at >= REPORT_S
            if not self._untold or not due:
                return
            count, self._untold = self._untold, 0
            self._told_at = now
            reason = self._reason
        lines = "1 line was" if count == 1 else f"{count} lines were"
        self._tell(f"tornado-webrtc: {self._name}: {lines} not written: {reason}")


class Descriptor(logging.Handler):
    """A file descriptor, written to byte by byte and without Python's buffer.

    Args:
        number: It is copied: whoever has it may close it.

    Raises:
        OSError: It is not open.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self._descriptor = os.dup(number)
        self._torn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or raise `OSError`."""
        line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        rest = memoryview(b"\n" + line if self._torn else line)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                if not _writable(self._descriptor, STALL_MS):
                    raise
                continue
            self._torn = written < len(rest)
            rest = rest[written:]

    def close(self) -> None:
        """Give the copy back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


def _writable(descriptor: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout_ms))


def say(sentence: str) -> None:
    """Print a sentence on standard error, unless that is closed or blocked."""
    try:
        if sys.stderr is None:
            return
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        if poll.poll(0):
            sys.stderr.write(f"{sentence}\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        return
