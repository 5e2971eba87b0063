"""A key set at a URL: a source that fails, is slow, is huge, takes its keys back."""

import asyncio
import gzip
import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.auth_jwt.fetching import LOG, LONG, Site, fail, site
from tests.plugins.auth_jwt.issuer import jwk, key_set
from tests.wire import until
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.plugins.auth_jwt.remote_keys import (
    MAX_SET_BYTES,
    REFETCH_S,
    RemoteKeys,
    Timing,
)

__all__ = ["site"]

ExpectLog = Callable[[str], None]


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (500, b"", "the answer is HTTP 500, not 200"),
        (404, b"{}", "the answer is HTTP 404, not 200"),
        (204, b"", "the answer is HTTP 204, not 200"),
        (200, b"<html>Sign in</html>", "it is no JSON"),
        (200, b"{}", "it is no key set"),
        (200, b" " * MAX_SET_BYTES + b" ", f"has more than {MAX_SET_BYTES} bytes"),
    ],
)
async def test_bad_answers(
    site: Site, status: int, content: bytes, reason: str, expect_log: ExpectLog
) -> None:
    expect_log(rf"^{site.publisher.url} cannot be used: .*{reason}.*; no token is accepted$")
    site.publisher.status, site.publisher.content = status, content
    keys = site.keys()
    assert reason in await fail(keys)
    assert reason in await fail(keys)
    assert keys.counters == {"jwks.fetches": 1, "jwks.failures": 1}, "it is not asked in a loop"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(site: Site, status: int, expect_log: ExpectLog) -> None:
    expect_log(f"the answer is HTTP {status}, not 200; redirects are not followed")
    site.publisher.status = status
    site.publisher.headers = {"Location": f"{site.publisher.url}/elsewhere"}
    await fail(site.keys())
    assert site.publisher.requests == 1


async def test_compressed_bombs_stay_packed(site: Site, expect_log: ExpectLog) -> None:
    expect_log("it is no JSON")
    site.publisher.headers = {"Content-Encoding": "gzip"}
    site.publisher.content = gzip.compress(site.publisher.content.ljust(10_000_000), 1)
    await fail(site.keys())


async def test_largest_answer(site: Site) -> None:
    site.publisher.content = site.publisher.content.ljust(MAX_SET_BYTES)
    assert await site.kids(site.keys()) == ["a"]


async def test_slow_source(site: Site, expect_log: ExpectLog) -> None:
    expect_log("there is no whole answer within 0.1 s; no token is accepted$")
    site.publisher.released.clear()
    keys = site.keys(timing=Timing(600.0, 3600.0, 0.1))
    assert "there is no whole answer within 0.1 s" in await fail(keys)


