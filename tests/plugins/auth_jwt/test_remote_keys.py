"""A key set at a URL: a source that rotates its keys, fails, is slow, is huge."""

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.auth_jwt.issuer import Publisher, jwk
from tests.wire import until
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.plugins.auth_jwt.jwks import read_key_set
from tornado_webrtc.plugins.auth_jwt.key import NoKeysError
from tornado_webrtc.plugins.auth_jwt.remote_keys import (
    MAX_SET_BYTES,
    REFETCH_S,
    RemoteKeys,
    Timing,
    url_fault,
)

ExpectLog = Callable[[str], None]

LOG = logging.getLogger("tornado_webrtc.plugins.auth_jwt")
LONG = Timing(ttl_s=600.0, max_stale_s=3600.0, timeout_s=4.0)


class Site:
    """A publisher with somebody who fetches from it, on a clock of its own."""

    def __init__(self, publisher: Publisher, stack: AsyncExitStack) -> None:
        self.publisher = publisher
        self.now = 1000.0
        self._stack = stack

    def keys(self, url: str = "", **changes: Any) -> RemoteKeys:
        arguments: dict[str, Any] = {"timing": LONG, "log": LOG, "now": lambda: self.now} | changes
        made = RemoteKeys(
            url or self.publisher.url,
            lambda content: read_key_set(content, ["ES256"]),
            **arguments,
        )
        self._stack.push_async_callback(made.close)
        return made

    async def kids(self, keys: RemoteKeys, kid: str | None = None) -> list[str | None]:
        return [key.kid for key in await keys.keys(kid)]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        publisher.publish(jwk("P-256", "a"))
        yield Site(publisher, stack)


# --- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("https://id.example.org/keys", "https://id.example.org:8443/a/b?c=d", "HTTPS://x/"),
        *("http://127.0.0.1/keys", "http://127.9.9.9:81/", "http://[::1]:8080/x"),
        "http://localhost:8080/keys",
    ],
)
def test_good_urls(url: str) -> None:
    assert url_fault(url) == ""


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://id.example.org/keys", "over http, whoever is on the way could put in a key"),
        ("http://10.0.0.1/keys", "over http"),
        ("http://localhost.example.org/", "over http"),
        ("http://127.0.0.1.example.org/", "over http"),
        ("http://[::2]/", "over http"),
        ("ftp://id.example.org/keys", "allowed is https://HOST/PATH, or the path of a file"),
        ("file:///etc/passwd", "allowed is https://HOST/PATH"),
        ("https:///keys", "allowed is https://HOST/PATH"),
        ("://", "allowed is https://HOST/PATH"),
        (
            "https://ann:secret@id.example.org/",
            "a user, password or fragment may not be in the URL",
        ),
        ("https://id.example.org/#x", "a user, password or fragment"),
        ("https://id.example.org:99999/", "it is no URL"),
        ("https://[::1/", "it is no URL"),
    ],
)
def test_bad_urls(url: str, fault: str) -> None:
    assert url_fault(url).startswith(fault)
    assert "secret" not in url_fault(url)


# --- fetching -----------------------------------------------------------------------------------


async def test_set_is_fetched_once_and_kept(site: Site) -> None:
    keys = site.keys()
    for _ in range(3):
        assert await site.kids(keys) == ["a"]
        assert await site.kids(keys, "a") == ["a"]
    assert site.publisher.requests == 1
    assert keys.counters == {"jwks.fetches": 1}


async def test_concurrent_requests_share_a_fetch(site: Site) -> None:
    keys = site.keys()
    site.publisher.released.clear()
    waiting = [asyncio.create_task(site.kids(keys, kid)) for kid in ("a", None, "b", "a") * 10]
    await until(lambda: site.publisher.requests == 1)
    waiting[0].cancel()
    waiting += [asyncio.create_task(site.kids(keys, "a")) for _ in range(10)]
    await asyncio.sleep(0)  # they begin to wait
    site.publisher.released.set()
    assert await asyncio.gather(*waiting[1:]) == [["a"]] * 49
    assert site.publisher.requests == 1
    assert waiting[0].cancelled(), "who gives up takes nobody's fetch with him"


