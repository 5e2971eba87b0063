"""Logs as JSON, a line for each log record and each event: for machines that collect logs.

    __init__.py      the plugin: listens to the log and to hooks
    line.py          one line of JSON, redacted and of limited length
    destination.py   standard output, and files that rotate

`tornado_webrtc.logwriter` writes them on a thread of its own.

docs/logging.md shows the lines.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado_webrtc import __version__, hookimpl
from tornado_webrtc.config import CORE
from tornado_webrtc.hooks import at_key
from tornado_webrtc.logwriter import Writer
from tornado_webrtc.redaction import RedactingFormatter, Redaction

from .destination import make_destination
from .line import LineFormat

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.hooks import PluginContext, SocketAddress, TurnAllocation, TurnTraffic
    from tornado_webrtc.server import Server
    from tornado_webrtc.signaling import Peer, Session

SETTINGS = """
# Where the lines go. Empty: standard output. New files have the mode 0640, less the umask.
file = path(default=None)

# `size`: when the file has `max_bytes`, it is renamed to `FILE.1`, that to `FILE.2`, and so on.
# `external`: logrotate, or somebody else, moves it away, and the server begins a new one; no
# signal is needed.
rotation = option("size", "external", default="size")

# The size from which a file rotates.
max_bytes = bytes(min=65536, default=104857600)

# How many older files are kept.
backups = integer(min=1, max=1000, default=5)

# Whether there are lines for events, too: peers, calls, allocations. (live)
events = boolean(default=True)

# The readable lines on standard error: `on`, `off`, or `auto`: only beside a file.
console = option("auto", "on", "off", default="auto")

# Whether network addresses are shortened wherever they stand, in texts of messages and in the
# readable lines too: IPv4 to /24, IPv6 to /48. Loopback addresses stay. (live)
anonymize_addresses = boolean(default=False)

