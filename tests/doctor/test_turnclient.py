"""The TURN client: against the real server, and against what no server should say."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from tests.doctor.conftest import HOST, Answering, Serve
from tornado_webrtc.credential import mint
from tornado_webrtc.doctor.turnclient import (
    CHANNEL,
    MAX_KEPT,
    NoAnswerError,
    RefusedError,
    StreamWire,
    TurnClient,
    UdpWire,
    UnexpectedError,
    Wire,
    open_stream,
)
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.address import IPV6, TransportAddress
from tornado_webrtc.stun.attribute import (
    ERROR_CODE,
    NONCE,
    REALM,
    XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
    ErrorCode,
)
from tornado_webrtc.stun.message import Message, MessageClass, Method, decode, encode

USER = "doctor"
PEER = TransportAddress("127.0.0.1", 9)


class Relay:
    """The TURN ports of a server, and clients of it."""

    def __init__(self, server: Any) -> None:
        plugin = server.plugins._pluggy.get_plugin("turn")
        self.udp = TransportAddress(HOST, plugin._port)
        self.tcp = TransportAddress(HOST, plugin._port_tcp)
        self._credential = mint(server.secrets[0], USER, 600, server.clock.wall())
        self.clients: list[TurnClient] = []

    async def client(self, transport: str, password: str = "") -> TurnClient:
        wire: Wire = UdpWire(self.udp) if transport == "udp" else await open_stream(self.tcp)
        name = self._credential.username
        client = TurnClient(wire, name, password or self._credential.password)
        self.clients.append(client)
        return client


@pytest.fixture
async def relay(serve: Serve) -> AsyncIterator[Relay]:
    relay = Relay(await serve())
    yield relay
    for client in relay.clients:
        client.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_data_goes_through_two_relays_and_back(relay: Relay, transport: str) -> None:
    first, second = await relay.client(transport), await relay.client(transport)
    mapped = await first.mapped_address()
    assert (mapped.host, first.took_s > 0) == (HOST, True)
    here, there = await first.allocate(), await second.allocate()
    assert (first.relayed, here.host) == (here, HOST)
    await first.permit(there)
    await second.permit(here)
    first.send(there, b"by indication")
    assert await second.data() == (here, b"by indication")
    await first.bind(there)
    await second.bind(here)
    first.send_channel(b"odd")
    assert await second.data() == (CHANNEL, b"odd")
    second.send_channel(b"back")
    assert await first.data() == (CHANNEL, b"back")
    await first.release()
    await first.release()
    assert first.relayed is None
    assert (await first.allocate()).port


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_refusals_carry_their_code(relay: Relay, transport: str) -> None:
    stranger = await relay.client(transport, "wrong")
    with pytest.raises(RefusedError) as caught:
        await stranger.allocate()
    assert caught.value.code == 401
    client = await relay.client(transport)
    with pytest.raises(RefusedError, match="440"):
        await client.allocate(IPV6)
    await client.allocate()
    with pytest.raises(RefusedError, match="403"):
        await client.permit(TransportAddress("10.0.0.1", 9))


async def test_nobody_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        client = TurnClient(UdpWire(TransportAddress(*silent.getsockname())), patience_s=0.1)
        with pytest.raises(NoAnswerError, match=r"within 0\.1 s"):
            await client.mapped_address()
        silent.setblocking(False)
        assert decode(silent.recv(1000)).method == Method.BINDING
        server = TransportAddress(*silent.getsockname())
    client.close()
    client.close()
    client = TurnClient(UdpWire(server))
    with pytest.raises(ConnectionRefusedError):
        await client.mapped_address()
    client.close()
    with pytest.raises(OSError, match=r"."):
        await open_stream(server)


async def test_address_that_cannot_be_reached() -> None:
    with pytest.raises(OSError, match=r"."):
        UdpWire(TransportAddress("255.255.255.255", 9))


class Scripted:
    """A wire whose other end says what a test wants; None is silence."""

    reliable = False
    pads = False

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent: list[Message] = []

    def send(self, message: bytes) -> None:
        request = decode(message)
        self.sent.append(request)
        for answer in self._answers.pop(0) if self._answers else ():
            self._queue.put_nowait(answer(request) if callable(answer) else answer)

    async def receive(self) -> bytes:
        return await self._queue.get()

    def close(self) -> None:
        """Nothing is open."""


def answer(kind: MessageClass, attributes: Sequence[Any], **more: Any) -> Any:
    return lambda request: encode(request.method, kind, request.transaction_id, attributes, **more)


CHALLENGE = answer(MessageClass.ERROR, [(ERROR_CODE, ErrorCode(401)), (REALM, "r"), (NONCE, "n")])
MAPPED = answer(MessageClass.SUCCESS, [(XOR_MAPPED_ADDRESS, PEER)])


async def test_requests_are_sent_again_and_garbage_is_overheard() -> None:
    stray = encode(Method.BINDING, MessageClass.SUCCESS, bytes(12), [])
    wire = Scripted([], [b"\xff garbage", b"\0\1", b"", stray, MAPPED])
    assert await TurnClient(wire).mapped_address() == PEER
    assert len(wire.sent) == 2
    assert wire.sent[0].raw == wire.sent[1].raw


async def test_answers_to_others_are_overheard_until_time_is_up() -> None:
    def foreign(request: Message) -> bytes:
        mapped = [(XOR_MAPPED_ADDRESS, PEER)]
        return encode(Method.BINDING, MessageClass.SUCCESS, request.transaction_id[::-1], mapped)

    def other(method: Method, kind: MessageClass) -> Any:
        return lambda request: encode(method, kind, request.transaction_id, [])

    odd = [
        other(Method.ALLOCATE, MessageClass.SUCCESS),
        other(Method.BINDING, MessageClass.REQUEST),
        other(Method.BINDING, MessageClass.INDICATION),
    ]
    client = TurnClient(Scripted([foreign, *odd]), patience_s=0.1)
    with pytest.raises(NoAnswerError):
        await client.mapped_address()
    assert await TurnClient(Scripted([foreign, *odd, MAPPED])).mapped_address() == PEER


async def test_answer_from_elsewhere_is_none() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        server.bind((HOST, 0))
        client = TurnClient(UdpWire(TransportAddress(*server.getsockname())), patience_s=0.3)
        asking = asyncio.create_task(client.mapped_address())
        await asyncio.sleep(0)
        request, source = server.recvfrom(1000)
        stranger.sendto(MAPPED(decode(request)), source)
        with pytest.raises(NoAnswerError):
            await asking
        client.close()


async def test_flood_over_tcp_ends_the_exchange(answering: Answering) -> None:
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        frames = channeldata.encode(CHANNEL, bytes(1000), pad=True) * 64
        with suppress(OSError):
            while sent < 1 << 28:
                writer.write(frames)
                await writer.drain()
                sent += len(frames)
        writer.close()

    wire = await open_stream(TransportAddress(HOST, await answering(flood)))
    client = TurnClient(wire, patience_s=30)
    with pytest.raises(UnexpectedError, match="flood"):
        await client.mapped_address()
    client.close()
    assert sent < 1 << 26
    assert len(client._data) <= MAX_KEPT


async def test_flood_over_udp_is_not_kept() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        wire = UdpWire(TransportAddress(*server.getsockname()))
        client = wire._sock.getsockname()
        for number in range(3 * MAX_KEPT):
            server.sendto(str(number).encode(), client)
            wire._read()
        assert wire._received.qsize() == MAX_KEPT
        assert await wire.receive() == str(2 * MAX_KEPT).encode()
        wire.close()


async def test_answer_that_is_not_signed_is_not_believed() -> None:
    relayed = [(XOR_RELAYED_ADDRESS, PEER)]
    wire = Scripted([CHALLENGE], [answer(MessageClass.SUCCESS, relayed)])
    client = TurnClient(wire, "u", "p")
    with pytest.raises(UnexpectedError, match="not signed"):
        await client.allocate()
    wire = Scripted([CHALLENGE], [answer(MessageClass.SUCCESS, relayed, key=b"another")])
    with pytest.raises(UnexpectedError, match="not signed"):
        await TurnClient(wire, "u", "p").allocate()
    assert client.relayed is None


async def test_server_that_never_has_enough_is_asked_twice() -> None:
    wire = Scripted([CHALLENGE], [CHALLENGE])
    with pytest.raises(RefusedError, match="401"):
        await TurnClient(wire, "u", "p").allocate()
    assert len(wire.sent) == 2


@pytest.mark.parametrize(
    "attributes",
    [[], [(ERROR_CODE, ErrorCode(401))], [(ERROR_CODE, ErrorCode(500, "out of order"))]],
)
async def test_errors_of_other_kinds(attributes: list[Any]) -> None:
    wire = Scripted([answer(MessageClass.ERROR, attributes)])
    with pytest.raises((UnexpectedError, RefusedError)):
        await TurnClient(wire, "u", "p").allocate()


async def test_answers_that_lack_what_they_are_for() -> None:
    with pytest.raises(UnexpectedError, match="without XOR-MAPPED-ADDRESS"):
        await TurnClient(Scripted([answer(MessageClass.SUCCESS, [])])).mapped_address()

    def cut(request: Message) -> bytes:
        whole: bytes = MAPPED(request)
        return whole[:2] + b"\0\x08" + whole[4:20] + b"\0\x20\0\x04\0\x07\0\0"

    with pytest.raises(UnexpectedError, match="cannot be read"):
        await TurnClient(Scripted([cut])).mapped_address()


async def test_stream_that_ends_or_speaks_another_language(answering: Answering) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def chat(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        with suppress(OSError):
            await writer.drain()
        writer.close()

    for serve, error in ((hang_up, OSError), (chat, DecodeError)):
        wire: StreamWire = await open_stream(TransportAddress(HOST, await answering(serve)))
        client = TurnClient(wire)
        with pytest.raises(error):
            await client.mapped_address()
        client.close()
