"""A key set at a URL: a source that rotates its keys."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.plugins.auth_jwt.fetching import Site, fail, site
from tests.plugins.auth_jwt.issuer import Publisher, jwk
from tests.wire import until
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.plugins.auth_jwt.remote_keys import REFETCH_S, Timing, url_fault

__all__ = ["site"]

ExpectLog = Callable[[str], None]


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
    timing = Timing(ttl_s=0.05, max_stale_s=3600.0, timeout_s=4.0)
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
