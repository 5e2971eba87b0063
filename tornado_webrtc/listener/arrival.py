"""One connection on its way from accept() to the protocol that claims it.

What strangers do to an open port (scans, half handshakes, silence, resets)
ends here: with a time limit, a counter and a line at DEBUG level.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tornado.iostream import StreamClosedError

from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.listener.http import refuse_plain_http
from tornado_webrtc.listener.stream import (
    FIRST_BYTES_MAX,
    PushbackSSLStream,
    PushbackStream,
    SocketAddress,
    StreamProtocol,
    accept_tls,
    peek_first_byte,
)

__all__ = ["Arrival", "Counters", "Entrance"]

log = logging.getLogger("tornado_webrtc.listener")

_SHOWN_BYTES = 8  # more could be a request line, with a token in its query
_TLS_HANDSHAKE = b"\x16"  # RFC 8446 section 5.1: ContentType handshake(22)


@dataclass(slots=True)
class Counters:
    """What became of connections, since the listener was made."""

    accepted: int = 0
    refused: int = 0  # above max_connections
    claimed: int = 0
    unclaimed: int = 0  # no protocol knew the first bytes
    failed_handshakes: int = 0  # plain HTTP on a TLS port too
    timed_out: int = 0  # in the handshake or before the first bytes
    lost: int = 0  # closed by the peer before a protocol claimed it


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is behind a listening socket.

    Attributes:
        protocols: Asked in this order whether a connection is theirs.
        tls: The certificate, or None for unencrypted connections.
        handshake_timeout_s: Limit of a TLS handshake.
        first_byte_timeout_s: Limit from then until a protocol claims the connection.
        counters: Counts what becomes of connections.
    """

    protocols: tuple[StreamProtocol, ...]
    tls: CertificateStore | None
    handshake_timeout_s: float
    first_byte_timeout_s: float
    counters: Counters


class Arrival:
    """A connection that no protocol has claimed yet.

    Args:
        connection: As accept() gave it.
        peer: The other end's address.
        entrance: Where it came in.
        on_claimed: Called when a protocol is about to take the stream over.
        on_release: Called when the stream has closed its socket.
    """

    def __init__(
        self,
        connection: socket.socket,
        peer: SocketAddress,
        entrance: Entrance,
        on_claimed: Callable[[Arrival, PushbackStream], None],
        on_release: Callable[[PushbackStream], None],
    ) -> None:
        self._connection = connection
        self._stream: PushbackStream | None = None
        self._claimed = False
        self._peer = peer
        self._entrance = entrance
        self._counters = entrance.counters
        self._on_claimed = on_claimed
        self._on_release = on_release

    async def run(self) -> None:
        """Take the connection to the protocol that claims it, or close it."""
        try:
            async with asyncio.timeout(self._entrance.handshake_timeout_s):
                stream = await self._open_stream()
            if stream is None:
                return
            async with asyncio.timeout(self._entrance.first_byte_timeout_s):
                protocol = await self._recognise(stream)
        except TimeoutError:
            self._counters.timed_out += 1
            log.debug("%s: closed, it said nothing that tells what it wants", self._peer)
        except ssl.SSLError as error:
            self._counters.failed_handshakes += 1
            log.debug("%s: TLS handshake failed: %s", self._peer, error)
        except OSError as error:
            self._counters.lost += 1
            log.debug("%s: gone before it said what it wants: %s", self._peer, error)
        else:
            if protocol is not None and not stream.closed():
                await self._hand_over(protocol, stream)

    def abandon(self) -> None:
        """Close the connection, unless a protocol has claimed it."""
        if self._claimed:
            return
        if self._stream is not None:
            self._stream.close()
            # It would linger, with its socket watched by the event loop: a socket
            # that is closed under the loop's eyes makes uvloop abort the process.
            self._stream.release()
        self._connection.close()

    async def _open_stream(self) -> PushbackStream | None:
        connection, store = self._connection, self._entrance.tls
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if store is None:
            return self._plain_stream()
        first = await peek_first_byte(connection)
        if first == _TLS_HANDSHAKE:
            return await self._secure_stream(store.context)
        await self._refuse_plain(first)
        return None

    def _plain_stream(self) -> PushbackStream:
        self._stream = PushbackStream(self._connection, on_release=self._on_release)
        return self._stream

    async def _secure_stream(self, context: ssl.SSLContext) -> PushbackStream:
        secured = await accept_tls(self._connection, context)
        self._stream = PushbackSSLStream(secured, on_release=self._on_release, ssl_options=context)
        return self._stream

    async def _refuse_plain(self, first: bytes) -> None:
        if not first:
            self._counters.lost += 1
            log.debug("%s: gone before a TLS handshake", self._peer)
            return
        self._counters.failed_handshakes += 1
        log.debug("%s: closed, it did not begin a TLS handshake", self._peer)
        if first.isupper():
            await refuse_plain_http(self._plain_stream())

    async def _recognise(self, stream: PushbackStream) -> StreamProtocol | None:
        first = b""
        decided, protocol = False, None
        while not decided:
            first += await stream.read_bytes(FIRST_BYTES_MAX - len(first), partial=True)
            decided, protocol = _find_claimant(self._entrance.protocols, first)
        if protocol is None:
            self._counters.unclaimed += 1
            log.debug(
                "%s: closed, no protocol begins with %s", self._peer, first[:_SHOWN_BYTES].hex(" ")
            )
        else:
            stream.push_back(first)
        return protocol

    async def _hand_over(self, protocol: StreamProtocol, stream: PushbackStream) -> None:
        self._claimed = True
        self._counters.claimed += 1
        self._on_claimed(self, stream)
        handled = False
        try:
            tls = isinstance(stream, PushbackSSLStream)
            result = protocol.handle(stream, self._peer, stream.local_address(), tls)
            if result is not None:
                await result
            handled = True
        except StreamClosedError:
            log.debug("%s: connection closed (%s)", self._peer, protocol.name)
        except Exception:
            log.exception("%s: stream protocol %s failed", self._peer, protocol.name)
        finally:
            if not handled:
                stream.close()


def _find_claimant(
    protocols: Sequence[StreamProtocol], first: bytes
) -> tuple[bool, StreamProtocol | None]:
    """Ask who claims a connection's first bytes.

    One that cannot tell yet keeps those behind it waiting: so the outcome does
    not depend on how the bytes were cut into segments.

    Returns:
        Whether that is decided, and the protocol, if any.
    """
    for protocol in protocols:
        try:
            verdict = protocol.claims(first)
        except Exception:
            log.exception("stream protocol %s cannot judge first bytes", protocol.name)
            verdict = False
        if verdict:
            return True, protocol
        if verdict is None and len(first) < FIRST_BYTES_MAX:
            return False, None
    return True, None
