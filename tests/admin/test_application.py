"""The life of the operator's socket, and of the HTTP server behind it."""

import asyncio
import errno
import logging
import stat
from unittest.mock import Mock

import pytest

from tests.admin.conftest import Operate, operate
from tests.conftest import ExpectLog
from tests.web.conftest import Serve, serve
from tests.wire import WireClient
from tornado_webrtc.errors import ListenError
from tornado_webrtc.web import httpserver

__all__ = ["operate", "serve"]


async def test_it_is_there_while_the_server_runs(operate: Operate) -> None:
    operated = await operate()
    mode = operated.path.lstat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert (await operated.ask("GET", "/status"))[0] == 200
    await operated.server.stop()
    assert not operated.path.exists()


async def test_none_if_none_is_wanted(serve: Serve) -> None:
    server = await serve()
    assert server.config.admin_socket is None
    assert list(server.config.general.state_dir.glob("*.sock")) == []


async def test_a_second_server_there_does_not_start(operate: Operate) -> None:
    first = await operate()
    with pytest.raises(ListenError, match=r"another server listens on .*; stop it, or give this"):
        await operate()
    assert (await first.ask("GET", "/status"))[0] == 200
    async with await WireClient.connect(first.server.port) as ann:
        await ann.register("1")


async def test_connections_end_with_the_server(operate: Operate) -> None:
    operated = await operate()
    reader, writer = await asyncio.open_unix_connection(str(operated.path))
    writer.write(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await operated.server.stop()
    assert await asyncio.wait_for(reader.read(), 15) is not None
    writer.close()


@pytest.mark.parametrize("stopped", [False, True])
async def test_accepting_pauses_when_no_file_can_be_opened(
    operate: Operate, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    expect_log("operators cannot be answered: Too many open files; trying again every 0.05 s")
    monkeypatch.setattr(httpserver, "PAUSE_S", 0.05)
    operated = await operate()
    admin = operated.server._admin
    assert admin is not None
    listening = Mock(accept=Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
    admin._gate._accept(listening, 0)
    if stopped:
        await operated.server.stop()
        assert not operated.path.exists()
    else:
        assert (await operated.ask("GET", "/status"))[0] == 200


async def test_several_requests_on_one_connection(operate: Operate) -> None:
    operated = await operate()
    reader, writer = await asyncio.open_unix_connection(str(operated.path))
    for _ in range(3):
        writer.write(b"GET /bans HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(len(b'{"bans": []}')) == b'{"bans": []}'
    writer.close()


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9\r\n\r\n", b"\0" * 4096, b"GET /" + b"a" * 20_000],
)
async def test_what_is_no_http_harms_nobody(operate: Operate, nonsense: bytes) -> None:
    operated = await operate()
    reader, writer = await asyncio.open_unix_connection(str(operated.path))
    writer.write(nonsense)
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 15)
    writer.close()
    assert (await operated.ask("GET", "/status"))[0] == 200


async def test_looking_is_logged_for_who_wants_to_know(
    operate: Operate, caplog: pytest.LogCaptureFixture
) -> None:
    operated = await operate()
    caplog.set_level(logging.INFO)
    await operated.ask("GET", "/status")
    assert caplog.messages == []
    caplog.set_level(logging.DEBUG, "tornado_webrtc.admin")
    await operated.ask("GET", "/peers?token=secret")
    assert "GET /peers 200" in caplog.messages
