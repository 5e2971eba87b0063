"""A connection gets to the protocol that claims it, or is closed in time and counted."""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ExpectLog
from tests.listener.test_binding import needs_ipv6
from tests.listener.wire import (
    BINDING_REQUEST,
    BINDING_SUCCESS,
    GET,
    HELLO,
    MASKED_HELLO,
    STUN,
    UPGRADE,
    WEBSOCKET_ACCEPT,
    Client,
    Talk,
    connected,
    make_store,
    serving,
    until,
)
from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.listener import Listener, PushbackStream, SocketAddress, StreamProtocol


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CertificateStore | None:
    return make_store(tmp_path) if request.param else None


def scheme(client: Client) -> bytes:
    return b"https" if client.tls else b"http"


async def talk_http(client: Client) -> None:
    await client.send(GET)
    assert (await client.read_until(b"]")).endswith(b"[" + scheme(client) + b" 127.0.0.1]")
    await client.send(GET)  # the connection is kept alive
    await client.read_until(b"]")


async def talk_pipelined_http(client: Client) -> None:
    await client.send(GET + GET)
    assert (await client.read_until(b"]")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert (await client.read_until(b"]")).startswith(b"HTTP/1.1 200 OK\r\n")


async def talk_websocket(client: Client) -> None:
    await client.send(UPGRADE)
    answer = await client.read_until(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert WEBSOCKET_ACCEPT in answer
    await client.send(MASKED_HELLO)
    assert await client.read_until(HELLO) == HELLO


async def talk_pipelined_websocket(client: Client) -> None:
    await client.send(UPGRADE + MASKED_HELLO)
    await client.read_until(b"\r\n\r\n")
    assert await client.read_until(HELLO) == HELLO


async def talk_stun(client: Client) -> None:
    await client.send(BINDING_REQUEST)
    assert await client.read_to_end() == BINDING_SUCCESS


TALKS = [talk_http, talk_pipelined_http, talk_websocket, talk_pipelined_websocket, talk_stun]


@pytest.mark.parametrize("dribble", [False, True], ids=["one-segment", "byte-by-byte"])
@pytest.mark.parametrize("talk", TALKS)
async def test_protocols_share_a_port(
    store: CertificateStore | None, talk: Talk, dribble: bool
) -> None:
    listener = Listener()
    async with serving(listener, store) as bound, connected(bound, store, dribble=dribble) as peer:
        await talk(peer)
    assert listener.counters.claimed == 1


@pytest.mark.parametrize("talk", TALKS)
async def test_all_protocols_at_once(store: CertificateStore | None, talk: Talk) -> None:
    listener = Listener()

    async def visit(talk: Talk) -> None:
        async with connected(bound, store) as client:
            await talk(client)

    async with serving(listener, store) as bound, connected(bound, store) as first:
        await asyncio.gather(*map(visit, TALKS))
        await talk(first)
    assert listener.counters.claimed == len(TALKS) + 1


async def test_request_in_the_same_segment_as_the_end_of_the_handshake(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    async with serving(Listener(), store) as bound, connected(bound) as client:
        await client.start_tls(store, and_send=BINDING_REQUEST)
        assert await client.read_to_end() == BINDING_SUCCESS


@needs_ipv6
async def test_ipv6(store: CertificateStore | None) -> None:
    async with (
        serving(Listener(), store, address="::1") as bound,
        connected(bound, store) as client,
    ):
        await client.send(GET)
        assert (await client.read_until(b"]")).endswith(b" ::1]")


async def test_handler_is_told_both_addresses_and_tls(store: CertificateStore | None) -> None:
    seen: list[tuple[SocketAddress, SocketAddress, bool]] = []
    options: list[int] = []

    def note(stream: PushbackStream, peer: SocketAddress, local: SocketAddress, tls: bool) -> None:
        options.append(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        options.append(stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        seen.append((peer, local, tls))
        stream.close()

    protocol = StreamProtocol("note", lambda first: True, note)
    async with (
        serving(Listener(), store, protocols=(protocol,)) as bound,
        connected(bound, store) as client,
    ):
        await client.send(b"x")
        await client.read_to_end()
        ours = SocketAddress(*client.writer.get_extra_info("sockname")[:2])
    assert seen == [(ours, bound, store is not None)]
    assert all(options)


@pytest.mark.parametrize("data", [b"\xff\xfe\xfd", b"SSH-2.0-OpenSSH_9.9\r\n", b"get / HTTP/1.1"])
async def test_bytes_that_nobody_claims(store: CertificateStore | None, data: bytes) -> None:
    listener = Listener()
    async with serving(listener, store) as bound, connected(bound, store) as client:
        await client.send(data)
        assert await client.read_to_end() == b""
        assert listener.counters.unclaimed == 1
        assert listener.counters.claimed == 0


@pytest.mark.parametrize("data", [b"", b"GE"])
async def test_silence_is_closed_at_the_time_out(
    store: CertificateStore | None, data: bytes
) -> None:
    listener = Listener(first_byte_timeout_s=0.05)
    async with serving(listener, store) as bound, connected(bound, store) as client:
        await client.send(data)
        assert await client.read_to_end() == b""
        assert listener.counters.timed_out == 1


async def test_a_claimed_connection_may_be_silent(store: CertificateStore | None) -> None:
    listener = Listener(first_byte_timeout_s=0.5, handshake_timeout_s=15)
    async with serving(listener, store) as bound, connected(bound, store) as client:
        await client.send(b"GET ")
        await until(lambda: listener.counters.claimed == 1)
        await asyncio.sleep(0.6)  # longer than the time-out
        await client.send(GET.removeprefix(b"GET "))
        await client.read_until(b"]")


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_tls_handshake_that_never_completes(tmp_path: Path, data: bytes) -> None:
    listener = Listener(handshake_timeout_s=0.05)
    async with serving(listener, make_store(tmp_path)) as bound, connected(bound) as client:
        await client.send(data)
        assert await client.read_to_end() == b""
        assert listener.counters.timed_out == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 20,
        BINDING_REQUEST,
        b"\x16" * 300,
        b"\x16\x03\x01\x00\x05hello",
        b"\x80\x2e\x01\x00\x02",  # an SSL 2 ClientHello
        b"\x16\x03\x01\xff\xff" + b"\x01" * 70000,
    ],
)
async def test_garbage_on_a_tls_port(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tornado_webrtc.listener")
    listener = Listener()
    async with serving(listener, make_store(tmp_path)) as bound, connected(bound) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(data)
        await client.read_to_end()
        assert listener.counters.failed_handshakes == 1
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


async def test_a_client_that_distrusts_the_certificate(tmp_path: Path) -> None:
    listener = Listener()
    (tmp_path / "other").mkdir()
    other = make_store(tmp_path / "other")
    async with serving(listener, make_store(tmp_path)) as bound:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            async with connected(bound, other):
                pass
        await until(lambda: listener.open_connections == 0)
    assert listener.counters.claimed == 0


async def test_peer_that_leaves_before_the_first_byte(store: CertificateStore | None) -> None:
    listener = Listener()
    async with serving(listener, store) as bound:
        async with connected(bound):
            pass
        await until(lambda: listener.counters.lost == 1)


async def test_first_in_order_wins_however_the_bytes_are_cut() -> None:
    won: list[str] = []

    def protocol(name: str, needs: int) -> StreamProtocol:
        def claims(first: bytes) -> bool | None:
            return True if len(first) >= needs else None

        def handle(stream: PushbackStream, *_: object) -> None:
            won.append(name)
            stream.close()

        return StreamProtocol(name, claims, handle)

    protocols = (protocol("slow", 10), protocol("fast", 1))
    async with serving(Listener(), protocols=protocols) as bound:
        for dribble in (False, True):
            async with connected(bound, dribble=dribble) as client:
                await client.send(b"0123456789")
                await client.read_to_end()
    assert won == ["slow", "slow"]


async def test_a_claim_sees_at_most_64_bytes_and_must_decide_then() -> None:
    shown: list[int] = []

    def undecided(first: bytes) -> bool | None:
        shown.append(len(first))
        return None

    never = StreamProtocol("never", undecided, lambda *_: None)
    async with serving(Listener(), protocols=(never, STUN)) as bound, connected(bound) as client:
        await client.send(b"\x00\x01\x00\x64" + BINDING_REQUEST[4:] + bytes(100))
        assert await client.read_to_end() == BINDING_SUCCESS
    assert shown == [64]


async def test_a_claim_that_raises_claims_nothing(expect_log: ExpectLog) -> None:
    expect_log("stream protocol broken cannot judge first bytes")

    def broken(first: bytes) -> bool | None:
        raise ValueError(first)

    protocols = (StreamProtocol("broken", broken, lambda *_: None), STUN)
    async with serving(Listener(), protocols=protocols) as bound, connected(bound) as client:
        await talk_stun(client)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_handler_that_raises_ends_its_connection_only(
    expect_log: ExpectLog, asynchronous: bool
) -> None:
    expect_log("stream protocol broken failed")

    def broken(*_: object) -> None:
        raise ValueError

    async def broken_later(*_: object) -> None:
        await asyncio.sleep(0)
        raise ValueError

    handle = broken_later if asynchronous else broken
    protocol = StreamProtocol("broken", lambda first: first == b"x", handle)
    async with (
        serving(Listener(), protocols=(protocol, STUN)) as bound,
        connected(bound) as other,
        connected(bound) as client,
    ):
        await client.send(b"x")
        assert await client.read_to_end() == b""
        await talk_stun(other)


async def test_a_handler_whose_peer_leaves_is_no_error() -> None:
    listener = Listener()
    async with serving(listener) as bound:
        async with connected(bound) as client:
            await client.send(BINDING_REQUEST[:10])
            await until(lambda: listener.counters.claimed == 1)
        await until(lambda: listener.open_connections == 0)


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_garbage_on_a_port_harms_nobody_who_comes_after(event_loop: str) -> None:
    code = f"""
import asyncio
from tests.listener.wire import GET, serving
from tornado_webrtc.listener import Listener
from tornado_webrtc.process import loop_factory

async def main() -> None:
    async with serving(Listener(), protocols=()) as bound:
        for first in [b"\\x99garbage"] * 20 + [GET] * 20:
            reader, writer = await asyncio.open_connection(*bound)
            writer.write(first)
            answer = await asyncio.wait_for(reader.read(12), 10)
            assert answer == (b"HTTP/1.1 200" if first == GET else b""), answer
            writer.close()

with asyncio.Runner(loop_factory=loop_factory({event_loop!r})) as runner:
    runner.run(main())
"""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=50)
