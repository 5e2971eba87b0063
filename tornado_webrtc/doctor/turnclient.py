"""A TURN client, as small as an examination needs it: one allocation, nothing refreshed.

Requests are signed once the server has asked for it and, over UDP, sent again
until they are answered; data that comes in the meantime is kept.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from tornado_webrtc.errors import DecodeError, TornadoWebrtcError
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    ERROR_CODE,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Attribute,
)
from tornado_webrtc.stun.framing import Framer
from tornado_webrtc.stun.integrity import long_term_key, verify_integrity
from tornado_webrtc.stun.message import Message, MessageClass, Method, decode, encode, is_stun

__all__ = [
    "CHANNEL",
    "NoAnswerError",
    "RefusedError",
    "StreamWire",
    "TurnClient",
    "UdpWire",
    "UnexpectedError",
    "Wire",
    "open_stream",
]

CHANNEL = 0x4000
UDP = 17
UNAUTHENTICATED, STALE_NONCE = 401, 438
FIRST_WAIT_S = 0.5
"""Over UDP a request is sent again after this time, then after twice as long, and so on."""

MAX_DATAGRAM_BYTES = 65536
MAX_KEPT = 64
"""Messages that wait, and data that nobody has asked for: the oldest goes."""

MAX_UNASKED_BYTES = 1024 * 1024
FRAME_COST_BYTES = 64
"""Short messages cost something, too."""

AttributeValue = tuple[Attribute[Any], Any]


class NoAnswerError(TornadoWebrtcError):
    """The server did not answer in time."""


class UnexpectedError(TornadoWebrtcError):
    """The server answered what no TURN server would."""


class RefusedError(TornadoWebrtcError):
    """The server answered with an error.

    Attributes:
        code: As in ERROR-CODE (RFC 8489 section 14.8, RFC 8656 section 19).
        reason: The server's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"error {code} ({reason})" if reason else f"error {code}")
        self.code = code
        self.reason = reason


class Wire(Protocol):
    """Carries whole messages.

    Attributes:
        reliable: Whether nothing has to be sent twice.
        pads: Whether ChannelData is padded.
    """

    reliable: bool
    pads: bool

    def send(self, message: bytes) -> None:
        """Send a message."""

    async def receive(self) -> bytes:
        """Wait for the next message.

        Raises:
            OSError: The connection is over.
            DecodeError: What came is neither STUN nor ChannelData.
        """

    def close(self) -> None:
        """Be gone."""


class UdpWire:
    """A UDP socket that talks to one server.

    Raises:
        OSError: There is no way to that address.
    """

    reliable = False
    pads = False

    def __init__(self, server: TransportAddress) -> None:
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            self._sock.connect(tuple(server))
        except BaseException:
            self._sock.close()
            raise
        # A receive that is cancelled must not take a datagram with it.
        self._received: asyncio.Queue[bytes | OSError] = asyncio.Queue(MAX_KEPT)
        asyncio.get_running_loop().add_reader(self._sock, self._read)

    def send(self, message: bytes) -> None:
        """Send a message; whether that works shows when no answer comes."""
        with suppress(OSError):
            self._sock.send(message)

    async def receive(self) -> bytes:
        """Wait for the next message."""
        received = await self._received.get()
        if isinstance(received, OSError):
            raise received
        return received

    def close(self) -> None:
        """Be gone."""
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()

    def _read(self) -> None:
        received: bytes | OSError
        try:
            received = self._sock.recv(MAX_DATAGRAM_BYTES)
        except BlockingIOError:
            return
        except OSError as error:  # port unreachable
            received = error
        if self._received.full():
            self._received.get_nowait()
        self._received.put_nowait(received)


