"""The process itself: its log, its file limit, its event loop, and systemd.

Nothing in here knows what the server does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tornado_webrtc.loglevel import set_log_level
from tornado_webrtc.logwriter import Descriptor, Writer
from tornado_webrtc.redaction import RedactingFormatter

__all__ = [
    "Console",
    "Supervision",
    "configure_logging",
    "flush_logging",
    "loop_factory",
    "notify_systemd",
    "raise_file_limit",
    "warn_of_limits",
    "watchdog_interval",
]

log = logging.getLogger("tornado_webrtc.process")

MIN_FILES = 4096
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
STATUS_INTERVAL_S = 10.0

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
JOURNAL_FORMAT = "%(levelname)-7s %(message)s"


def configure_logging(level: str) -> None:
    """Send the log to standard error, one readable line per event.

    Under systemd the lines have no time of their own: the journal adds it. What no
    log may hold is taken out, see `tornado_webrtc.redaction`. A thread writes the lines:
    a terminal or a pipe that nobody reads does not stop the server. They are written
    before the process ends, unless a signal or `os._exit` kills it.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """
    in_journal = "JOURNAL_STREAM" in os.environ
    handler = _console()
    handler.setFormatter(RedactingFormatter(JOURNAL_FORMAT if in_journal else LOG_FORMAT))
    logging.basicConfig(handlers=[handler], force=True)
    set_log_level(level)


def flush_logging() -> None:
    """Wait, not for long, until the console has shown all lines: something else is to follow."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _console() -> logging.Handler:
    try:
        return Console(Descriptor(sys.stderr.fileno()))
    except (AttributeError, OSError, ValueError):  # closed, or something with no descriptor
        return logging.StreamHandler(sys.stderr)


class Console(logging.Handler):
    """Readable lines on standard error, written by a thread.

    Args:
        destination: Where they go.
    """

    def __init__(self, destination: logging.Handler) -> None:
        super().__init__()
        self._writer = Writer(destination, self._gap, name="the console", tell=_tell_nobody)

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written; one that cannot be made a line of is counted."""
        try:
            line = self.format(record)
        except Exception as error:  # a log record must never stop the server
            self._writer.drop(f"a record of {record.name} has no line: {type(error).__name__}")
        else:
            self._writer.put(line)

    def flush(self) -> None:
        """Wait until all is written, but not for a reader that has stopped reading."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._writer.close()
        super().close()

    def _gap(self, count: int, reason: str) -> str:
        fields = {"name": log.name, "levelno": logging.WARNING, "levelname": "WARNING"}
        message = f"{count} lines of the log are missing here: {reason}"
        return self.format(logging.makeLogRecord(fields | {"msg": message}))


def _tell_nobody(_sentence: str) -> None:
    """Standard error is what does not take lines; `Console` tells of it once it does."""


def raise_file_limit() -> int:
    """Raise the limit of open files, which is one per client, to what the system allows.

    Returns:
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of %d open files cannot be raised: %s", soft, error)
            return soft
    return hard


def warn_of_limits(files: int, receive_buffer_bytes: int) -> None:
    """Say which limits of the system are too small for many clients.

    Args:
        files: How many files may be open.
        receive_buffer_bytes: The largest receive buffer that sockets ask for; 0 for none.
    """
    if files < MIN_FILES:
        log.warning(
            "only %d files may be open, one per client and allocation: raise the limit "
            "(LimitNOFILE=65536 in the unit, `ulimit -n` in a shell)",
            files,
        )
    try:
        allowed = int(RMEM_MAX.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # no Linux, or a container that hides it
    if allowed < receive_buffer_bytes:
        log.warning(
            "the kernel gives sockets at most %d bytes of receive buffer, %d are wanted: bursts "
            "of media may be lost; run: sysctl -w net.core.rmem_max=%d",
            allowed,
            receive_buffer_bytes,
            receive_buffer_bytes,
        )


def notify_systemd(state: str) -> bool:
    """Tell systemd how the service is doing (sd_notify(3)).

    Args:
        state: ``READY=1``, ``STOPPING=1``, …

    Returns:
        Whether somebody was told; False outside of a ``Type=notify`` service.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.sendto(state.encode(), address)
        except OSError as error:
            log.warning("systemd cannot be told %r: %s", state, error)
            return False
    return True


class Supervision:
    """Keeps systemd informed, from the event loop: it lives, and what it does.

    ``WATCHDOG=1`` goes out twice in each `$WATCHDOG_USEC` (sd_watchdog_enabled(3)), a
    ``STATUS=`` line when it has changed, at most every ten seconds. Outside of a
    ``Type=notify`` service nothing is ever sent.

    Args:
        status: What the process does at the moment, in a line.
    """

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status
        self._told = ""
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin; to be called in the event loop."""
        if not os.environ.get("NOTIFY_SOCKET"):
            return
        if (interval_s := watchdog_interval()) is not None:
            self._repeat("watchdog", interval_s / 2, lambda: notify_systemd("WATCHDOG=1"))
        self._repeat("status", STATUS_INTERVAL_S, self._tell)

    def stop(self) -> None:
        """Tell nothing more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def reload(self, action: Callable[[], Awaitable[object]]) -> None:
        """Do something between ``RELOADING=1`` and ``READY=1``, whatever comes of it."""
        notify_systemd(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await action()
        finally:
            notify_systemd("READY=1")

    def _repeat(self, name: str, interval_s: float, action: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(interval_s, self._repeat, name, interval_s, action)
        try:
            action()
        except Exception:
            log.exception("systemd could not be told: %s", name)

    def _tell(self) -> None:
        status = self._status()
        if status != self._told:
            self._told = status
            notify_systemd(f"STATUS={status}")


def watchdog_interval() -> float | None:
    """In how many seconds systemd wants to hear from this process; None if never."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() and int(text) else None


def loop_factory(event_loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """How to make the event loop.

    Args:
        event_loop: ``asyncio``, ``uvloop``, or ``auto``: uvloop where it is installed.

    Raises:
        ImportError: If uvloop was asked for and is not installed.
    """
    if event_loop == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if event_loop == "uvloop":
            raise
        return asyncio.new_event_loop
    return uvloop.new_event_loop