# Loggers whose records are left out, with those below them. What `logging_console` says, the
# events say. (live)
skip_loggers = force_list(default=list("tornado_webrtc.plugins.logging_console"))
"""

Fields = dict[str, object]


class Plugin:
    """Turns log records and notifications into lines of JSON."""

    def __init__(self, context: PluginContext) -> None:
        settings = context.settings
        self._name = context.name
        self._settings = settings
        self._file: Path | None = settings["file"]
        self._redaction = Redaction(anonymous=settings["anonymize_addresses"])
        self._format = LineFormat(self._redaction)
        self._collector: Collector | None = None
        self._consoles: list[Console] = []
        self._server: Server | None = None
        self._allocated_at: dict[int, float] = {}

    # --- life ---------------------------------------------------------------

    @hookimpl
    def start(self, server: Server) -> None:
        """Open the destination and take over the log."""
        settings = self._settings
        destination = make_destination(
            self._file, settings["rotation"], settings["max_bytes"], settings["backups"]
        )
        writer = Writer(destination, self._gap, name="logging_json")
        self._server = server
        self._collector = Collector(self._format, writer, settings["skip_loggers"])
        quiet = settings["console"] == "off" or (settings["console"] == "auto" and not self._file)
        self._consoles = list(_consoles())
        for console in self._consoles:
            console.take_over(self._redaction, quiet=quiet)
        logging.getLogger().addHandler(self._collector)

    @hookimpl
    async def stop(self) -> None:
        """Give the log back and write what waits."""
        if self._collector is None:
            return
        logging.getLogger().removeHandler(self._collector)
        for console in self._consoles:
            console.give_back()
        collector, self._collector = self._collector, None
        await asyncio.to_thread(collector.close)

    @hookimpl
    def check(self) -> list[str]:
        """Say what stands in the way of a log file."""
        if self._file is None:
            return []
        return [at_key(self._name, "file", each) for each in _obstacles(self._file, self._settings)]

    @hookimpl
    def counters(self) -> dict[str, int]:
        """How many lines were not written."""
        return {} if self._collector is None else {"lines-dropped": self._collector.dropped}

    # --- signaling ----------------------------------------------------------

    @hookimpl
    def peer_joined(self, peer: Peer) -> None:
        """Somebody signed in."""
        names = {"name": peer.name, "user_agent": peer.user_agent}
        self._event("peer_joined", self._of_peer(peer) | names)

    @hookimpl
    def peer_left(self, peer: Peer, reason: str) -> None:
        """Somebody is gone."""
        self._event("peer_left", self._of_peer(peer) | {"reason": reason})

    @hookimpl
    def session_offered(self, session: Session) -> None:
        """Somebody calls."""
        self._event("session_offered", self._of_session(session))

    @hookimpl
    def session_answered(self, session: Session) -> None:
        """A call was answered."""
        rang_s = _duration(session.offered_at, session.answered_at)
        self._event("session_answered", self._of_session(session) | {"rang_s": rang_s})

    @hookimpl
    def session_ended(self, session: Session, reason: str) -> None:
        """A call is over."""
        answered = session.answered_at is not None
        rung_until = session.answered_at if answered else session.ended_at
        times: Fields = {
            "answered": answered,
            "rang_s": _duration(session.offered_at, rung_until),
            "talked_s": _duration(session.answered_at, session.ended_at),
            "reason": reason,
        }
        self._event("session_ended", self._of_session(session) | times)

    # --- TURN ---------------------------------------------------------------

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """A TURN client may relay."""
        self._allocated_at[allocation.id] = time.monotonic()
        self._event("allocation_created", _of_allocation(allocation))

    @hookimpl
    def allocation_refreshed(self, allocation: TurnAllocation) -> None:
        """It goes on."""
        self._event("allocation_refreshed", _of_allocation(allocation))

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """It is over."""
        lasted_s = _duration(self._allocated_at.pop(allocation.id, None), time.monotonic())
        end: Fields = {"lasted_s": lasted_s, "reason": reason}
        fields = _of_allocation(allocation) | dataclasses.asdict(traffic) | end
        self._event("allocation_deleted", fields)

    @hookimpl
    def permission_created(self, allocation: TurnAllocation, peer_ip: str) -> None:
        """It may relay to an address."""
        self._event("permission_created", _of_allocation(allocation) | {"peer_ip": peer_ip})

    @hookimpl
    def channel_bound(self, allocation: TurnAllocation, number: int, peer: SocketAddress) -> None:
        """It has a channel."""
        channel = {"channel": number, "peer_address": str(peer)}
        self._event("channel_bound", _of_allocation(allocation) | channel)

    # --- server -------------------------------------------------------------

    @hookimpl
    def server_started(self, server: Server) -> None:
        """The ports are open."""
        fields: Fields = {
            "version": __version__,
            "pid": os.getpid(),
            "node_id": server.hub.node_id,
            "addresses": [f"{server.scheme}://{address}" for address in server.addresses],
            "plugins": list(server.plugins.names),
        }
        self._event("server_started", fields)

    @hookimpl
    def server_draining(self) -> None:
        """Nothing new is taken."""
        self._event("server_draining", {})

    @hookimpl(trylast=True)
    def server_stopped(self) -> None:
        """Every connection is closed."""
        self._event("server_stopped", {})

    @hookimpl
    def settings_changed(self, old: Config, new: Config) -> None:
        """The configuration was read again: which keys differ, never their values."""
        settings = self._settings = new.plugin_settings.get(self._name, self._settings)
        self._redaction.anonymous = settings["anonymize_addresses"]
        if self._collector is not None:
            self._collector.skip(settings["skip_loggers"])
        if changed := sorted(_differences(old, new)):
            self._event("settings_changed", {"changed": changed})

    # --- lines --------------------------------------------------------------

    def _event(self, name: str, fields: Mapping[str, object]) -> None:
        if self._collector is not None and self._settings["events"]:
            self._collector.put(self._format.event(name, fields, time.time()))

    def _gap(self, count: int, reason: str) -> str:
        fields = {"count": count, "reason": reason}
        return self._format.event("log_lines_missing", fields, time.time())

    def _of_peer(self, peer: Peer, prefix: str = "") -> Fields:
        connection = self._server.hub.connection_of(peer) if self._server else None
        fields: Fields = {
            "peer_id": peer.id,
            "scope": peer.scope or None,
            "subject": peer.subject,
            "remote_ip": peer.remote_ip or None,
            "connection_id": peer.address.connection_id,
            "request_id": connection.handshake.request_id if connection else None,
        }
        return {f"{prefix}{name}": value for name, value in fields.items()}

    def _of_session(self, session: Session) -> Fields:
        fields: Fields = {"session_id": session.id}
        fields |= self._of_peer(session.caller, "caller_")
        return fields | self._of_peer(session.callee, "callee_")


class Collector(logging.Handler):
    """Hands every log record to the writer, as a line.

    Args:
        line_format: Makes lines.
        writer: Takes them.
        skipped: See `skip`.
    """

    def __init__(self, line_format: LineFormat, writer: Writer, skipped: tuple[str, ...]) -> None:
        super().__init__()
        self._format = line_format
        self._writer = writer
        self.put = writer.put
        self.skip(skipped)

    @property
    def dropped(self) -> int:
        """How many lines were not written."""
        return self._writer.dropped

    def skip(self, loggers: tuple[str, ...]) -> None:
        """Leave out the records of some loggers and of those below them."""
        self._skipped = loggers
        self._prefixes = tuple(f"{name}." for name in loggers)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be made a line of is counted."""
        if record.name in self._skipped or record.name.startswith(self._prefixes):
            return
        try:
            line = self._format.record(record)
        except Exception as error:  # a log record must never stop the server
            self._writer.drop(f"a record of {record.name} has no line: {type(error).__name__}")
        else:
            self._writer.put(line)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
        super().close()