async def test_event_loop_is_not_blocked_meanwhile(site: Site) -> None:
    keys = site.keys()
    site.publisher.released.clear()
    waiting = asyncio.create_task(site.kids(keys))
    await until(lambda: site.publisher.requests == 1)
    assert not waiting.done()
    site.publisher.released.set()
    assert await waiting == ["a"]


@pytest.mark.usefixtures("foreign_http_client")
async def test_whatever_client_others_have_configured(site: Site) -> None:
    assert await site.kids(site.keys()) == ["a"]


# --- rotation -----------------------------------------------------------------------------------


async def test_unknown_key_is_fetched_at_once(site: Site) -> None:
    keys = site.keys()
    await site.kids(keys)
    site.publisher.publish(jwk("P-256", "b", 1))
    site.now += REFETCH_S
    assert await site.kids(keys, "a") == ["a"], "what is known asks nobody"
    assert await site.kids(keys, "b") == ["b"]
    assert site.publisher.requests == 2


async def test_strangers_cannot_make_it_fetch_in_a_loop(site: Site) -> None:
    keys = site.keys()
    await site.kids(keys)
    for number in range(50):
        assert await site.kids(keys, f"made up {number}") == ["a"]
    assert site.publisher.requests == 1
    site.now += REFETCH_S
    for number in range(50):
        assert await site.kids(keys, f"made up {number}") == ["a"]
    assert site.publisher.requests == 2


async def test_set_is_fetched_in_the_background_before_it_is_too_old(site: Site) -> None:
    timing = Timing(ttl_s=0.05, max_stale_s=0.0, timeout_s=4.0)
    keys = site.keys(timing=timing, now=asyncio.get_running_loop().time)
    keys.open()
    keys.open()
    await until(lambda: site.publisher.requests >= 3)
    site.publisher.publish(jwk("P-256", "b", 1))
    seen = site.publisher.requests
    await until(lambda: site.publisher.requests >= seen + 2)
    site.publisher.released.clear()
    await keys.keys(None)
    site.publisher.released.set()
    assert await site.kids(keys) == ["b"]


async def test_close_ends_it(site: Site) -> None:
    timing = Timing(ttl_s=0.01, max_stale_s=0.0, timeout_s=4.0)
    keys = site.keys(timing=timing, now=asyncio.get_running_loop().time)
    keys.open()
    await until(lambda: site.publisher.requests >= 2)
    site.publisher.released.clear()
    seen = site.publisher.requests
    await until(lambda: site.publisher.requests > seen)
    closing = asyncio.create_task(keys.close())
    await asyncio.sleep(0)
    assert not closing.done(), "what is under way is waited for"
    site.publisher.released.set()
    await closing
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- failures -----------------------------------------------------------------------------------


async def fail(keys: RemoteKeys) -> str:
    with pytest.raises(NoKeysError) as error:
        await keys.keys(None)
    return str(error.value)


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (500, b"", "the answer is HTTP 500, not 200"),
        (404, b"{}", "the answer is HTTP 404, not 200"),
        (204, b"", "the answer is HTTP 204, not 200"),
        (200, b"<html>Sign in</html>", "it is no JSON"),
        (200, b"{}", "it is no key set"),
        (200, b'{"keys": []}', "no key of the set can be used"),
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


# --- TLS ----------------------------------------------------------------------------------------


async def test_https(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("its certificate is not trusted: self.signed certificate; no token is accepted$")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    logging.getLogger("tornado.general").setLevel(logging.ERROR)  # the server's side of a refusal
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher(context))
        publisher.publish(jwk("P-256", "a"))
        site = Site(publisher, stack)
        assert await site.kids(site.keys(ca_file=cert)) == ["a"]
        await fail(site.keys())


async def test_missing_ca_file(tmp_path: Path, site: Site, expect_log: ExpectLog) -> None:
    expect_log("cannot be used: No such file or directory; no token is accepted$")
    keys = site.keys("https://localhost:1/", ca_file=tmp_path / "missing")
    await fail(keys)
    assert await keys.ca_fault() == f"{tmp_path}/missing cannot be used: No such file or directory"
    (tmp_path / "empty").touch()
    keys = site.keys("https://localhost:1/", ca_file=tmp_path / "empty")
    assert await keys.ca_fault() == f"{tmp_path}/empty holds no certificate in PEM form"
    assert await site.keys().ca_fault() == ""
