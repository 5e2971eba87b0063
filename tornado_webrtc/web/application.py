"""Which path is served by what, and one line in the log for each request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.web import Application, OutputTransform, RequestHandler

from tornado_webrtc.web.client import client_ip
from tornado_webrtc.web.handler import DiscreetErrors, MissingPage
from tornado_webrtc.web.health import HealthHandler, ReadyHandler
from tornado_webrtc.web.request_id import IdentifyingTransform, request_id
from tornado_webrtc.web.stall import StallWatch
from tornado_webrtc.web.static import PageFiles
from tornado_webrtc.web.turn import TurnHandler
from tornado_webrtc.web.websocket import SignalingSocket

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = [
    "CORE_PATHS",
    "CoreApplication",
    "Quiet",
    "identifying",
    "log_request",
    "make_application",
]

access_log = logging.getLogger("tornado_webrtc.access")


CORE_PATHS = ("/ws", "/api/turn", "/healthz", "/readyz", "/(.*)")
"""What the core serves itself; everything that nobody claims is a file of the page."""

MAX_LOGGED_METHOD = 24
MAX_LOGGED_PATH = 256


class Quiet:
    """A handler whose requests the log shows at the level DEBUG only."""


QUIET = (PageFiles, MissingPage, HealthHandler, ReadyHandler, Quiet)
"""Answered so often, or to so many strangers, that the log shows it at the level DEBUG only."""

IDLE_POLL_S = 0.02


class CoreApplication(Application):
    """An application that knows which requests are under way.

    Attributes:
        stalls: Ends clients that do not take their answers, once it is started.
    """

    def __init__(self, rules: Sequence[Any], **settings: Any) -> None:
        self._under_way: WeakSet[HTTPServerRequest] = WeakSet()
        self._sending: WeakSet[IOStream] = WeakSet()
        self.stalls = StallWatch(self._streams)
        super().__init__(list(rules), **settings)

    def get_handler_delegate(self, request: HTTPServerRequest, *args: Any, **kwargs: Any) -> Any:
        """Begin with a request whose headers have come."""
        self._under_way.add(request)
        return super().get_handler_delegate(request, *args, **kwargs)

    def log_request(self, handler: RequestHandler) -> None:
        """Be done with a request, but for what its answer has not left this process of."""
        self._under_way.discard(handler.request)
        stream = _stream(handler.request)
        if stream is not None and stream.writing():
            self._sending.add(stream)
        super().log_request(handler)

    @property
    def idle(self) -> bool:
        """Whether every request was answered, or its client went away."""
        return all(stream.closed() for stream in self._streams())

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until every request was answered, or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while not self.idle:
            left_s = until - loop.time()
            if left_s <= 0:
                return
            await asyncio.sleep(min(IDLE_POLL_S, left_s))

    def _streams(self) -> list[IOStream]:
        """Where answers are under way; a WebSocket's stream is not its request's any more."""
        asked = [stream for each in self._under_way if (stream := _stream(each)) is not None]
        return asked + [stream for stream in self._sending if stream.writing()]


def _stream(request: HTTPServerRequest) -> IOStream | None:
    return getattr(request.connection, "stream", None)


def make_application(server: Server, plugin_rules: Sequence[Any] = ()) -> CoreApplication:
    """Build the application of one server.

    Args:
        server: What the handlers work for.
        plugin_rules: Tornado rules that plugins add; the core's come first,
            the page's files last.
    """
    handlers = (SignalingSocket, TurnHandler, HealthHandler, ReadyHandler)
    core = list(zip(CORE_PATHS, handlers, strict=False))
    files = {"path": str(server.config.general.html_root), "default_filename": "index.html"}
    return CoreApplication(
        [*core, *map(_discreet, plugin_rules), (CORE_PATHS[-1], PageFiles, files)],
        default_handler_class=MissingPage,
        transforms=[identifying(server)],
        log_function=log_request,
        server=server,
        websocket_max_message_size=server.config.signaling.max_message_bytes,
    )


def identifying(server: Server) -> Any:
    """What puts `X-Request-ID` into every answer of an application."""

    def transform(request: HTTPServerRequest) -> OutputTransform:
        return IdentifyingTransform(request, server.config.general.trusted_proxies)

    return transform


def _discreet(rule: Any) -> Any:
    """Let a plugin's handler log its errors without the query too, unless it does so itself."""
    path, handler, *options = rule
    if getattr(handler, "log_exception", None) is RequestHandler.log_exception:
        handler = type(handler.__name__, (DiscreetErrors, handler), {})
    return (path, handler, *options)


def log_request(handler: RequestHandler) -> None:
    """Log a finished request: never its query, which may hold a token, nor all of a long line."""
    request = handler.request
    server: Server = handler.application.settings["server"]
    trusted = server.config.general.trusted_proxies
    method = _printable(request.method or "", MAX_LOGGED_METHOD)
    remote_ip, path = client_ip(request, trusted), _printable(request.path, MAX_LOGGED_PATH)
    status, duration_ms = handler.get_status(), 1000.0 * request.request_time()
    level = logging.DEBUG if isinstance(handler, QUIET) else logging.INFO
    if status >= 500 and status != 503:  # noqa: PLR2004
        level = logging.ERROR
    access_log.log(
        level,
        "%s %s %s %d %.1fms",
        remote_ip,
        method,
        path,
        status,
        duration_ms,
        extra={
            "request_id": request_id(request, trusted),
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(duration_ms, 1),
            "remote_ip": remote_ip,
        },
    )


def _printable(text: str, limit: int) -> str:
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return shown if shown.isprintable() else ascii(shown)
