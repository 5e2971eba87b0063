"""A WebSocket client that can be as right or as wrong as a test wants it to be.

Frames are built and read by hand (RFC 6455 section 5), over a plain or TLS
socket, so that a test sees what a client sees on the wire and may send what no
library would.
"""

import asyncio
import functools
import json
import os
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
DEADLINE_S = 15.0

# What the native Dart client of the flutter-webrtc demo sends: lower-case names, a
# key of 12 lower-cased characters (8 bytes in base64), content-length, no Origin.
DART_UPGRADE = (
    b"GET /ws HTTP/1.1\r\n"
    b"user-agent: Dart/3.5 (dart:io)\r\n"
    b"connection: Upgrade\r\n"
    b"cache-control: no-cache\r\n"
    b"accept-encoding: gzip\r\n"
    b"content-length: 0\r\n"
    b"sec-websocket-version: 13\r\n"
    b"sec-websocket-key: qjaovfzeqzo=\r\n"
    b"upgrade: websocket\r\n"
    b"host: 127.0.0.1:8086\r\n"
    b"\r\n"
)


@functools.cache
def trusting_context() -> ssl.SSLContext:
    """TLS with whoever is there; making it takes longer than a handshake."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ClosedError(Exception):
    """The server ended the connection.

    Attributes:
        code: The close code it sent, or None if the socket just ended.
        reason: The text beside it.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


def encode_frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """Encode a client's frame (RFC 6455 section 5.2)."""
    head = bytes([(0x80 if fin else 0) | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked_int = int.from_bytes(payload) ^ int.from_bytes(repeated)
    return head + mask + masked_int.to_bytes(len(payload))


def upgrade_request(path: str = "/ws", headers: Mapping[str, str] | None = None) -> bytes:
    """An upgrade as a browser would send it."""
    lines = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


class WireClient:
    """One connection to a signaling server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.id = ""

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        tls: bool = False,
        request: bytes | None = None,
        path: str = "/ws",
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> Self:
        """Connect, send an upgrade, and read the head of the answer."""
        context = trusting_context() if tls else None
        client = cls(*await asyncio.open_connection(host, port, ssl=context))
        client.writer.write(request if request is not None else upgrade_request(path, headers))
        client.head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.drop()

    async def drop(self) -> None:
        """End the socket without a closing handshake."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_text(self, text: str) -> None:
        """Send a text frame."""
        await self.send_raw(encode_frame(TEXT, text.encode()))

    async def send(self, message_type: str, data: Any = None) -> None:
        """Send a message."""
        await self.send_text(json.dumps({"type": message_type, "data": data}))

    async def read_frame(self) -> tuple[int, bytes]:
        """Read one frame, whatever it is.

        Raises:
            ClosedError: The socket ended.
        """
        try:
            first, length = await asyncio.wait_for(self.reader.readexactly(2), DEADLINE_S)
            assert not length & 0x80, "a server must not mask its frames"
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await asyncio.wait_for(self.reader.readexactly(length), DEADLINE_S)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise ClosedError(None) from error
        return first & 0x0F, payload

    async def read_text(self) -> str:
        """Read the next text frame; pings are answered on the way.

        Raises:
            ClosedError: The server closed the connection.
        """
        while True:
            opcode, payload = await self.read_frame()
            if opcode == TEXT:
                return payload.decode()
            if opcode == PING:
                self.writer.write(encode_frame(PONG, payload))
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                self.writer.write(encode_frame(CLOSE, payload[:2]))
                raise ClosedError(code, payload[2:].decode())
            else:
                assert opcode == PONG, f"the server sent opcode {opcode}"

    async def read(self) -> dict[str, Any]:
        """Read the next message; heartbeats are skipped."""
        while (text := await self.read_text()) == "{}":
            pass
        message = json.loads(text)
        assert isinstance(message, dict), "every server frame is one JSON object"
        return message

    async def read_type(self, *types: str) -> Any:
        """Read up to the next message of one of these types, and return its data.

        Fails if an `error` comes that was not asked for.
        """
        while True:
            message = await self.read()
            if message["type"] in types:
                return message["data"]
            assert message["type"] != "error", f"unexpected {message}"

    async def read_until_closed(self) -> ClosedError:
        """Read whatever comes until the server closes."""
        while True:
            try:
                await self.read_text()
            except ClosedError as closed:
                return closed

    async def read_unanswered(self) -> ClosedError:
        """Read frames and answer none, not even pings, until the socket ends."""
        while True:
            try:
                await self.read_frame()
            except ClosedError as closed:
                return closed

    async def register(self, peer_id: str, **fields: Any) -> list[dict[str, str]]:
        """Sign in and return the list of peers."""
        self.id = peer_id
        entry = {"id": peer_id, "name": f"peer {peer_id}", "user_agent": "wire/1.0", **fields}
        await self.send("new", entry)
        peers = await self.read_type("peers")
        assert isinstance(peers, list)
        return peers

    async def settled(self) -> list[dict[str, Any]]:
        """All messages that are on their way, by sending a `keepalive` behind them."""
        mark = os.urandom(4).hex()
        await self.send("keepalive", {"mark": mark})
        messages: list[dict[str, Any]] = []
        while True:
            message = await self.read()
            if message == {"type": "keepalive", "data": {"mark": mark}}:
                return messages
            messages.append(message)


def error(request: str, reason: str, code: str) -> dict[str, Any]:
    """The message that refuses another one."""
    return {"type": "error", "data": {"request": request, "reason": reason, "code": code}}


@asynccontextmanager
async def signed_in(port: int, *ids: str) -> AsyncIterator[list[WireClient]]:
    """Clients who signed in with these ids, each of whom has read the list with all of them."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await WireClient.connect(port)) for _ in ids]
        for client, peer_id in zip(clients, ids, strict=True):
            await client.register(peer_id)
        for client in clients[:-1]:
            while not {*ids} <= {peer["id"] for peer in await client.read_type("peers")}:
                pass
        yield clients


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that cannot be awaited is true.

    Raises:
        TimeoutError: It does not become true.
    """
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def call(caller: WireClient, callee: WireClient) -> str:
    """Let two registered clients set up a call, as the legacy client does; returns its id."""
    session_id = f"{caller.id}-{callee.id}"
    offer = {
        "to": callee.id,
        "from": caller.id,
        "description": {"sdp": "v=0\r\n", "type": "offer"},
        "session_id": session_id,
        "media": "video",
    }
    await caller.send("offer", offer)
    assert await callee.read_type("offer") == offer
    answer = {
        "to": caller.id,
        "from": callee.id,
        "description": {"sdp": "v=0\r\n", "type": "answer"},
        "session_id": session_id,
    }
    await callee.send("answer", answer)
    assert await caller.read_type("answer") == answer
    for sender, receiver in ((caller, callee), (callee, caller)):
        candidate = {
            "to": receiver.id,
            "from": sender.id,
            "candidate": {"sdpMLineIndex": 0, "sdpMid": "0", "candidate": "candidate:1"},
            "session_id": session_id,
        }
        await sender.send("candidate", candidate)
        assert await receiver.read_type("candidate") == candidate
    return session_id
