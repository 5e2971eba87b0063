"""The requests of operators; errors are JSON as those of the REST API."""

from __future__ import annotations

import dataclasses
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from tornado.web import RequestHandler

from tornado_webrtc.admin.loglevel import LogLevelError, set_level
from tornado_webrtc.admin.view import all_collections, shown_ban, status
from tornado_webrtc.ban import KINDS, Kind, check_reason
from tornado_webrtc.collection import Collection
from tornado_webrtc.errors import BanError, ConfigError
from tornado_webrtc.web.handler import ApiError, ApiHandler, PageHandler

if TYPE_CHECKING:
    from tornado_webrtc.admin.application import AdminServer

__all__ = [
    "BansHandler",
    "CollectionHandler",
    "DrainHandler",
    "EntryHandler",
    "LogLevelHandler",
    "MissingHandler",
    "ReloadHandler",
    "StatusHandler",
]

log = logging.getLogger("tornado_webrtc.admin")

MAX_DRAIN_S = 7 * 86400.0

_Body = TypeVar("_Body", bound=msgspec.Struct)


class NewBan(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /bans`: one of the first three."""

    ip: str | None = None
    peer: str | None = None
    user: str | None = None
    seconds: float | None = None
    reason: str = ""


class NewDrain(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /drain`."""

    seconds: float | None = None


class NewLevel(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /log-level`."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "INHERITED"]
    logger: str = ""


class AdminHandler(ApiHandler):
    """Base of them: no browser ever asks, so there is no CORS."""

    options = RequestHandler._unimplemented_method

    @property
    def admin(self) -> AdminServer:
        """Whom it works for."""
        admin: AdminServer = self.settings["admin"]
        return admin

    def set_default_headers(self) -> None:
        """Let nobody keep the answer."""
        PageHandler.set_default_headers(self)
        self.set_header("Cache-Control", "no-store")

    def collection(self, name: str) -> Collection:
        """The collection of a name; 404 if there is none."""
        found = all_collections(self.server)
        if name not in found:
            reason = f"There is nothing called {name!r}; there are {', '.join(sorted(found))}."
            raise ApiError(404, "no-such-collection", reason)
        return found[name]

    def body(self, kind: type[_Body]) -> _Body:
        """The body of the request; nothing at all stands for `{}`."""
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, "bad-body", f"The body is wrong: {error}.") from None

    def done(self, what: str, *details: object) -> None:
        """Log what an operator did."""
        log.info(f"operator (uid %s): {what}", self._user(), *details)  # noqa: G004

    def _user(self) -> str:
        """The user at the other end of the socket, as the kernel knows it (unix(7))."""
        stream = getattr(self.request.connection, "stream", None)
        if stream is None or not hasattr(socket, "SO_PEERCRED"):
            return "unknown"
        size = struct.calcsize("3i")
        credentials = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return str(struct.unpack("3i", credentials)[1])


class MissingHandler(AdminHandler):
    """Answers every other path."""

    def prepare(self) -> None:
        """Find nothing, whatever the method."""
        raise ApiError(404, "not-found", "There is nothing of that name; see /status.")


class StatusHandler(AdminHandler):
    """``/status``."""

    async def get(self) -> None:
        """Answer with the server at a glance."""
        await self.server.bans_stored()
        self.finish(status(self.server, self.admin.uptime_s))


class CollectionHandler(AdminHandler):
    """``/COLLECTION``: peers, sessions, plugins, bans, and what plugins add."""

    def get(self, name: str) -> None:
        """List it."""
        self.finish({name: [dict(entry) for entry in self.collection(name).entries()]})


class EntryHandler(AdminHandler):
    """``/COLLECTION/ID``, the id percent-encoded."""

    def get(self, name: str, entry_id: str) -> None:
        """Show one."""
        entry = self.collection(name).get(entry_id)
        if entry is None:
            raise _missing(name, entry_id)
        self.finish(dict(entry))

    async def delete(self, name: str, entry_id: str) -> None:
        """End one: ``?reason=``, which a client may be told."""
        collection = self.collection(name)
        if (end := collection.end) is None:
            raise ApiError(405, "cannot-end", f"Nothing of {name} can be ended one by one.")
        try:
            reason = check_reason(self.get_query_argument("reason", ""))
        except BanError as error:
            raise ApiError(400, "bad-reason", _sentence(error)) from None
        if not end(entry_id, reason):
            there = collection.get(entry_id) is not None
            raise _nothing_to_end(name, entry_id) if there else _missing(name, entry_id)
        self.done("ended %s %r: %s", name, entry_id, reason or "no reason given")
        stored = {"stored": await self.server.bans_stored()} if name == "bans" else {}
        self.finish({"ended": entry_id, **stored})


class BansHandler(CollectionHandler):
    """``/bans``."""

    def get(self, *_path: str) -> None:
        """List them."""
        super().get("bans")

    async def post(self) -> None:
        """Ban somebody, and end what the banned has."""
        new = self.body(NewBan)
        wanted: list[tuple[Kind, str | None]] = [
            ("ip", new.ip),
            ("peer", new.peer),
            ("user", new.user),
        ]
        given = [(kind, value) for kind, value in wanted if value is not None]
        if len(given) != 1:
            raise ApiError(400, "bad-ban", f"Give exactly one of {', '.join(KINDS)}.")
        kind, value = given[0]
        try:
            ban, ended = self.server.ban(kind, value, seconds=new.seconds, reason=new.reason)
        except BanError as error:
            raise ApiError(400, "bad-ban", _sentence(error)) from None
        how_long = "for ever" if new.seconds is None else f"for {new.seconds:g} s"
        self.done("banned %r %s: %s", ban.id, how_long, ban.reason or "no reason given")
        self.set_status(201)
        stored = await self.server.bans_stored()
        self.finish({**shown_ban(ban, ban.created_at), "ended": ended, "stored": stored})


class ReloadHandler(AdminHandler):
    """``/reload``."""

    async def post(self) -> None:
        """Read the configuration again; with any problem nothing is changed."""
        self.done("reload")
        try:
            report = await self.server.reload()
        except ConfigError as error:
            self._refuse(error)
            return
        self.finish(dataclasses.asdict(report))

    def _refuse(self, error: ConfigError) -> None:
        problems: list[dict[str, Any]] = [
            {"where": each.where, "message": each.message, "hint": each.hint}
            for each in error.problems
        ]
        reason = "The configuration has problems; nothing was changed."
        self.set_status(422)
        self.finish({"error": {"code": "bad-config", "reason": reason}, "problems": problems})


class DrainHandler(AdminHandler):
    """``/drain``."""

    def post(self) -> None:
        """Take nothing new from now on; the answer does not wait for what is left."""
        limit_s = self.body(NewDrain).seconds
        if limit_s is not None and not 0 <= limit_s <= MAX_DRAIN_S:
            raise ApiError(400, "bad-seconds", f"`seconds` is from 0 to {MAX_DRAIN_S:g}.")
        self.admin.drain(limit_s)
        self.done("drain, %s", "as configured" if limit_s is None else f"at most {limit_s:g} s")
        used = self.server.config.general.drain_s if limit_s is None else limit_s
        self.set_status(202)
        self.finish({"seconds": used, "left": self._left()})

    def _left(self) -> dict[str, int]:
        """What the drain waits for: not for what cannot be counted."""
        holding = [name for name, each in self.server.collections.items() if each.holds_drain]
        counts = {name: self.server.count(name) for name in holding}
        return {name: count for name, count in counts.items() if count is not None}


class LogLevelHandler(AdminHandler):
    """``/log-level``."""

    def put(self) -> None:
        """Change how much a logger logs, until the next start."""
        new = self.body(NewLevel)
        try:
            before = set_level(new.level, new.logger)
        except LogLevelError as error:
            raise ApiError(400, "bad-log-level", _sentence(error)) from None
        self.done("log level of %r: %s, was %s", new.logger, new.level, before)
        self.finish({"logger": new.logger, "level": new.level, "before": before})


def _missing(name: str, entry_id: str) -> ApiError:
    return ApiError(404, "not-found", f"There is no {entry_id!r} among the {name}.")


def _nothing_to_end(name: str, entry_id: str) -> ApiError:
    reason = f"There is {entry_id!r} among the {name}, but nothing in it that could be ended."
    return ApiError(404, "nothing-to-end", reason)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith("?") else ".")
