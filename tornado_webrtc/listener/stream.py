"""Streams that can take bytes back, and the protocols that claim them.

One port serves several protocols: the first bytes of a connection are shown to
each `StreamProtocol`, then put back, and the one that claims them reads the
connection from its very first byte.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tornado.iostream import IOStream, SSLIOStream

__all__ = [
    "FIRST_BYTES_MAX",
    "Claim",
    "PushbackSSLStream",
    "PushbackStream",
    "SocketAddress",
    "StreamProtocol",
    "accept_tls",
    "peek_first_byte",
]

FIRST_BYTES_MAX = 64
"""No more than so many bytes of a connection are shown to claims."""

LINGER_S = 2.0
"""Seconds that a peer has to close its side after this side closed."""

LINGER_MAX_BYTES = 1 << 22
"""What is read and thrown away in that time at most."""

_LINGER_CHUNK_BYTES = 1 << 16

_LOST_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


class SocketAddress(NamedTuple):
    """One end of a connection."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PushbackStream(IOStream):
    """A stream whose bytes can be put back after they were looked at.

    Args:
        connection: A connected, non-blocking socket.
        on_release: Called once, when the stream has closed its socket. Unlike
            `set_close_callback`, which belongs to whoever reads the stream.
        options: What `IOStream` takes.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        on_release: Callable[[PushbackStream], None] | None = None,
        **options: Any,
    ) -> None:
        self._returned = bytearray()
        self._on_release = on_release
        self._peer_done = False
        self._released = False
        self._linger_timeout: asyncio.TimerHandle | None = None
        self._linger_bytes = LINGER_MAX_BYTES
        super().__init__(connection, **options)

    def push_back(self, data: bytes) -> None:
        """Put bytes in front of everything that is still to be read.

        Raises:
            RuntimeError: If a read is waiting for bytes.
        """
        if self.reading():
            raise RuntimeError("bytes cannot be put back while a read waits for some")
        # The order is: data, what this stream had buffered, what was put back
        # before and not read yet, the socket.
        self._returned[:0] = data + self._consume(self._read_buffer_size)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what was put back first, then the socket."""
        if not self._returned:
            received = super().read_from_fd(buf)
            self._peer_done = received == 0
            return received
        size = min(len(buf), len(self._returned))
        buf[:size] = self._returned[:size]
        del self._returned[:size]
        return size

    def local_address(self) -> SocketAddress:
        """Return this end of the connection, which is open."""
        return SocketAddress(*self.socket.getsockname()[:2])

    def close_fd(self) -> None:
        """Close the socket, in such a way that the peer gets what it was sent last.

        A socket that is closed with unread bytes resets the connection, and the
        peer may lose what came before: a close frame, an error page. So this
        side says that it is done, and reads on for a moment without looking.
        """
        if self._peer_done or self.error is not None or not self._linger():
            self.release()

    def release(self) -> None:
        """Give the socket up at once, and tell whoever keeps count of them."""
        if self._released:
            return
        self._released = True
        if self._linger_timeout is not None:
            self._linger_timeout.cancel()
            self.io_loop.remove_handler(self.socket)
        super().close_fd()
        if self._on_release is not None:
            self._on_release(self)

    def _linger(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self.io_loop.add_handler(self.socket, self._discard, self.io_loop.READ)
        loop = asyncio.get_running_loop()
        self._linger_timeout = loop.call_later(LINGER_S, self.release)
        return True

    def _discard(self, connection: socket.socket, _events: int) -> None:
        try:
            received = len(connection.recv(_LINGER_CHUNK_BYTES))
        except BlockingIOError:
            return
        except OSError:
            received = 0
        self._linger_bytes -= received
        if not received or self._linger_bytes < 0:
            self.release()

    def _is_connreset(self, exc: BaseException) -> bool:
        # What a peer or the network can cause at any time ends a connection
        # quietly; Tornado would log a warning for each.
        if isinstance(exc, ssl.SSLError):
            return True
        if isinstance(exc, OSError) and exc.errno in _LOST_ROUTE:
            return True
        return super()._is_connreset(exc)


class PushbackSSLStream(PushbackStream, SSLIOStream):
    """The same over TLS, on a socket that has finished its handshake."""

    def __init__(self, connection: ssl.SSLSocket, **options: Any) -> None:
        super().__init__(connection, **options)
        # Tornado would do the handshake once more. That is harmless, unless the
        # peer is gone already: then wait_for_handshake() would never end.
        self._ssl_accepting = False


Claim = Callable[[bytes], bool | None]
"""True: mine. False: not mine. None: more bytes are needed to tell.

It sees the first 1 to `FIRST_BYTES_MAX` bytes of a connection, and once it has
said True or False, more bytes must not change its mind.
"""


@dataclass(frozen=True, slots=True)
class StreamProtocol:
    """A protocol that shares a listener's ports with others.

    Attributes:
        name: For logs and errors.
        claims: Says whether a connection's first bytes are this protocol's.
        handle: Takes the stream over, with the peer's address, the local
            address and whether TLS protects it. From then on the stream is the
            handler's to close; if it raises, the stream is closed.
    """

    name: str
    claims: Claim
    handle: Callable[[PushbackStream, SocketAddress, SocketAddress, bool], Awaitable[None] | None]


async def peek_first_byte(connection: socket.socket) -> bytes:
    """Wait for a connection's first byte, and leave it where it is.

    Returns:
        The byte, or nothing if the peer has closed the connection.
    """
    while True:
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            await _readable(connection)


async def accept_tls(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Do the server's part of a TLS handshake.

    Tornado could do it too, but logs a warning for every port scan.

    Args:
        connection: A connected, non-blocking socket. It is used up, whatever happens.
        context: The server's certificate and settings.

    Raises:
        OSError: If the handshake fails (`ssl.SSLError`) or the connection ends.
    """
    secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await _readable(secured)
            except ssl.SSLWantWriteError:
                await _writable(secured)
            else:
                return secured
    except BaseException:
        secured.close()
        raise


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


async def _writable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(connection)
