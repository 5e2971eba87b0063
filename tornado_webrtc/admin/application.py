"""Which path is answered by what, and the life of the HTTP server behind the socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream
from tornado.web import Application, RequestHandler

from tornado_webrtc.admin.handler import (
    BansHandler,
    CollectionHandler,
    DrainHandler,
    EntryHandler,
    LogLevelHandler,
    MissingHandler,
    ReloadHandler,
    StatusHandler,
)
from tornado_webrtc.admin.socket import AdminSocket
from tornado_webrtc.web.httpserver import Gate, make_http_server

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["AdminServer"]

log = logging.getLogger("tornado_webrtc.admin")

PATHS = (
    (r"/status", StatusHandler),
    (r"/reload", ReloadHandler),
    (r"/drain", DrainHandler),
    (r"/log-level", LogLevelHandler),
    (r"/bans", BansHandler),
    (r"/([a-z][a-z0-9_-]*)", CollectionHandler),
    (r"/([a-z][a-z0-9_-]*)/([^/]+)", EntryHandler),
)


class AdminServer:
    """Answers operators on a Unix socket.

    Args:
        server: What they operate.
        path: The socket.

    Raises:
        ListenError: The socket cannot be had.
    """

    def __init__(self, server: Server, path: Path) -> None:
        self._server = server
        self._started_at = server.clock.now()
        self._drains: set[asyncio.Task[None]] = set()
        self._socket = AdminSocket(path)
        self._http = make_http_server(
            Application(
                list(PATHS),
                default_handler_class=MissingHandler,
                log_function=_log_request,
                server=server,
                admin=self,
            )
        )
        self._gate = Gate([self._socket.socket], self._admit, _complain)
        log.info("operators are answered on %s", path.absolute())

    @property
    def uptime_s(self) -> float:
        """How long the server has been running."""
        return self._server.clock.now() - self._started_at

    def drain(self, limit_s: float | None) -> None:
        """Begin to drain; the server waits for its own limit if none is given."""
        task = asyncio.create_task(self._server.drain(limit_s))
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def stop(self) -> None:
        """Close the socket and every connection to it."""
        self._gate.close()
        self._socket.close()
        await self._http.close_all_connections()
        for task in self._drains:
            task.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)

    def _admit(self, connection: socket.socket, address: Any) -> None:
        self._http.handle_stream(IOStream(connection), address)


def _complain(reason: str) -> None:
    log.warning("operators cannot be answered: %s", reason)


def _log_request(handler: RequestHandler) -> None:
    """Looking is not worth a line; who changes something logs it."""
    request = handler.request
    log.debug("%s %s %d", request.method, request.path, handler.get_status())
