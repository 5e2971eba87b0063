"""HTTP servers, all with the same limits: the clients', the redirect's and the operators'.

A `Gate` lets connections in to one that has a few sockets of its own; clients come in
through `tornado_webrtc.listener`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application

from tornado_webrtc.repeats import Repeats

__all__ = ["PAUSE_S", "Gate", "make_http_server"]

PAUSE_S = 1.0
"""How long nobody is let in after the system had no file for a connection."""

IDLE_TIMEOUT_S = 30.0
"""Seconds in which a request's headers have to come, and that a kept-alive socket may rest."""

BODY_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 16384
MAX_BODY_BYTES = 65536


def make_http_server(application: Application) -> HTTPServer:
    """Serve an application, within limits; nothing listens yet."""
    return HTTPServer(
        application,
        idle_connection_timeout=IDLE_TIMEOUT_S,
        body_timeout=BODY_TIMEOUT_S,
        max_header_size=MAX_HEADER_BYTES,
        max_body_size=MAX_BODY_BYTES,
    )


class Gate:
    """Accepts connections, and pauses while the system has no file for one.

    What cannot be accepted keeps a socket readable: asking again at once, as Tornado
    does, would take all the time there is, and fill the log.

    Args:
        sockets: They listen, and do not block. They stay open when the gate is closed.
        admit: Is given each connection, and its client's address.
        complain: Is given a sentence about a pause, once a minute at most.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        admit: Callable[[socket.socket, Any], None],
        complain: Callable[[str], None],
    ) -> None:
        self._sockets = tuple(sockets)
        self._admit = admit
        self._complain = complain
        self._repeats = Repeats()
        self._pause: asyncio.TimerHandle | None = None
        self._open()

    def close(self) -> None:
        """Let nobody in any more."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            return
        for each in self._sockets:
            IOLoop.current().remove_handler(each)

    def _open(self) -> None:
        self._pause = None
        for each in self._sockets:
            IOLoop.current().add_handler(each, self._accept, IOLoop.READ)

    def _accept(self, listening: socket.socket, _events: int) -> None:
        try:
            connection, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._wait(error)
        else:
            self._admit(connection, address)

    def _wait(self, error: OSError) -> None:
        self.close()
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._open)
        if self._repeats.add("accept"):
            self._complain(f"{error.strerror}; trying again every {PAUSE_S:g} s")
