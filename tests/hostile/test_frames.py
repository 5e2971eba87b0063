"""Frames that break RFC 6455, or stretch it: the offender goes, nobody else notices.

Where the RFC wants close code 1002 or 1007 a bare end of the connection is also
accepted: that is what Tornado's frame code does.
"""

import asyncio
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile.bystander import undisturbed
from tests.hostile.conftest import OpenSite
from tests.hostile.shortlimits import short_limits
from tests.hostile.site import Site, running_site, until
from tests.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    ClosedError,
    WireClient,
    encode_frame,
)
from tornado_webrtc.listener.stream import LINGER_MAX_BYTES

CONTINUATION = 0x0
PROTOCOL_ERROR = {1002, None}
INVALID_TEXT = {1007, None}
HELLO = encode_frame(TEXT, b'{"type":"new","data":{"id":"mallory"}}')
NO_MASK = bytes(4)


async def closing(client: WireClient, frame: bytes) -> ClosedError:
    """Send something and read until the server closes; only pongs may come before."""
    sending = asyncio.create_task(client.send_raw(frame))
    closed = await client.read_until_closed()
    await asyncio.gather(sending, return_exceptions=True)
    return closed


def sized(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """The head of a frame that announces a length (RFC 6455 section 5.2), with a mask of 0."""
    return struct.pack("!BBQ", (0x80 if fin else 0) | opcode, 0xFF, length) + NO_MASK


RESERVED_OPCODES = [
    pytest.param(encode_frame(opcode, b"x"), PROTOCOL_ERROR, id=f"opcode {opcode:X}")
    for opcode in (*range(0x3, 0x8), *range(0xB, 0x10))
]
RESERVED_BITS = [
    pytest.param(encode_frame(bits | opcode, b"{}"), PROTOCOL_ERROR, id=f"{bits:02X} {opcode:X}")
    for bits in (0x40, 0x20, 0x10, 0x70)
    for opcode in (TEXT, PING)
]
CONTROL = [
    pytest.param(encode_frame(opcode, b"x" * 126), PROTOCOL_ERROR, id=f"big {name}")
    for opcode, name in ((CLOSE, "close"), (PING, "ping"), (PONG, "pong"))
] + [
    pytest.param(encode_frame(opcode, b"", fin=False), PROTOCOL_ERROR, id=f"fragmented {name}")
    for opcode, name in ((CLOSE, "close"), (PING, "ping"), (PONG, "pong"))
]
LENGTHS = [
    pytest.param(sized(TEXT, 1 << 63), {1009}, id="2^63"),
    pytest.param(sized(TEXT, (1 << 64) - 1), {1009}, id="2^64 - 1"),
    pytest.param(sized(TEXT, (1 << 63) - 1), {1009}, id="2^63 - 1"),
    pytest.param(sized(TEXT, 1 << 32), {1009}, id="2^32"),
    pytest.param(sized(TEXT, 65537), {1009}, id="one too many"),
    pytest.param(
        encode_frame(TEXT, b"x", fin=False) + sized(CONTINUATION, 1 << 63), {1009}, id="later"
    ),
    pytest.param(sized(PING, 1 << 63), PROTOCOL_ERROR, id="ping of 2^63"),
    pytest.param(sized(0x3, 1 << 63), {1009, *PROTOCOL_ERROR}, id="unknown of 2^63"),
]
TEXTS = [
    pytest.param(encode_frame(TEXT, text), INVALID_TEXT, id=name)
    for name, text in (
        ("no start", b'"\xff\xfe"'),
        ("overlong slash", b'"\xc0\xaf"'),
        ("surrogate", b'"\xed\xa0\x80"'),
        ("beyond Unicode", b'"\xf4\x90\x80\x80"'),
        ("cut off", b'"\xf0\x9f\x98"'),
    )
] + [
    pytest.param(
        encode_frame(TEXT, b'"\xff', fin=False) + encode_frame(CONTINUATION, b'"'),
        INVALID_TEXT,
        id="in the first fragment",
    ),
    pytest.param(encode_frame(CLOSE, b"\x03\xe8\xff"), INVALID_TEXT, id="in the close reason"),
]
SEQUENCES = [
    pytest.param(encode_frame(CONTINUATION, b"x"), PROTOCOL_ERROR, id="nothing to continue"),
    pytest.param(
        encode_frame(TEXT, b"{", fin=False) + encode_frame(TEXT, b"}"),
        PROTOCOL_ERROR,
        id="text in a message",
    ),
    pytest.param(encode_frame(BINARY, b"{}"), {1003}, id="binary"),
    pytest.param(encode_frame(BINARY, b""), {1003}, id="empty binary"),
    pytest.param(
        encode_frame(BINARY, b"{", fin=False) + encode_frame(CONTINUATION, b"}"),
        {1003},
        id="binary in fragments",
    ),
]
FAULTS = RESERVED_OPCODES + RESERVED_BITS + CONTROL + LENGTHS + TEXTS + SEQUENCES


@pytest.mark.parametrize(("frame", "codes"), FAULTS)
async def test_fault_closes_and_what_follows_is_not_read(
    site: Site, frame: bytes, codes: set[int | None]
) -> None:
    async with undisturbed(site) as people, await site.connect() as mallory:
        closed = await closing(mallory, frame + HELLO)
        assert closed.code in codes
        if closed.code == 1003:
            assert closed.reason == "text frames only"
        async with await site.connect() as onlooker:
            ids = {peer["id"] for peer in await onlooker.register("onlooker")}
            assert ids == {"onlooker", *(person.id for person in people)}


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8bye"], ids=["", "code", "reason"])
async def test_close_is_answered_once(site: Site, payload: bytes) -> None:
    async with undisturbed(site), await site.connect() as mallory:
        await mallory.send_raw(encode_frame(CLOSE, payload) * 2 + HELLO)
        assert await mallory.read_frame() == (CLOSE, payload[:2])
        with pytest.raises(ClosedError):
            await mallory.read_frame()


@pytest.mark.xfail(
    strict=True, reason="Tornado takes unmasked frames, which RFC 6455 section 5.1 forbids"
)
async def test_unmasked_frame_closes(site: Site) -> None:
    async with await site.connect() as mallory:
        await mallory.send_raw(encode_frame(TEXT, b'{"type":"keepalive"}', masked=False))
        with pytest.raises(ClosedError) as closed:
            await mallory.read()
        assert closed.value.code in PROTOCOL_ERROR


async def test_unmasked_frames_harm_nobody(site: Site) -> None:
    async with undisturbed(site), await site.connect() as mallory:
        frame = b'{"type":"keepalive","data":{}}'
        await mallory.send_raw(
            encode_frame(TEXT, frame, masked=False)
            + encode_frame(PING, b"x" * 125, masked=False)
            + encode_frame(TEXT, frame)
        )
        received = [await mallory.read_frame() for _ in range(3)]
        assert sorted(received) == [(TEXT, frame), (TEXT, frame), (PONG, b"x" * 125)]


# --- too big ------------------------------------------------------------------

MEGABYTE = 1 << 20

PATIENT = '''
"""Throws away what comes after a close frame for as long as a busy machine needs to send it."""
from tornado_webrtc import hookimpl
from tornado_webrtc.listener import stream

@hookimpl
def start():
    stream.LINGER_S = 30.0
'''
UNHURRIED: dict[str, Any] = {"hello_timeout_s": 0, "ping_s": 0}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def patient_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Serve those who send more than they may, and take their time over it."""
    folder = tmp_path_factory.mktemp("patient") / "site"
    event_loop = "asyncio" if request.param else "auto"
    options = {"plugin": PATIENT, "event_loop": event_loop, **UNHURRIED}
    with running_site(folder, tls=request.param, **options) as running:
        yield running


def fragmented(size: int, total: int = MEGABYTE, *, between: bytes = b"") -> bytes:
    """A text message in fragments, all with a mask of 0, and something between any two."""
    head = struct.pack("!BB", 0, 0x80 | size) if size < 126 else struct.pack("!BBQ", 0, 0xFF, size)
    fragment = head + NO_MASK + b"x" * size
    first = bytes([TEXT]) + fragment[1:]
    return first + between + (fragment + between) * (total // size - 1)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(sized(TEXT, MEGABYTE) + b"x" * MEGABYTE, id="whole"),
        pytest.param(fragmented(1, 1 << 17), id="fragments of 1 byte"),
        pytest.param(fragmented(1 << 16), id="fragments of 64 kB"),
        pytest.param(fragmented(100, between=encode_frame(PING, b"?") * 3), id="pings between"),
        pytest.param(fragmented(1 << 14, between=encode_frame(PONG, b"") * 99), id="pongs between"),
    ],
)
async def test_megabyte(patient_site: Site, message: bytes) -> None:
    # A client that pours out more than the server throws away after its close
    # frame is cut off, and may lose the code.
    assert len(message) < LINGER_MAX_BYTES
    async with undisturbed(patient_site), await patient_site.connect() as mallory:
        closed = await closing(mallory, message)
        assert (closed.code, closed.reason) == (1009, "message too big")


async def test_endless_empty_fragments_are_no_message_and_no_burden(open_site: OpenSite) -> None:
    site = open_site(**UNHURRIED)
    async with undisturbed(site), await site.connect() as mallory:
        await mallory.send_raw(encode_frame(TEXT, b"", fin=False))
        before = site.memory_bytes()
        await mallory.send_raw(encode_frame(CONTINUATION, b"", fin=False) * 200_000)
        await mallory.send_raw(encode_frame(PING, b"all read?"))
        while (frame := await mallory.read_frame()) == (TEXT, b"{}"):
            pass
        assert frame == (PONG, b"all read?")
        assert site.memory_bytes() - before < 4 * MEGABYTE
        await mallory.send_raw(encode_frame(CONTINUATION, b"{}"))
        assert await mallory.settled() == []


# --- silence ------------------------------------------------------------------

SILENCE_S = 8.0
"""Time enough to begin everything before the first of it ends."""


async def until_ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends a connection, one way or the other."""
    try:
        return await asyncio.wait_for(reader.read(), 45.0)
    except ConnectionResetError:
        return b""


HALF_REQUESTS = (b"", b"G", b"GET /w", b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: webso")
HALF_HANDSHAKES = (
    b"",
    b"\x16",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(16),
    b"GET / HT",
)
HALF_FRAMES = (b"", b"\x81", encode_frame(TEXT, b'{"type":"new"}')[:7], sized(TEXT, 65536))
NO_HELLO = encode_frame(CLOSE, struct.pack("!H", 4408) + b"no `new` in time", masked=False)


async def fall_silent(site: Site) -> None:
    """Begin all kinds of things, say no more, and see how each of them ends."""
    async with undisturbed(site):
        files = site.open_files()
        streams = [await site.open_stream(tls=site.tls) for _ in HALF_REQUESTS]
        for (_, writer), data in zip(streams, HALF_REQUESTS, strict=True):
            writer.write(data)
        if site.tls:
            for data in HALF_HANDSHAKES:
                streams.append(await site.open_stream())
                streams[-1][1].write(data)
        clients = [await site.connect() for _ in HALF_FRAMES]
        for client, data in zip(clients, HALF_FRAMES, strict=True):
            client.writer.write(data)
        assert site.open_files() == files + len(streams) + len(clients)
        ends = await asyncio.gather(*(until_ended(reader) for reader, _ in streams))
        assert ends == [b""] * len(streams)
        for client in clients:
            # None of them answers pings, either.
            end = await until_ended(client.reader)
            assert end.replace(b"\x81\x02{}", b"").replace(b"\x89\x00", b"") in {b"", NO_HELLO}
        for writer in [writer for _, writer in streams] + [client.writer for client in clients]:
            writer.close()
        await until(lambda: site.open_files() == files, "the server's files are closed again")
    await site.until_tables(connections=0, living_Connection=0)


async def test_half_of_something_then_silence(open_site: OpenSite) -> None:
    """All kinds at once: they take as long as the longest time limit."""
    limits = {"plugin": short_limits(SILENCE_S), "hello_timeout_s": SILENCE_S, "ping_s": 4}
    await asyncio.gather(
        fall_silent(open_site(**limits, tls=True, event_loop="uvloop")),
        fall_silent(open_site(**limits, event_loop="uvloop")),
        fall_silent(open_site(**limits, event_loop="asyncio")),
    )
