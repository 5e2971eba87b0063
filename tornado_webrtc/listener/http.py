"""HTTP as one of the protocols that share a port.

`http_protocol` hands connections to a Tornado HTTP server, `refuse_plain_http`
tells a person who typed http:// for an https:// port what to do.
"""

from __future__ import annotations

import contextlib
import re
import socket

from tornado.httpserver import HTTPServer

from tornado_webrtc.listener.stream import PushbackStream, SocketAddress, StreamProtocol

__all__ = ["claims_http", "http_protocol", "refuse_plain_http"]

_METHOD_MAX = 24  # the longest registered method has 17 letters (RFC 9110 section 16.1)
_UPPER_CASE = re.compile(rb"[A-Z]*")
_HOST = re.compile(
    rb"\nhost:[ \t]*([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?[ \t]*\r?\n",
    re.IGNORECASE,
)
_HEADER_MAX_BYTES = 8192
_CHUNK_BYTES = 4096


def claims_http(first: bytes) -> bool | None:
    """Say whether a connection begins with an HTTP/1.x request method.

    A method is a word and a space (RFC 9112 section 3); those that exist are
    upper-case letters.
    """
    match = _UPPER_CASE.match(first)
    length = match.end() if match else 0
    if length > _METHOD_MAX:
        return False
    if length < len(first):
        return length > 0 and first[length : length + 1] == b" "
    return None


def http_protocol(server: HTTPServer) -> StreamProtocol:
    """Serve HTTP/1.x, and WebSockets, with a Tornado server that listens nowhere itself."""

    def handle(
        stream: PushbackStream, peer: SocketAddress, _local: SocketAddress, _tls: bool
    ) -> None:
        # As tornado.tcpserver does it for the streams that it makes itself.
        if server.max_buffer_size:
            stream.max_buffer_size = server.max_buffer_size
        if server.read_chunk_size:
            stream.read_chunk_size = min(server.read_chunk_size, stream.max_buffer_size // 2)
        server.handle_stream(stream, peer)

    return StreamProtocol("http", claims_http, handle)


async def refuse_plain_http(stream: PushbackStream) -> None:
    """Answer an unencrypted request on a TLS port with one clear sentence, and close.

    The caller sets the time limit.

    Args:
        stream: A connection that begins with an upper-case letter.
    """
    local = stream.local_address()
    head = b""
    with contextlib.suppress(OSError):  # StreamClosedError too
        while b"\n\r\n" not in head and len(head) < _HEADER_MAX_BYTES:
            head += await stream.read_bytes(_CHUNK_BYTES, partial=True)
        text = f"This port speaks HTTPS. Use https://{_asked_host(head) or local}/\n".encode()
        answer = (
            "HTTP/1.1 400 Bad Request\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(text)}\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n"
        )
        await stream.write(answer.encode() + text)
        # Closing with unread bytes would reset the connection, and the peer
        # could lose the answer: say that we are done, wait until it is too.
        if not stream.closed():
            stream.socket.shutdown(socket.SHUT_WR)
        while True:
            await stream.read_bytes(_CHUNK_BYTES, partial=True)
    stream.close()


def _asked_host(head: bytes) -> str | None:
    match = _HOST.search(head)
    if match is None:
        return None
    host, port = match.groups()
    return f"{host.decode()}:{int(port or 80)}"