class StreamWire:
    """A TCP or TLS connection."""

    reliable = True
    pads = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = Framer()
        self._frames: deque[bytes] = deque()

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._writer.write(message)

    async def receive(self) -> bytes:
        """Wait for the next message."""
        while not self._frames:
            data = await self._reader.read(MAX_DATAGRAM_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._frames += self._framer.feed(data)
        return self._frames.popleft()

    def close(self) -> None:
        """Be gone."""
        self._writer.transport.abort()


async def open_stream(
    server: TransportAddress, tls: ssl.SSLContext | None = None, name: str = ""
) -> StreamWire:
    """Connect over TCP.

    Args:
        server: Where.
        tls: For TLS.
        name: The server's name, for TLS.

    Raises:
        OSError: That does not work; `ssl.SSLError` is one, too.
    """
    server_name = (name or server.host) if tls else None
    streams = await asyncio.open_connection(
        server.host, server.port, ssl=tls, server_hostname=server_name
    )
    return StreamWire(*streams)


class TurnClient:
    """One user on one five-tuple.

    Args:
        wire: How its messages get to the server.
        username: As in USERNAME.
        password: What it signs with.
        patience_s: How long an answer may take.

    Attributes:
        relayed: The relayed transport address, once there is an allocation.
        took_s: How long the last answer took.
    """

    def __init__(
        self, wire: Wire, username: str = "", password: str = "", *, patience_s: float = 2.0
    ) -> None:
        self.relayed: TransportAddress | None = None
        self.took_s = 0.0
        self._wire = wire
        self._username = username
        self._password = password
        self._patience_s = patience_s
        self._realm = ""
        self._nonce = ""
        self._data: deque[tuple[TransportAddress | int, bytes]] = deque(maxlen=MAX_KEPT)
        self._unasked_bytes = 0

    # --- requests -------------------------------------------------------------

    async def mapped_address(self) -> TransportAddress:
        """Ask by which address the server sees this client (RFC 8489, Binding).

        Raises:
            NoAnswerError: No answer came in time.
            RefusedError: The server answered with an error.
            UnexpectedError: It answered what no server would.
            OSError: The connection is over. All requests below raise these.
        """
        response = await self._exchange(Method.BINDING, ())
        return _wanted(response, XOR_MAPPED_ADDRESS)

    async def allocate(self, family: int | None = None) -> TransportAddress:
        """Have an allocation made, and learn its relayed transport address.

        Args:
            family: `IPV4` or `IPV6`; None leaves that to the server.
        """
        wanted = [(REQUESTED_ADDRESS_FAMILY, family)] if family is not None else []
        response = await self.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, UDP), *wanted)
        self.relayed = _wanted(response, XOR_RELAYED_ADDRESS)
        return self.relayed

    async def permit(self, peer: TransportAddress) -> None:
        """Have a permission made for a peer's address."""
        await self.request(Method.CREATE_PERMISSION, (XOR_PEER_ADDRESS, peer))

    async def bind(self, peer: TransportAddress, number: int = CHANNEL) -> None:
        """Have a channel bound to a peer."""
        attributes = ((CHANNEL_NUMBER, number), (XOR_PEER_ADDRESS, peer))
        await self.request(Method.CHANNEL_BIND, *attributes)

    async def release(self) -> None:
        """Give the allocation up."""
        if self.relayed is not None:
            self.relayed = None
            await self.request(Method.REFRESH, (LIFETIME, 0))

    async def request(self, method: Method, *attributes: AttributeValue) -> Message:
        """Make a request, once more after a challenge; answers have to be signed."""
        try:
            response = await self._exchange(method, attributes)
        except _ChallengedError as challenge:
            if challenge.code == UNAUTHENTICATED and self._nonce:
                raise RefusedError(challenge.code, challenge.reason) from None
            self._realm, self._nonce = challenge.realm, challenge.nonce
            response = await self._exchange(method, attributes)
        if not verify_integrity(response, self._key):
            raise UnexpectedError("an answer is not signed with the password")
        return response

    @property
    def _key(self) -> bytes:
        return long_term_key(self._username, self._realm, self._password)

    def _encode(self, method: Method, attributes: Sequence[AttributeValue], tid: bytes) -> bytes:
        if not self._nonce or method is Method.BINDING:
            return encode(method, MessageClass.REQUEST, tid, attributes)
        signed = [(USERNAME, self._username), (REALM, self._realm), (NONCE, self._nonce)]
        return encode(method, MessageClass.REQUEST, tid, [*attributes, *signed], key=self._key)

    async def _exchange(self, method: Method, attributes: Sequence[AttributeValue]) -> Message:
        """Send a request, over UDP again and again, until it is answered."""
        tid = secrets.token_bytes(12)
        request = self._encode(method, attributes, tid)
        wait_s = self._patience_s if self._wire.reliable else FIRST_WAIT_S
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    self._wire.send(request)
                    began = time.perf_counter()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            response = await self._response(method, tid)
                            self.took_s = time.perf_counter() - began
                            break
                    wait_s *= 2
        except TimeoutError:
            raise NoAnswerError(f"no answer within {self._patience_s:g} s") from None
        _raise_error(response)
        return response

    # --- data -----------------------------------------------------------------

    def send(self, peer: TransportAddress, data: bytes) -> None:
        """Send data to a peer in a Send indication."""
        attributes: list[AttributeValue] = [(XOR_PEER_ADDRESS, peer), (DATA, data)]
        tid = secrets.token_bytes(12)
        self._wire.send(encode(Method.SEND, MessageClass.INDICATION, tid, attributes))

    def send_channel(self, data: bytes, number: int = CHANNEL) -> None:
        """Send data through a channel."""
        self._wire.send(channeldata.encode(number, data, pad=self._wire.pads))

    async def data(self) -> tuple[TransportAddress | int, bytes]:
        """Wait for data: the peer's address, or the channel's number, and what it sent."""
        while not self._data:
            self._take(await self._wire.receive())
        return self._data.popleft()

    def close(self) -> None:
        """Be gone; an allocation over UDP stays until it expires."""
        self._wire.close()

    async def _response(self, method: Method, tid: bytes) -> Message:
        """Wait for the answer to a request; others, and other messages, are overheard."""
        while True:
            message = self._take(await self._wire.receive())
            if (
                message is not None
                and message.transaction_id == tid
                and message.method == method
                and message.message_class in {MessageClass.SUCCESS, MessageClass.ERROR}
            ):
                self._unasked_bytes = 0
                return message

    def _take(self, frame: bytes) -> Message | None:
        """Keep data for whoever asks for it; return what else comes, garbage left out.

        Raises:
            UnexpectedError: It is too much that nobody has asked for.
        """
        self._unasked_bytes += len(frame) + FRAME_COST_BYTES
        if self._unasked_bytes > MAX_UNASKED_BYTES:
            raise UnexpectedError("a flood of messages that nobody has asked for")
        with suppress(DecodeError):
            if not is_stun(frame):
                self._data.append(channeldata.decode(frame))
                return None
            message = decode(frame)
            if message.method != Method.DATA:
                return message
            peer, data = message.get(XOR_PEER_ADDRESS), message.get(DATA)
            if peer is not None and data is not None:
                self._data.append((peer, data))
        return None


class _ChallengedError(RefusedError):
    """The server asks for a credential, or for one with a new nonce (RFC 8489 section 9.2.4)."""

    def __init__(self, code: int, reason: str, realm: str, nonce: str) -> None:
        super().__init__(code, reason)
        self.realm = realm
        self.nonce = nonce


def _raise_error(response: Message) -> None:
    """Raise what an error response says."""
    if response.message_class is MessageClass.SUCCESS:
        return
    try:
        error = response.get(ERROR_CODE)
        realm, nonce = response.get(REALM), response.get(NONCE)
    except DecodeError as fault:
        raise UnexpectedError(f"an answer that cannot be read: {fault}") from fault
    if error is None:
        raise UnexpectedError("an error without a code")
    if error.code in {UNAUTHENTICATED, STALE_NONCE} and realm is not None and nonce:
        raise _ChallengedError(error.code, error.reason, realm, nonce)
    raise RefusedError(error.code, error.reason)


def _wanted(response: Message, attribute: Attribute[TransportAddress]) -> TransportAddress:
    try:
        value = response.get(attribute)
    except DecodeError as error:
        raise UnexpectedError(f"an answer that cannot be read: {error}") from error
    if value is None:
        raise UnexpectedError(f"an answer without {attribute}")
    return value
