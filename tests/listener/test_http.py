"""HTTP's claim on first bytes, and the answer to plain HTTP on a TLS port."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpserver import HTTPServer
from tornado.web import Application

from tests.listener.wire import connected, make_store, serving
from tornado_webrtc.listener import Listener, SocketAddress, http_protocol
from tornado_webrtc.listener.http import claims_http
from tornado_webrtc.listener.stream import FIRST_BYTES_MAX


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"OPTIONS *", b"A ", b"PROPFIND "])
def test_methods_are_claimed(first: bytes) -> None:
    assert claims_http(first) is True


@pytest.mark.parametrize("first", [b"G", b"GET", b"UPDATEREDIRECTREF"])
def test_half_a_method_is_undecided(first: bytes) -> None:
    assert claims_http(first) is None


@pytest.mark.parametrize(
    "first",
    [b"\x00\x01", b"\x16\x03", b" GET", b"get /", b"GET\t/", b"GET\r\n", b"G\x00", b"A" * 25],
)
def test_other_bytes_are_not_claimed(first: bytes) -> None:
    assert claims_http(first) is False


@given(st.binary(min_size=1, max_size=FIRST_BYTES_MAX) | st.from_regex(rb"[A-Z]{1,30}[ -Z]{0,9}"))
def test_more_bytes_never_change_a_decision(first: bytes) -> None:
    decisions = [claims_http(first[:length]) for length in range(1, len(first) + 1)]
    decided = [decision for decision in decisions if decision is not None]
    assert len(set(decided)) <= 1
    assert decisions == [None] * (len(decisions) - len(decided)) + decided


async def test_limits_of_the_server_hold_for_its_streams() -> None:
    server = HTTPServer(Application(), max_buffer_size=4096, chunk_size=1024)
    listener = Listener()
    (bound,) = listener.listen(["127.0.0.1"], 0, [http_protocol(server)], None)
    async with connected(bound) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        assert (await client.read_to_end()).startswith(b"HTTP/1.1 400")  # Content-Length too long
    await listener.close()
    await server.close_all_connections()


ANSWERS = [
    (b"GET / HTTP/1.1\r\nHost: demo.example:8086\r\n\r\n", "https://demo.example:8086/"),
    (b"GET /ws HTTP/1.1\r\naccept: */*\r\nhost: [::1]:443 \r\n\r\n", "https://[::1]:443/"),
    (b"POST / HTTP/1.1\r\nHost: demo.example\r\n\r\nbody", "https://demo.example:80/"),
    (b"GET / HTTP/1.0\r\n\r\n", "https://{local}/"),
    (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", "https://{local}/"),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "https://{local}/"),
    (b"GET /" + b"x" * 20000, "https://{local}/"),
]


@pytest.mark.parametrize("dribble", [False, True])
@pytest.mark.parametrize(("request_bytes", "url"), ANSWERS)
async def test_plain_http_on_a_tls_port_is_told_where_to_go(
    tmp_path: Path, request_bytes: bytes, url: str, dribble: bool
) -> None:
    listener = Listener()
    async with serving(listener, make_store(tmp_path)) as bound:
        async with connected(bound, dribble=dribble and len(request_bytes) < 1000) as client:
            await client.send(request_bytes)
            answer = await client.read_to_end()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        expected = url.format(local=bound)
        assert body.decode() == f"This port speaks HTTPS. Use {expected}\n"
        assert listener.counters.failed_handshakes == 1


async def test_plain_http_that_never_ends_is_closed_in_time(tmp_path: Path) -> None:
    listener = Listener(handshake_timeout_s=0.05)
    async with (
        serving(listener, make_store(tmp_path)) as bound,
        connected(SocketAddress(*bound)) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost:")
        assert await client.read_to_end() == b""
        assert listener.counters.timed_out == 1
