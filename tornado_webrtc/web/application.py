"""Which path is served by what, and one line in the log for each request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tornado.web import Application, RequestHandler

from tornado_webrtc.web.client import client_ip
from tornado_webrtc.web.handler import DiscreetErrors, MissingPage
from tornado_webrtc.web.health import HealthHandler, ReadyHandler
from tornado_webrtc.web.static import PageFiles
from tornado_webrtc.web.turn import TurnHandler
from tornado_webrtc.web.websocket import SignalingSocket

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["CORE_PATHS", "make_application"]

access_log = logging.getLogger("tornado_webrtc.access")


CORE_PATHS = ("/ws", "/api/turn", "/healthz", "/readyz", "/(.*)")
"""What the core serves itself; everything that nobody claims is a file of the page."""


def make_application(server: Server, plugin_rules: Sequence[Any] = ()) -> Application:
    """Build the application of one server.

    Args:
        server: What the handlers work for.
        plugin_rules: Tornado rules that plugins add; the core's come first,
            the page's files last.
    """
    handlers = (SignalingSocket, TurnHandler, HealthHandler, ReadyHandler)
    core = list(zip(CORE_PATHS, handlers, strict=False))
    files = {"path": str(server.config.general.html_root), "default_filename": "index.html"}
    return Application(
        [*core, *map(_discreet, plugin_rules), (CORE_PATHS[-1], PageFiles, files)],
        default_handler_class=MissingPage,
        log_function=log_request,
        server=server,
        websocket_max_message_size=server.config.signaling.max_message_bytes,
    )


def _discreet(rule: Any) -> Any:
    """Let a plugin's handler log its errors without the query too, unless it does so itself."""
    path, handler, *options = rule
    if getattr(handler, "log_exception", None) is RequestHandler.log_exception:
        handler = type(handler.__name__, (DiscreetErrors, handler), {})
    return (path, handler, *options)


def log_request(handler: RequestHandler) -> None:
    """Log a finished request: never its query, which may hold a token."""
    request = handler.request
    server: Server = handler.application.settings["server"]
    status = handler.get_status()
    level = logging.ERROR if status >= 500 and status != 503 else logging.INFO  # noqa: PLR2004
    access_log.log(
        level,
        "%s %s %s %d %.1fms",
        client_ip(request, server.config.general.trusted_proxies),
        request.method,
        _printable(request.path),
        status,
        1000.0 * request.request_time(),
    )


def _printable(path: str) -> str:
    return path if path.isprintable() else ascii(path)
