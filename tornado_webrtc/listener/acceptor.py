"""Accept connections, keep count of them, and end them.

HTTP, WebSockets and whatever plugins add share the ports; what happens to a
single connection until one of them takes it over is in arrival.py.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import resource
import socket
import sys
import weakref
from collections.abc import Callable, Sequence

from tornado.ioloop import IOLoop

from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.listener.arrival import Arrival, Counters, Entrance
from tornado_webrtc.listener.binding import bind_all
from tornado_webrtc.listener.stream import PushbackStream, SocketAddress, StreamProtocol
from tornado_webrtc.repeats import Repeats

__all__ = ["Listener"]

log = logging.getLogger("tornado_webrtc.listener")

_ACCEPTS_PER_WAKE_UP = 64
_PAUSE_S = 1.0
_RESERVED_DESCRIPTORS = 64
_SPARE_DESCRIPTORS = 32
_SPARE_SHARE = 4
_MIN_CONNECTIONS = 16

# accept(2): errors of the new connection, not of the listening socket.
_LOST_BEFORE_ACCEPT = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EPERM,
        errno.EPROTO,
    }
)


class Listener:
    """Listening sockets and every connection that came in through them.

    Args:
        handshake_timeout_s: Limit of a TLS handshake.
        first_byte_timeout_s: Limit from then until a protocol claims the connection.
        max_connections: Above so many open connections new ones are closed at
            once: a guard of file descriptors. 0 means what the process may
            open, less a reserve; the last of that is never a connection's, so
            that operators are answered and the log is written.

    Attributes:
        counters: What became of connections.
    """

    def __init__(
        self,
        *,
        handshake_timeout_s: float = 10,
        first_byte_timeout_s: float = 10,
        max_connections: Callable[[], int] | int = 0,
    ) -> None:
        self._handshake_timeout_s = handshake_timeout_s
        self._first_byte_timeout_s = first_byte_timeout_s
        self.counters = Counters()
        self._max_connections = max_connections
        self._entrances: dict[socket.socket, Entrance] = {}
        self._arrivals: set[Arrival] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: weakref.WeakSet[PushbackStream] = weakref.WeakSet()
        self._pause: asyncio.TimerHandle | None = None
        self._repeats = Repeats()

    @property
    def open_connections(self) -> int:
        """How many connections are open, claimed or not yet."""
        return len(self._arrivals) + len(self._streams)

    def listen(
        self,
        addresses: Sequence[str],
        port: int,
        protocols: Sequence[StreamProtocol],
        tls: CertificateStore | None,
    ) -> list[SocketAddress]:
        """Accept connections on one port of each address.

        Args:
            addresses: IP addresses or host names; see `binding.bind_all`.
            port: The port; 0 means one free port, the same on all addresses.
            protocols: Asked in this order whether a connection is theirs.
            tls: The certificate, or None for unencrypted connections.

        Returns:
            The addresses that it listens on.

        Raises:
            ListenError: If an address cannot be used, or none is left.
        """
        entrance = Entrance(
            protocols=tuple(protocols),
            tls=tls,
            handshake_timeout_s=self._handshake_timeout_s,
            first_byte_timeout_s=self._first_byte_timeout_s,
            counters=self.counters,
        )
        bound = []
        for sock in bind_all(addresses, port):
            self._entrances[sock] = entrance
            if self._pause is None:
                IOLoop.current().add_handler(sock, self._accept, IOLoop.READ)
            bound.append(SocketAddress(*sock.getsockname()[:2]))
        return bound

    def stop(self) -> None:
        """Accept no new connections; those that are open go on."""
        self._stop_accepting()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for sock in self._entrances:
            sock.close()
        self._entrances.clear()

    async def close(self) -> None:
        """End everything: new connections, those on their way in, those handed over."""
        self.stop()
        for stream in list(self._streams):
            stream.close()
            stream.release()
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_accepting(self) -> None:
        self._pause = None
        for sock in self._entrances:
            IOLoop.current().add_handler(sock, self._accept, IOLoop.READ)

    def _stop_accepting(self) -> None:
        if self._pause is None:
            for sock in self._entrances:
                IOLoop.current().remove_handler(sock)

    def _accept(self, sock: socket.socket, _events: int) -> None:
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            if sock not in self._entrances or self._pause is not None:
                return
            try:
                connection, address = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _LOST_BEFORE_ACCEPT:
                    self._pause_accepting(error)
                continue
            self._admit(connection, SocketAddress(*address[:2]), self._entrances[sock])

    def _pause_accepting(self, error: OSError) -> None:
        # The connection stays in the backlog and keeps the socket readable:
        # asking again at once would be a busy loop.
        self._stop_accepting()
        self._pause = asyncio.get_running_loop().call_later(_PAUSE_S, self._start_accepting)
        self._warn(
            "accept",
            "cannot accept connections with %d open: %s; trying again every %g s "
            "(the limit of open files is %d, see `ulimit -n`)",
            self.open_connections,
            error.strerror,
            _PAUSE_S,
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )

    def _admit(self, connection: socket.socket, peer: SocketAddress, entrance: Entrance) -> None:
        if self.open_connections >= (limit := self._limit()) or self._is_spare(connection):
            connection.close()
            self.counters.refused += 1
            self._warn(
                "limit",
                "connection of %s refused: %d are open already, beside other files; "
                "at most %d may be (raise LimitNOFILE, `ulimit -n`)",
                peer,
                self.open_connections,
                limit,
            )
            return
        self.counters.accepted += 1
        arrival = Arrival(connection, peer, entrance, self._claimed, self._streams.discard)
        self._arrivals.add(arrival)
        task = asyncio.get_running_loop().create_task(arrival.run(), name=f"connection of {peer}")
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._finished, arrival))

    def _claimed(self, arrival: Arrival, stream: PushbackStream) -> None:
        self._arrivals.discard(arrival)
        self._streams.add(stream)

    def _finished(self, arrival: Arrival, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._arrivals.discard(arrival)
        arrival.abandon()

    def _limit(self) -> int:
        wanted = self._max_connections
        if limit := wanted() if callable(wanted) else wanted:
            return limit
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return sys.maxsize
        return max(_MIN_CONNECTIONS, soft - _RESERVED_DESCRIPTORS)

    def _is_spare(self, connection: socket.socket) -> bool:
        """Whether hardly any file may be opened after it: a new one has the lowest free number."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if self._max_connections or soft == resource.RLIM_INFINITY:
            return False
        return connection.fileno() >= soft - min(_SPARE_DESCRIPTORS, soft // _SPARE_SHARE)

    def _warn(self, subject: str, message: str, *arguments: object) -> None:
        if self._repeats.add(subject):
            log.warning(message, *arguments)
