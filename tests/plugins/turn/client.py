"""A TURN client made of bytes: it sends what a test says, and nothing by itself.

Requests are signed and, over UDP, sent again until they are answered; data that
comes in the meantime is kept. Nothing is refreshed, nothing is retried that was refused.
"""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    ERROR_CODE,
    ICMP,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Attribute,
)
from tornado_webrtc.stun.framing import Framer
from tornado_webrtc.stun.integrity import long_term_key, verify_integrity
from tornado_webrtc.stun.message import Message, MessageClass, Method, decode, encode, is_stun
from tornado_webrtc.stun.value import Icmp

DEADLINE_S = 20.0
RETRANSMIT_S = 0.5
CHANNEL = 0x4000
UDP_TRANSPORT = (REQUESTED_TRANSPORT, 17)
BINDING = encode(Method.BINDING, MessageClass.REQUEST, bytes(12))

AttributeValue = tuple[Attribute[Any], Any]


def code(response: Message) -> int:
    """Return the error code of a response, 0 for success."""
    if response.message_class is MessageClass.SUCCESS:
        return 0
    error = response.get(ERROR_CODE)
    assert error is not None
    return error.code


class Wire(Protocol):
    """Carries whole messages, one way or the other.

    Attributes:
        retransmit_s: After what time without an answer a request is sent again.
        pads: Whether ChannelData is padded.
        address: This end.
    """

    retransmit_s: float
    pads: bool
    address: TransportAddress

    def send(self, message: bytes) -> None:
        """Send a message."""

    async def receive(self) -> bytes:
        """Wait for the next message."""

    def close(self) -> None:
        """Be gone."""


class UdpWire:
    """A UDP socket that talks to one server."""

    retransmit_s = RETRANSMIT_S
    pads = False

    def __init__(self, host: str, server: TransportAddress) -> None:
        self._server = server
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind((host, 0))
        self.address = TransportAddress(*self._sock.getsockname()[:2])
        # A receive that is cancelled must not take a datagram with it.
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self._sock, self._read)

    def send(self, message: bytes) -> None:
        self._sock.sendto(message, self._server)

    async def receive(self) -> bytes:
        return await self._received.get()

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()

    def _read(self) -> None:
        with suppress(BlockingIOError):
            self._received.put_nowait(self._sock.recv(65536))


class TcpWire:
    """A TCP connection; `received` and `ended` say what came that was no message."""

    retransmit_s = DEADLINE_S
    pads = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._framer = Framer()
        self._frames: deque[bytes] = deque()
        self.address = TransportAddress(*writer.get_extra_info("sockname")[:2])

    def send(self, message: bytes) -> None:
        self.writer.write(message)

    async def receive(self) -> bytes:
        while not self._frames:
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._frames += self._framer.feed(data)
        return self._frames.popleft()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Be gone without a farewell: RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


