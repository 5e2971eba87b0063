"""A port of its own for HTTP: apart from the clients', so that a crowd of them hides nothing."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any

from tornado.iostream import IOStream
from tornado.web import Application

from tornado_webrtc.repeats import Repeats
from tornado_webrtc.web.httpserver import Gate, make_http_server
from tornado_webrtc.web.stall import StallWatch

__all__ = ["MAX_CONNECTIONS", "Endpoint", "EndpointError"]

MAX_CONNECTIONS = 32
"""A further one takes the place of the one that came first, unless all are being answered."""

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
        self._streams: list[IOStream] = []
        self._stalls = StallWatch(lambda: self._streams)
        self._gate: Gate | None = None
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
        self._gate = Gate(self._sockets, self._admit, self._complain)
        self._stalls.start()
        return [_shown(*each.getsockname()[:2]) for each in self._sockets]

    async def stop(self) -> None:
        """Close the port and every connection; answers under way are not waited for."""
        self._stalls.stop()
        if self._gate is not None:
            self._gate.close()
            self._gate = None
        self._close_sockets()
        await self._http.close_all_connections()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    def _admit(self, connection: socket.socket, address: Any) -> None:
        self._streams = [stream for stream in self._streams if not stream.closed()]
        if len(self._streams) >= MAX_CONNECTIONS and not self._make_room():
            connection.close()
            return
        stream = IOStream(connection)
        self._streams.append(stream)
        self._http.handle_stream(stream, address)

    def _make_room(self) -> bool:
        """Close a connection, or whoever opens enough of them keeps Prometheus out."""
        if self._repeats.add("full"):
            self._log.warning("%d connections are open; one is closed for each", MAX_CONNECTIONS)
        idle = next((stream for stream in self._streams if not stream.writing()), None)
        if idle is None:
            return False
        idle.close()
        self._streams.remove(idle)
        return True

    def _complain(self, reason: str) -> None:
        self._log.warning("nobody can be answered: %s", reason)


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
