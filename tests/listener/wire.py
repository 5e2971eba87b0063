"""Both ends of a connection: a client that controls every byte, and tiny servers."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_webrtc.certificate import CertificateStore, write_certificate
from tornado_webrtc.listener import (
    Listener,
    PushbackStream,
    SocketAddress,
    StreamProtocol,
    http_protocol,
)

DEADLINE_S = 10.0

GET = b"GET /where HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
WEBSOCKET_ACCEPT = b"Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
MASKED_HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # RFC 6455 section 5.7
HELLO = b"\x81\x05\x48\x65\x6c\x6c\x6f"
TRANSACTION_ID = b"0123456789ab"
BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + TRANSACTION_ID  # RFC 8489 section 5
BINDING_SUCCESS = b"\x01\x01\x00\x00\x21\x12\xa4\x42" + TRANSACTION_ID


class Where(RequestHandler):
    """Answers how the server sees the request."""

    def get(self) -> None:
        self.write(f"[{self.request.protocol} {self.request.remote_ip}]")


class Echo(WebSocketHandler):
    """Sends every frame back."""

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes)).cancelled()


def http_server() -> HTTPServer:
    return HTTPServer(Application([("/where", Where), ("/ws", Echo)]))


def claims_stun(first: bytes) -> bool | None:
    return first[0] < 4  # RFC 7983 section 7: 0 to 3 is STUN


async def answer_binding(
    stream: PushbackStream, peer: SocketAddress, local: SocketAddress, tls: bool
) -> None:
    """Answer one request with its own transaction id, then close."""
    header = await stream.read_bytes(20)
    await stream.read_bytes(struct.unpack_from(">H", header, 2)[0])
    await stream.write(b"\x01\x01\x00\x00" + header[4:20])
    stream.close()


STUN = StreamProtocol("stun", claims_stun, answer_binding)


def make_store(
    folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1")
) -> CertificateStore:
    cert, key = folder / "cert.pem", folder / "key.pem"
    write_certificate(cert, key, names, overwrite=True)
    return CertificateStore(cert, key)


@asynccontextmanager
async def serving(
    listener: Listener,
    store: CertificateStore | None = None,
    *,
    address: str = "127.0.0.1",
    protocols: tuple[StreamProtocol, ...] = (STUN,),
) -> AsyncIterator[SocketAddress]:
    """HTTP and other protocols on one free port, until the end of the block."""
    server = http_server()
    (bound,) = listener.listen([address], 0, [*protocols, http_protocol(server)], store)
    try:
        yield bound
    finally:
        await listener.close()
        await server.close_all_connections()
        assert listener.open_connections == 0


class Client:
    """A connection whose segments are exactly what the test says, with or without TLS.

    Args:
        reader, writer: The TCP connection.
        dribble: Send each byte in a segment of its own.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, dribble: bool = False
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.dribble = dribble
        self.received = b""
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def send_raw(self, data: bytes) -> None:
        for piece in [bytes([byte]) for byte in data] if self.dribble else [data]:
            self.writer.write(piece)
            await self.writer.drain()
            if self.dribble:
                await asyncio.sleep(0)  # the server runs in this loop too

    async def start_tls(self, store: CertificateStore, *, and_send: bytes = b"") -> None:
        """Shake hands; `and_send` goes out in the same segment as the last flight."""
        context = ssl.create_default_context(cafile=store.cert)
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.send_raw(self._outgoing.read())
                await self._more()
            else:
                break
        if and_send:
            self.tls.write(and_send)
        await self.send_raw(self._outgoing.read())

    async def send(self, data: bytes) -> None:
        if self.tls is None:
            await self.send_raw(data)
            return
        for piece in [bytes([byte]) for byte in data] if self.dribble else [data]:
            self.tls.write(piece)
        await self.send_raw(self._outgoing.read())

    async def read_until(self, mark: bytes) -> bytes:
        """Return everything up to and including the mark."""
        while mark not in self.received:
            data = await self._read()
            assert data, f"closed before {mark!r}, after {self.received!r}"
            self.received += data
        before, _, self.received = self.received.partition(mark)
        return before + mark

    async def read_to_end(self) -> bytes:
        """Return everything until the server closes the connection."""
        data = self.received
        try:
            while piece := await self._read():
                data += piece
        except ConnectionResetError:
            pass  # closed with our bytes unread
        return data

    async def _read(self) -> bytes:
        if self.tls is None:
            return await asyncio.wait_for(self.reader.read(65536), DEADLINE_S)
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._more()
            except ssl.SSLEOFError:
                return b""

    async def _more(self) -> None:
        if data := await asyncio.wait_for(self.reader.read(65536), DEADLINE_S):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def serial_number(self) -> int:
        """Return the serial number of the server's certificate."""
        assert self.tls is not None
        certificate = self.tls.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)


@asynccontextmanager
async def connected(
    address: SocketAddress, store: CertificateStore | None = None, *, dribble: bool = False
) -> AsyncIterator[Client]:
    """A client, with its handshake done if there is a certificate."""
    reader, writer = await asyncio.open_connection(*address)
    client = Client(reader, writer, dribble=dribble)
    try:
        if store is not None:
            await client.start_tls(store)
        yield client
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, and fail if it does not come true in time."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what others do sets no event
            await asyncio.sleep(0.005)


Talk = Callable[[Client], Awaitable[None]]