async def ended(wire: TcpWire) -> bytes:
    """All that still comes until the server closes."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            return await wire.reader.read(-1)
        except ConnectionResetError:
            return b""


class TurnClient:
    """One user on one five-tuple.

    Args:
        wire: How its messages get to the server.
        username: As in USERNAME.
        password: What it signs with, right or wrong.

    Attributes:
        relayed: The relayed transport address, once there is an allocation.
        unreachable: What it was told of datagrams that did not reach a peer.
    """

    def __init__(self, wire: Wire, username: str, password: str) -> None:
        self.wire = wire
        self.username = username
        self.password = password
        self.realm = ""
        self.nonce = ""
        self.relayed = TransportAddress("0.0.0.0", 0)
        self.unreachable: list[tuple[TransportAddress, Icmp]] = []
        self._data: deque[tuple[TransportAddress | int, bytes]] = deque()

    @property
    def key(self) -> bytes:
        """What it signs with."""
        return long_term_key(self.username, self.realm, self.password)

    # --- requests -----------------------------------------------------------

    def encode(self, method: int, attributes: Sequence[AttributeValue], tid: bytes = b"") -> bytes:
        """Make a request, signed as soon as realm and nonce are known."""
        tid = tid or secrets.token_bytes(12)
        if not self.nonce:
            return encode(method, MessageClass.REQUEST, tid, attributes)
        signed = [(USERNAME, self.username), (REALM, self.realm), (NONCE, self.nonce)]
        return encode(method, MessageClass.REQUEST, tid, [*attributes, *signed], key=self.key)

    async def ask(self, request: bytes) -> Message:
        """Send a request until it is answered."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self.wire.send(request)
                try:
                    async with asyncio.timeout(self.wire.retransmit_s):
                        return await self._response(request[8:20])
                except TimeoutError:
                    continue

    async def request(self, method: int, *attributes: AttributeValue) -> Message:
        """Make a request; with realm and nonce of the first challenge, or of a stale nonce."""
        response = await self.ask(self.encode(method, attributes))
        if code(response) == 438 or (code(response) == 401 and not self.nonce):
            self.realm, self.nonce = response.get(REALM) or "", response.get(NONCE) or ""
            response = await self.ask(self.encode(method, attributes))
        if code(response) == 0 and method != Method.BINDING:
            assert verify_integrity(response, self.key)
        return response

    async def try_to_allocate(self, *attributes: AttributeValue) -> int:
        """Ask for an allocation; returns the error code, 0 for success."""
        response = await self.request(Method.ALLOCATE, UDP_TRANSPORT, *attributes)
        if code(response) == 0:
            relayed = response.get(XOR_RELAYED_ADDRESS)
            assert relayed is not None
            self.relayed = relayed
        return code(response)

    async def allocate(self, *attributes: AttributeValue) -> TransportAddress:
        """Have an allocation made; returns its relayed transport address."""
        assert await self.try_to_allocate(*attributes) == 0
        return self.relayed

    async def refresh(self, lifetime_s: int) -> int:
        """Refresh the allocation, or end it; returns the error code."""
        return code(await self.request(Method.REFRESH, (LIFETIME, lifetime_s)))

    async def permit(self, *peers: TransportAddress) -> int:
        """Ask for permissions; returns the error code."""
        attributes = [(XOR_PEER_ADDRESS, peer) for peer in peers]
        return code(await self.request(Method.CREATE_PERMISSION, *attributes))

    async def bind(self, peer: TransportAddress, number: int = CHANNEL) -> int:
        """Ask for a channel; returns the error code."""
        attributes = ((CHANNEL_NUMBER, number), (XOR_PEER_ADDRESS, peer))
        return code(await self.request(Method.CHANNEL_BIND, *attributes))

    # --- data ---------------------------------------------------------------

    def indicate(self, peer: TransportAddress, data: bytes) -> None:
        """Send a Send indication."""
        attributes: list[AttributeValue] = [(XOR_PEER_ADDRESS, peer), (DATA, data)]
        tid = secrets.token_bytes(12)
        self.wire.send(encode(Method.SEND, MessageClass.INDICATION, tid, attributes))

    def send_channel(self, data: bytes, number: int = CHANNEL) -> None:
        """Send ChannelData."""
        self.wire.send(channeldata.encode(number, data, pad=self.wire.pads))

    async def data(self) -> tuple[TransportAddress | int, bytes]:
        """Wait for data: the peer's address, or the channel's number, and what it sent."""
        async with asyncio.timeout(DEADLINE_S):
            while not self._data:
                self._take(await self.wire.receive())
        return self._data.popleft()

    async def echoed(self, peer: TransportAddress, data: bytes) -> None:
        """Send a peer that echoes data, again and again until it comes back."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self.indicate(peer, data)
                try:
                    async with asyncio.timeout(self.wire.retransmit_s):
                        while (await self.data()) != (peer, data):
                            continue
                        return
                except TimeoutError:
                    continue

    async def _response(self, transaction_id: bytes) -> Message:
        while True:
            frame = await self.wire.receive()
            if not self._take(frame):
                message = decode(frame)
                if message.transaction_id == transaction_id:
                    return message

    def _take(self, frame: bytes) -> bool:
        """Keep data for whoever asks for it; False if it is something else."""
        if not is_stun(frame):
            self._data.append(channeldata.decode(frame))
            return True
        message = decode(frame)
        if message.method != Method.DATA:
            return False
        peer, data = message.get(XOR_PEER_ADDRESS), message.get(DATA)
        assert peer is not None
        if (error := message.get(ICMP)) is not None:
            self.unreachable.append((peer, error))
        else:
            assert data is not None
            self._data.append((peer, data))
        return True