class Console:
    """The readable lines, while JSON is written.

    Args:
        handler: Writes them.
        formatter: Makes them.
    """

    def __init__(self, handler: logging.Handler, formatter: RedactingFormatter) -> None:
        self._handler = handler
        self._formatter = formatter
        self._before = formatter.redaction
        self._removed = False

    def take_over(self, redaction: Redaction, *, quiet: bool) -> None:
        """Silence the lines, or let them hide what the lines of JSON hide."""
        self._formatter.redaction = redaction
        if quiet:
            logging.getLogger().removeHandler(self._handler)
            self._removed = True

    def give_back(self) -> None:
        """Undo `take_over`."""
        self._formatter.redaction = self._before
        if self._removed:
            logging.getLogger().addHandler(self._handler)
            self._removed = False


def _consoles() -> Iterator[Console]:
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            yield Console(handler, handler.formatter)


def _of_allocation(allocation: TurnAllocation) -> Fields:
    return {
        "allocation_id": allocation.id,
        "user": allocation.user,
        "username": allocation.username,
        "client": str(allocation.client),
        "transport": allocation.transport,
        "relayed": str(allocation.relayed),
    }


def _duration(since: float | None, until: float | None) -> float | None:
    return None if since is None or until is None else round(until - since, 3)


def _differences(old: Config, new: Config) -> Iterator[str]:
    """The names of keys whose values differ: ``signaling.ping_s``."""
    before, after = _values(old), _values(new)
    yield from (key for key in {*before, *after} if before.get(key) != after.get(key))


def _values(config: Config) -> dict[str, object]:
    core = {
        f"{section}.{key.name}": getattr(getattr(config, section), key.name)
        for section in CORE
        for key in dataclasses.fields(getattr(config, section))
    }
    return core | {
        f"{plugin}.{key}": value
        for plugin, settings in config.plugin_settings.items()
        for key, value in settings.items()
    }


def _obstacles(file: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    folder = file.parent
    if not folder.is_dir():
        yield f"there is no folder {folder}"
    elif file.is_dir():
        yield f"{file} is a folder"
    elif file.exists() and not _writable(file):
        yield f"{file} cannot be written by this user"
    elif not _writable(folder) and (settings["rotation"] == "size" or not file.exists()):
        yield f"this user cannot make files in {folder}"


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)