async def test_authorities_that_cannot_be_read_in_time(
    site: Site, tmp_path: Path, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may hang as well as the network; who waits is told which it was."""
    begun: list[Path] = []
    real = ssl.create_default_context

    def read(*, cafile: Path) -> ssl.SSLContext:
        begun.append(cafile)
        return real(cafile=cafile)

    monkeypatch.setattr(ssl, "create_default_context", read)
    expect_log("the certificates of the authorities cannot be read within 0.1 s; no token")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keys = site.keys("https://localhost:1/", ca_file=pipe, timing=Timing(600.0, 3600.0, 0.1))
    try:
        async with asyncio.timeout(10):
            assert "the certificates of the authorities" in await fail(keys)
            assert await keys.ca_fault() == "", "nobody knows"
        assert begun == [pipe], "a thread that hangs is enough"
    finally:
        _end_readers(pipe)


def _end_readers(pipe: Path) -> None:
    """Let whoever waits for the other end of a pipe find nothing in it, or no pipe at all."""
    end = os.open(pipe, os.O_RDWR)
    pipe.unlink()
    os.close(end)


async def test_request_has_what_the_authorities_leave_of_the_time(
    site: Site, tmp_path: Path
) -> None:
    cert, pipe = tmp_path / "cert.pem", tmp_path / "pipe"
    write_certificate(cert, tmp_path / "key.pem", ["localhost"])
    os.mkfifo(pipe)

    def write_late() -> None:
        with pipe.open("wb") as writer:
            time.sleep(0.3)
            writer.write(cert.read_bytes())

    writing = asyncio.create_task(asyncio.to_thread(write_late))
    request = await site.keys("https://localhost:1/", ca_file=pipe)._request()
    await writing
    left_s = request.request_timeout
    assert left_s is not None
    assert 0 < left_s <= LONG.timeout_s - 0.3
    assert request.connect_timeout == left_s


async def test_without_tls_no_authorities_are_read(site: Site, tmp_path: Path) -> None:
    assert await site.kids(site.keys(ca_file=tmp_path / "missing")) == ["a"]


async def test_source_that_sends_byte_by_byte(site: Site, expect_log: ExpectLog) -> None:
    expect_log("there is no whole answer within 0.2 s")
    ended = asyncio.Event()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except OSError:
            writer.close()
            ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        keys = site.keys(f"http://127.0.0.1:{port}/", timing=Timing(600.0, 3600.0, 0.2))
        await fail(keys)
        await asyncio.wait_for(ended.wait(), 10)


async def test_nobody_there(site: Site, expect_log: ExpectLog) -> None:
    expect_log("Connection refused; no token is accepted$")
    url = site.publisher.url
    await site.publisher.__aexit__()
    assert "Connection refused" in await fail(site.keys(url))


async def test_what_is_no_http(site: Site, expect_log: ExpectLog) -> None:
    expect_log("the answer ends early, is no HTTP or has more than")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await fail(site.keys(f"http://127.0.0.1:{port}/"))


async def test_query_is_not_shown(site: Site, expect_log: ExpectLog) -> None:
    expect_log(f"^{site.publisher.url} cannot be used: the answer is HTTP 500")
    site.publisher.status = 500
    keys = site.keys(f"{site.publisher.url}?key=s3cr3t")
    assert "s3cr3t" not in await fail(keys)
    assert "s3cr3t" not in keys.error


# --- while the source is down -------------------------------------------------------------------


async def test_last_good_set_holds_for_its_time(
    site: Site, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    expect_log("the answer is HTTP 503, not 200; the earlier keys hold$")
    keys = site.keys()
    await site.kids(keys)
    site.publisher.status = 503
    for _ in range(3):
        site.now += REFETCH_S
        assert await site.kids(keys, "b") == ["a"]
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    site.now = 1000.0 + LONG.ttl_s + LONG.max_stale_s - 0.1
    assert await site.kids(keys) == ["a"]
    site.now += 0.1
    assert "there is no key set" in await fail(keys)
    site.publisher.status = 200
    site.now += REFETCH_S
    assert await site.kids(keys) == ["a"]
    assert keys.error == ""
    assert len([each for each in caplog.messages if each.startswith("keys read from")]) == 2


EMPTY = '{"keys": []}'
USELESS = key_set(jwk("P-256", "a", use="enc"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(EMPTY.encode(), ""), (USELESS, "; key 1 .kid 'a'.: its use is not sig")],
    ids=["empty", "useless"],
)
async def test_issuer_that_takes_back_all_its_keys_is_obeyed(
    site: Site,
    content: bytes,
    reason: str,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    expect_log(f"cannot be used: no key of the set can be used{reason}; no token is accepted$")
    keys = site.keys()
    assert await site.kids(keys, "a") == ["a"]
    site.publisher.content = content
    await keys.fetch()
    for _ in range(3):
        assert "no key of the set can be used" in await fail(keys)
    assert keys._due_at() == site.now + 0.8 * LONG.ttl_s, "it is not asked for more often"
    assert keys.counters == {"jwks.fetches": 2, "jwks.failures": 1}
    site.now += REFETCH_S
    assert "no key of the set can be used" in await fail(keys)
    site.publisher.publish(jwk("P-256", "b", 1))
    site.now += REFETCH_S
    assert await site.kids(keys, "b") == ["b"]
    assert keys.error == ""
    said = [each for each in caplog.messages if site.publisher.url in each]
    assert [each.split()[0] for each in said] == ["keys", site.publisher.url, "keys"]


async def test_empty_set_holds_while_the_source_is_down(site: Site, expect_log: ExpectLog) -> None:
    """What came last counts, not what was good last."""
    expect_log("no key of the set can be used; no token is accepted$")
    expect_log("the answer is HTTP 503, not 200; no token is accepted$")
    keys = site.keys()
    await keys.fetch()
    site.publisher.publish()
    await keys.fetch()
    site.publisher.status = 503
    await keys.fetch()
    assert "HTTP 503" in await fail(keys)


async def test_failure_is_tried_again_ever_later(site: Site, expect_log: ExpectLog) -> None:
    expect_log("the answer is HTTP 503")
    keys = site.keys()
    site.publisher.status = 503
    pauses = []
    for _ in range(8):
        await keys.fetch()
        pauses.append(keys._due_at() - site.now)
    assert pauses == [10, 20, 40, 80, 160, 320, 320, 320]
    site.publisher.status = 200
    await keys.fetch()
    assert keys._due_at() == site.now + 0.8 * LONG.ttl_s


async def test_background_gets_over_a_failure(
    site: Site, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("the answer is HTTP 503")
    monkeypatch.setattr("tornado_webrtc.plugins.auth_jwt.remote_keys.REFETCH_S", 0.01)
    site.publisher.status = 503
    keys = site.keys(now=asyncio.get_running_loop().time)
    keys.open()
    await until(lambda: site.publisher.requests >= 2)
    site.publisher.status = 200
    await until(lambda: not keys.error and keys.counters["jwks.fetches"] > 2)
    assert await site.kids(keys) == ["a"]


async def test_what_nobody_thought_of_is_a_failure_too(site: Site, expect_log: ExpectLog) -> None:
    expect_log("cannot be used: ZeroDivisionError; no token is accepted$")
    keys = RemoteKeys(site.publisher.url, lambda _content: 1 // 0, LONG, LOG)  # type: ignore[arg-type, return-value]
    assert "ZeroDivisionError" in await fail(keys)


async def test_skipped_keys_are_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site.publisher.publish(jwk("P-256", "a"), jwk("P-256", "b", use="enc"))
    keys = site.keys()
    for _ in range(2):
        await keys.fetch()
    assert keys.skipped == ("key 2 (kid 'b'): its use is not sig",)
    (line,) = (each for each in caplog.messages if "left aside" in each)
    assert line.endswith("left aside: key 2 (kid 'b'): its use is not sig")


async def test_without_a_log_nothing_is_said(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    keys = site.keys(log=None)
    await keys.fetch()
    site.publisher.status = 500
    await keys.fetch()
    assert "HTTP 500" in keys.error
    assert [each for each in caplog.records if each.name == LOG.name] == []
