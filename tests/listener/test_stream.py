"""Bytes that are put back are read again, in order, before all others."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.iostream import SSLIOStream, StreamClosedError

from tests.listener.wire import make_store, until
from tornado_webrtc.listener import PushbackSSLStream, PushbackStream, SocketAddress
from tornado_webrtc.listener.stream import accept_tls, peek_first_byte


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


Pair = tuple[socket.socket, socket.socket]


async def test_bytes_put_back_are_read_first(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    pair[1].sendall(b"abcdef")
    first = await stream.read_bytes(3)
    stream.push_back(first)
    assert await stream.read_bytes(6) == b"abcdef"
    stream.close()


async def test_order_with_bytes_in_the_stream_put_back_and_in_the_socket(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    pair[1].sendall(b"1234567890")
    assert await stream.read_bytes(4) == b"1234"  # 567890 are in the stream's buffer
    stream.push_back(b"34")
    stream.push_back(b"12")
    pair[1].sendall(b"!")
    assert await stream.read_until(b"!") == b"1234567890!"
    stream.close()


@pytest.mark.parametrize("size", [1, 2, 5, 64])
async def test_reads_of_every_size_get_what_was_put_back(pair: Pair, size: int) -> None:
    stream = PushbackStream(pair[0], read_chunk_size=size)
    stream.push_back(b"ab")
    pair[1].sendall(b"cde")
    pair[1].shutdown(socket.SHUT_WR)
    assert await stream.read_until_close() == b"abcde"


async def test_read_into_gets_what_was_put_back(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    stream.push_back(b"ab")
    pair[1].sendall(b"cd")
    buffer = bytearray(4)
    assert await stream.read_into(buffer) == 4
    assert buffer == b"abcd"
    stream.close()


async def test_bytes_put_back_outlive_the_end_of_the_connection(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    pair[1].sendall(b"ab")
    stream.push_back(await stream.read_bytes(2))
    pair[1].close()
    assert await stream.read_bytes(2) == b"ab"
    with pytest.raises(StreamClosedError):
        await stream.read_bytes(1)


async def test_a_close_callback_does_not_swallow_what_was_put_back(pair: Pair) -> None:
    closed = asyncio.Event()
    stream = PushbackStream(pair[0])
    stream.push_back(b"ab")
    stream.set_close_callback(closed.set)
    pair[1].sendall(b"cd")
    await asyncio.sleep(0.01)  # lets the loop see that the socket is readable
    assert await stream.read_bytes(4) == b"abcd"
    pair[1].close()
    await asyncio.wait_for(closed.wait(), 5)


async def test_push_back_during_a_read_is_refused(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    reading = stream.read_bytes(1)
    with pytest.raises(RuntimeError, match="while a read waits"):
        stream.push_back(b"a")
    pair[1].sendall(b"b")
    assert await reading == b"b"
    stream.close()


async def test_release_is_told_once_and_leaves_the_close_callback_alone(pair: Pair) -> None:
    released: list[PushbackStream] = []
    closed: list[str] = []
    stream = PushbackStream(pair[0], on_release=released.append)
    stream.set_close_callback(lambda: closed.append("closed"))
    stream.close()
    stream.close()
    await until(lambda: bool(closed))
    assert released == []
    pair[1].close()
    await until(lambda: bool(released))
    stream.release()
    assert released == [stream]
    assert closed == ["closed"]


async def test_a_peer_that_is_still_sending_gets_the_last_words(pair: Pair) -> None:
    stream = PushbackStream(pair[0])
    pair[1].setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += pair[1].send(bytes(4096))
    await stream.write(b"too much")
    stream.close()
    assert pair[1].recv(100) == b"too much"
    await until(lambda: pair[1].recv(100) == b"")
    assert sent > 4096
    stream.release()


async def test_a_peer_that_never_ends_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.listener.stream.LINGER_S", 0.05)
    released: list[PushbackStream] = []
    PushbackStream(pair[0], on_release=released.append).close()
    await until(lambda: bool(released))


async def test_a_peer_that_goes_on_and_on_is_cut_off(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.listener.stream.LINGER_MAX_BYTES", 100_000)
    released: list[PushbackStream] = []
    PushbackStream(pair[0], on_release=released.append).close()
    pair[1].setblocking(False)

    def flood() -> bool:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            pair[1].send(bytes(10_000))
        return bool(released)

    await until(flood)


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ECONNRESET])
async def test_a_lost_peer_is_no_warning(pair: Pair, code: int) -> None:
    class Lost(PushbackStream):
        def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
            raise OSError(code, "gone")

    stream = Lost(pair[0])
    with pytest.raises(StreamClosedError):
        await stream.read_bytes(1)
    assert isinstance(stream.error, OSError)


async def test_peek_leaves_the_byte_where_it_is(pair: Pair) -> None:
    peeking = asyncio.create_task(peek_first_byte(pair[0]))
    await asyncio.sleep(0)
    assert not peeking.done()
    pair[1].sendall(b"xyz")
    assert await peeking == b"x"
    assert pair[0].recv(10) == b"xyz"


async def test_peek_says_nothing_at_the_end(pair: Pair) -> None:
    pair[1].close()
    assert await peek_first_byte(pair[0]) == b""


async def test_a_cancelled_peek_leaves_no_reader_behind(pair: Pair) -> None:
    peeking = asyncio.create_task(peek_first_byte(pair[0]))
    await asyncio.sleep(0)
    peeking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await peeking
    assert not asyncio.get_running_loop().remove_reader(pair[0])


async def test_tls_stream_is_a_tornado_tls_stream_that_takes_bytes_back(
    pair: Pair, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    client = ssl.create_default_context(cafile=store.cert)

    def talk() -> bytes:
        with client.wrap_socket(pair[1], server_hostname="localhost") as secured:
            secured.sendall(b"a" * 100)
            return secured.recv(10)

    talking = asyncio.create_task(asyncio.to_thread(talk))
    secured = await accept_tls(pair[0], store.context)
    stream = PushbackSSLStream(secured, ssl_options=store.context)
    assert isinstance(stream, SSLIOStream)
    assert stream.wait_for_handshake().done()
    first = await stream.read_bytes(64, partial=True)
    stream.push_back(first)
    assert await stream.read_bytes(100) == b"a" * 100
    await stream.write(b"done")
    assert await talking == b"done"
    stream.close()


async def test_handshake_that_does_not_fit_the_send_buffer(pair: Pair, tmp_path: Path) -> None:
    store = make_store(
        tmp_path, ("localhost", *(f"host{number}.example" for number in range(2000)))
    )
    client = ssl.create_default_context(cafile=store.cert)
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    def talk() -> bytes:
        with client.wrap_socket(pair[1], server_hostname="localhost") as secured:
            return secured.recv(10)

    talking = asyncio.create_task(asyncio.to_thread(talk))
    secured = await accept_tls(pair[0], store.context)
    secured.send(b"done")
    assert await talking == b"done"
    secured.close()


async def test_broken_tls_record_closes_without_a_warning(pair: Pair, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    client = ssl.create_default_context(cafile=store.cert)

    def talk() -> None:
        raw = pair[1].dup()
        with client.wrap_socket(pair[1], server_hostname="localhost"), raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))

    talking = asyncio.create_task(asyncio.to_thread(talk))
    stream = PushbackSSLStream(await accept_tls(pair[0], store.context), ssl_options=store.context)
    with pytest.raises(StreamClosedError):
        await stream.read_bytes(1)
    assert isinstance(stream.error, ssl.SSLError)
    await talking


async def test_failed_handshake_closes_the_socket(pair: Pair, tmp_path: Path) -> None:
    pair[1].sendall(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises(ssl.SSLError):
        await accept_tls(pair[0], make_store(tmp_path).context)
    pair[1].settimeout(5)
    while pair[1].recv(100):  # an alert, then the end
        pass


def test_addresses_are_written_as_in_urls() -> None:
    assert str(SocketAddress("127.0.0.1", 80)) == "127.0.0.1:80"
    assert str(SocketAddress("::1", 80)) == "[::1]:80"
