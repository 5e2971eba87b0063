"""A port of its own for HTTP: apart from the clients', so that a crowd of them hides nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Sequence

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.web import Application

from tornado_webrtc.repeats import Repeats
from tornado_webrtc.web.httpserver import make_http_server
from tornado_webrtc.web.stall import StallWatch

__all__ = ["MAX_CONNECTIONS", "Endpoint", "EndpointError"]

MAX_CONNECTIONS = 32
"""Above so many open connections new ones are closed at once."""

PAUSE_S = 1.0
"""How long nobody is let in after the system had no file for a connection."""

BACKLOG = 64


class EndpointError(Exception):
    """An address or port cannot be had; says which, why, and what to do."""


class Endpoint:
    """Serves an application on some addresses.

    Args:
        application: What is served.
        log: Told of trouble.
    """

    def __init__(self, application: Application, log: logging.Logger) -> None:
        self._http = make_http_server(application)
        self._log = log
        self._sockets: list[socket.socket] = []
        self._streams: set[IOStream] = set()
        self._stalls = StallWatch(lambda: self._streams)
        self._pause: asyncio.TimerHandle | None = None
        self._repeats = Repeats()

    def listen(self, addresses: Sequence[str], port: int) -> list[str]:
        """Open the port on each address.

        Args:
            addresses: IP addresses or names.
            port: The port; 0 means one free port, the same on all addresses.

        Returns:
            Where it listens, as ``127.0.0.1:9641``.

        Raises:
            EndpointError: If an address cannot be used; nothing stays open.
        """
        try:
            for target in dict.fromkeys(each for name in addresses for each in _resolve(name)):
                self._sockets.append(_bind(*target, port))
                port = self._sockets[0].getsockname()[1]
        except EndpointError:
            self._close_sockets()
            raise
        self._accept_again()
        self._stalls.start()
        return [_shown(*each.getsockname()[:2]) for each in self._sockets]

    async def stop(self) -> None:
        """Close the port and every connection; answers under way are not waited for."""
        self._stalls.stop()
        self._stop_accepting()
        self._close_sockets()
        await self._http.close_all_connections()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket, _events: int) -> None:
        try:
            connection, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause_accepting(error)
            return
        self._streams = {stream for stream in self._streams if not stream.closed()}
        if len(self._streams) >= MAX_CONNECTIONS:
            connection.close()
            if self._repeats.add("full"):
                self._log.warning("%d connections are open, more are refused", MAX_CONNECTIONS)
            return
        stream = IOStream(connection)
        self._streams.add(stream)
        self._http.handle_stream(stream, address)

    def _pause_accepting(self, error: OSError) -> None:
        # What cannot be accepted keeps the socket readable: asking again at once would
        # take all the time there is.
        self._stop_accepting()
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._accept_again)
        if self._repeats.add("accept"):
            self._log.warning(
                "nobody can be answered: %s; trying again every %g s", error.strerror, PAUSE_S
            )

    def _accept_again(self) -> None:
        self._pause = None
        for each in self._sockets:
            IOLoop.current().add_handler(each, self._accept, IOLoop.READ)

    def _stop_accepting(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            return
        for each in self._sockets:
            IOLoop.current().remove_handler(each)


def _resolve(address: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise EndpointError(
            f"cannot listen on {address}: it is neither an IP address nor a name that is known"
        ) from error
    return list(dict.fromkeys((family, str(ends[0])) for family, _, _, _, ends in found))


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    try:
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        where = f"cannot listen on {_shown(host, port)}"
        raise EndpointError(f"{where}: {_reason(error, port)}") from error
    bound.setblocking(False)
    return bound


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; stop the program that uses it, or choose another port"
    if error.errno == errno.EACCES:
        return f"this user may not use port {port}; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; use one of its own"
    return os.strerror(error.errno or 0)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
