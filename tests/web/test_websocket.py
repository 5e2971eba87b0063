"""The WebSocket itself over real sockets: upgrades, frames, refusals that the client can read."""

import asyncio

import pytest

from tests.web.conftest import Serve
from tests.wire import (
    BINARY,
    DART_UPGRADE,
    PING,
    TEXT,
    WireClient,
    call,
    encode_frame,
    until,
    upgrade_request,
)
from tornado_webrtc.web.websocket import SocketTransport


async def test_query_that_is_no_utf8_is_taken_as_it_can_be_read(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port, path="/ws?room=%ff&room=2") as client:
        assert await client.settled() == []


async def test_native_client_registers_calls_and_hangs_up(serve: Serve) -> None:
    server = await serve(tls=True)
    async with (
        await WireClient.connect(server.port, tls=True, request=DART_UPGRADE) as ann,
        await WireClient.connect(server.port, tls=True, request=DART_UPGRADE) as ben,
    ):
        assert ann.head.startswith(b"HTTP/1.1 101 ")
        await ann.register("111111")
        await ben.register("222222")
        session_id = await call(ann, ben)
        await ben.send("bye", {"session_id": session_id, "from": "222222"})
        assert await ann.read_type("bye") == {"session_id": session_id, "to": "111111"}
        assert await ben.read_type("bye") == {"session_id": session_id, "to": "222222"}


async def test_upgrade_selects_no_extension_and_no_foreign_subprotocol(serve: Serve) -> None:
    server = await serve()
    headers = {
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        "Sec-WebSocket-Protocol": "chat, superchat",
    }
    async with await WireClient.connect(server.port, headers=headers) as client:
        assert b"sec-websocket-extensions" not in client.head.lower()
        assert b"sec-websocket-protocol" not in client.head.lower()


async def test_token_subprotocol_selects_ours_and_echoes_no_token(serve: Serve) -> None:
    server = await serve()
    headers = {"Sec-WebSocket-Protocol": "tornado-webrtc, bearer.s3cr3t"}
    async with await WireClient.connect(server.port, headers=headers) as client:
        assert b"sec-websocket-protocol: tornado-webrtc\r\n" in client.head.lower()
        assert b"s3cr3t" not in client.head


async def test_fragmented_message_is_put_together(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.send_raw(encode_frame(TEXT, b'{"type":"keep', fin=False))
        await client.send_raw(encode_frame(PING, b"between"))
        await client.send_raw(encode_frame(0x0, b'alive","data":{"n":1}}'))
        assert await client.read() == {"type": "keepalive", "data": {"n": 1}}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(encode_frame(BINARY, b'{"type":"keepalive"}'), 1003, id="binary"),
        pytest.param(encode_frame(TEXT, b"x" * 70_000), 1009, id="too big"),
        pytest.param(encode_frame(TEXT, b'"\xff\xfe"'), None, id="invalid UTF-8"),
        pytest.param(b"\xf1\x80" + bytes(4), None, id="reserved bits"),
        pytest.param(encode_frame(0x3, b""), None, id="unknown opcode"),
        pytest.param(encode_frame(PING, b"x", fin=False), None, id="fragmented ping"),
        pytest.param(encode_frame(0x0, b"x"), None, id="continuation of nothing"),
    ],
)
async def test_framing_faults_close_the_offender_only(
    serve: Serve, frame: bytes, code: int | None
) -> None:
    server = await serve()
    async with (
        await WireClient.connect(server.port) as offender,
        await WireClient.connect(server.port) as bystander,
    ):
        await bystander.register("bystander")
        await offender.send_raw(frame)
        assert (await offender.read_until_closed()).code == code
        assert await bystander.settled() == []


async def test_several_fragments_too_big_together(serve: Serve) -> None:
    server = await serve(signaling={"max_message_bytes": 1000})
    async with await WireClient.connect(server.port) as client:
        await client.send_raw(encode_frame(TEXT, b"x" * 600, fin=False))
        await client.send_raw(encode_frame(0x0, b"x" * 600))
        assert (await client.read_until_closed()).code == 1009


async def test_message_of_the_largest_size_is_taken(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        frame = '{"type":"keepalive","data":{"x":"' + "y" * (65536 - 36) + '"}}'
        assert len(frame) == 65536
        await client.send_text(frame)
        assert await client.read_text() == frame


async def test_closing_handshake_is_answered(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.send_raw(encode_frame(0x8, b"\x03\xe8"))
        assert (await client.read_until_closed()).code == 1000


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", b"400", id="no upgrade"),
        pytest.param(upgrade_request(headers={"Sec-WebSocket-Version": "8"}), b"426", id="old"),
        pytest.param(upgrade_request(headers={"Sec-WebSocket-Key": ""}), b"400", id="no key"),
    ],
)
async def test_what_is_no_upgrade_gets_http(
    serve: Serve, request_bytes: bytes, status: bytes
) -> None:
    server = await serve()
    async with await WireClient.connect(server.port, request=request_bytes) as client:
        assert client.head.split(b" ")[1] == status


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://app.example.org", None),
        ("https://deep.sub.example.net", None),
        ("http://localhost", None),
        ("https://evil.example", 4403),
        ("https://example.net", 4403),
        ("null", 4403),
        ("http://[", 4403),
    ],
)
async def test_origin(serve: Serve, origin: str, code: int | None) -> None:
    allowed = ("https://app.example.org", "https://*.example.net")
    server = await serve(signaling={"allowed_origins": allowed})
    async with await WireClient.connect(server.port, headers={"Origin": origin}) as client:
        assert client.head.startswith(b"HTTP/1.1 101 ")
        if code is None:
            assert await client.settled() == []
        else:
            assert (await client.read_until_closed()).code == code


@pytest.mark.parametrize(
    ("domain", "host", "code"),
    [
        ("call.intern.example", "evil.example:8086", 4403),
        ("call.intern.example", "call.intern.example:8086", None),
        ("call.intern.example", "127.0.0.1:8086", None),
        ("", "evil.example:8086", None),
    ],
)
async def test_page_under_a_strangers_name_is_not_the_servers_own(
    serve: Serve, domain: str, host: str, code: int | None
) -> None:
    """DNS rebinding: his name stands for this server's address, in the visitor's network."""
    server = await serve(
        general={"domain": domain}, signaling={"allowed_origins": ("https://app.example.org",)}
    )
    headers = {"Host": host, "Origin": f"http://{host}"}
    async with await WireClient.connect(server.port, headers=headers) as client:
        if code is None:
            assert await client.settled() == []
        else:
            assert (await client.read_until_closed()).code == code


async def test_client_without_origin_is_no_browser(serve: Serve) -> None:
    server = await serve(signaling={"allowed_origins": ("https://app.example.org",)})
    async with await WireClient.connect(server.port, request=DART_UPGRADE) as client:
        assert await client.settled() == []


async def test_full_server_says_so(serve: Serve) -> None:
    server = await serve(signaling={"max_connections": 1})
    async with (
        await WireClient.connect(server.port),
        await WireClient.connect(server.port) as second,
    ):
        closed = await second.read_until_closed()
        assert (closed.code, "full" in closed.reason) == (1013, True)


async def test_one_address_gets_no_more_than_its_share(serve: Serve) -> None:
    server = await serve(signaling={"max_connections_per_ip": 2})
    async with (
        await WireClient.connect(server.port),
        await WireClient.connect(server.port) as second,
    ):
        async with await WireClient.connect(server.port) as third:
            assert (await third.read_until_closed()).code == 4429
        await second.send_raw(encode_frame(0x8, b""))
        await second.read_until_closed()
        await until(lambda: len(server.hub) == 1)
        async with await WireClient.connect(server.port) as fourth:
            assert await fourth.settled() == []


async def test_server_that_stops_says_goodbye(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port) as client:
        await client.register("a")
        stop = asyncio.ensure_future(server.stop())
        assert (await client.read_until_closed()).code == 1001
        await stop


# --- what an upgrade may say --------------------------------------------------------------------


def query(arguments: int, size: int = 0) -> str:
    """So many arguments, of so many bytes together; as few as can be by default."""
    text = "&".join("a=" + chr(ord("a") + number % 26) for number in range(arguments))
    return text + "x" * (size - len(text))


@pytest.mark.parametrize(
    ("path", "headers", "reason"),
    [
        (f"/ws?{query(32)}", 0, ""),
        (f"/ws?{query(33)}", 0, "there are 33 arguments in the URL, at most 32 may be"),
        (f"/ws?{'a&' * 33}", 0, "there are 33 arguments in the URL, at most 32 may be"),
        (f"/ws?{query(2, 2048)}", 0, ""),
        (
            f"/ws?{query(2, 2049)}",
            0,
            "there are 2049 bytes after the URL's `?`, at most 2048 may be",
        ),
        ("/ws", 95, ""),
        ("/ws", 96, "there are 101 headers, at most 100 may be"),
    ],
)
async def test_upgrade_that_says_too_much_is_closed_with_a_reason(
    serve: Serve, path: str, headers: int, reason: str
) -> None:
    server = await serve()
    more = {f"X-{number}": "y" for number in range(headers)}
    async with await WireClient.connect(server.port, path=path, headers=more) as client:
        assert client.head.startswith(b"HTTP/1.1 101 ")
        if not reason:
            await client.register("ann")
            return
        closed = await client.read_until_closed()
        assert (closed.code, closed.reason) == (4403, reason)
        assert server.hub.counters["refused.request"] == 1
        assert len(server.hub) == 0


async def test_arguments_are_kept_once(serve: Serve) -> None:
    server = await serve()
    async with await WireClient.connect(server.port, path="/ws?room=red&a=1&a=2") as client:
        await client.register("ann")
        (connection,) = server.hub._connections.values()
        assert connection.handshake.query == {"room": "red", "a": "2"}
        transport = connection._transport
        assert isinstance(transport, SocketTransport)
        request = transport._handler.request
        assert request.arguments == request.query_arguments == request.body_arguments == {}
