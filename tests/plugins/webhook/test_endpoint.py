"""One request, and what its answer means; the receivers are real."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.conftest import ExpectLog
from tests.plugins.webhook.receiver import OLD_SECRET, SECRET, Receiver, Reply, receiving
from tests.wire import until
from tornado_webrtc import __version__
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.plugins.webhook.endpoint import (
    MAX_ANSWER_BYTES,
    Answer,
    Endpoint,
    Verdict,
    origin_of,
    verdict_of,
)
from tornado_webrtc.plugins.webhook.signature import parse_secret

KEYS = (parse_secret(SECRET), parse_secret(OLD_SECRET))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def post(url: str, *, timeout_s: float = 10.0, ca_file: Path | None = None) -> Answer:
    endpoint = Endpoint(url, KEYS, timeout_s=timeout_s, ca_file=ca_file)
    try:
        return await endpoint.post("msg_1", int(time.time()), b'{"type":"x"}')
    finally:
        endpoint.close()


async def test_what_is_sent(receiver: Receiver) -> None:
    assert (await post(receiver.url)).verdict is Verdict.DELIVERED
    (request,) = receiver.requests
    assert request.path == "/hook/s3cr3t-path"
    assert request.body == b'{"type":"x"}'
    assert request.id == "msg_1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"tornado-webrtc/{__version__}"
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(request.body, request.headers) == {"type": "x"}


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        ((200, 201, 202, 204, 299), Verdict.DELIVERED),
        ((301, 302, 307, 308, 400, 401, 403, 404, 405, 413, 422), Verdict.REFUSED),
        ((408, 425, 429, 500, 502, 503, 504, 599), Verdict.AGAIN),
        ((410,), Verdict.GONE),
    ],
)
def test_verdicts(codes: tuple[int, ...], verdict: Verdict) -> None:
    assert [verdict_of(code) for code in codes] == [verdict] * len(codes)


@pytest.mark.parametrize("code", [400, 410, 429, 503])
async def test_reason_and_retry_after(receiver: Receiver, code: int) -> None:
    receiver.replies.append(Reply(code, {"Retry-After": " 7"}))
    answer = await post(receiver.url)
    assert answer == Answer(verdict_of(code), f"it answers with HTTP {code}", "7")


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.replies.append(Reply(307, {"Location": "/elsewhere"}))
    answer = await post(receiver.url)
    assert answer.verdict is Verdict.REFUSED
    assert answer.reason == "it answers with HTTP 307; redirects are not followed"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(("code", "verdict"), [(200, Verdict.DELIVERED), (503, Verdict.AGAIN)])
async def test_a_huge_body_is_not_taken(receiver: Receiver, code: int, verdict: Verdict) -> None:
    receiver.replies.append(Reply(code, body=bytes(MAX_ANSWER_BYTES + 1)))
    assert (await post(receiver.url)).verdict is verdict


async def test_a_body_that_never_ends(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, trickles=True))
    assert (await post(receiver.url, timeout_s=2.0)).verdict is Verdict.DELIVERED


async def test_no_answer(receiver: Receiver) -> None:
    receiver.replies.append(Reply(hangs=True))
    began = time.monotonic()
    answer = await post(receiver.url, timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert answer == Answer(Verdict.AGAIN, "there is no answer within 0.3 s")


async def test_hanging_up(receiver: Receiver) -> None:
    receiver.replies.append(Reply(hangs_up=True))
    answer = await post(receiver.url)
    assert answer == Answer(Verdict.AGAIN, "it closes the connection without an answer")


async def test_nobody_there() -> None:
    async with receiving() as receiver:
        url = receiver.url
    assert await post(url) == Answer(Verdict.AGAIN, "Connection refused")


@pytest.mark.parametrize(
    "said", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 OK\r\n\r\n", b"\0" * 99]
)
async def test_no_http(said: bytes) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await post(f"http://127.0.0.1:{port}/", timeout_s=2.0)
    assert answer.verdict is Verdict.AGAIN
    assert answer.reason


async def test_an_interim_answer_is_none() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await post(f"http://127.0.0.1:{port}/")
    assert answer == Answer(Verdict.AGAIN, "it answers with HTTP 503")


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
async def test_tls_with_an_authority_of_ones_own(tmp_path: Path, scheme: str) -> None:
    async with receiving(tmp_path) as receiver:
        url = receiver.url.replace("https", scheme)
        answer = await post(url, ca_file=tmp_path / "receiver.pem")
        assert answer.verdict is Verdict.DELIVERED
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("trusted", ["system", "another"])
async def test_tls_with_somebody_else(
    tmp_path: Path, trusted: str, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer says it: Tornado has no line for our side, and still one for the receiver's."""
    expect_log("SSL Error on .* alert unknown ca")
    other = tmp_path / "other.pem"
    write_certificate(other, tmp_path / "other.key", ["127.0.0.1"])
    async with receiving(tmp_path) as receiver:
        answer = await post(receiver.url, ca_file=other if trusted == "another" else None)
        assert answer.verdict is Verdict.AGAIN
        assert answer.reason.startswith("its certificate is not trusted: ")
        assert receiver.requests == []
        await until(lambda: "alert unknown ca" in caplog.text)


async def test_tls_for_another_name(
    tmp_path: Path, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("SSL Error on .* alert bad certificate")
    async with receiving(tmp_path) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        answer = await post(url, ca_file=tmp_path / "receiver.pem")
        await until(lambda: "alert bad certificate" in caplog.text)
    assert answer.verdict is Verdict.AGAIN
    assert "is not trusted" in answer.reason


async def test_authorities_that_are_gone(tmp_path: Path) -> None:
    async with receiving(tmp_path) as receiver:
        answer = await post(receiver.url, ca_file=tmp_path / "nowhere.pem")
    assert answer == Answer(Verdict.AGAIN, "No such file or directory")


@pytest.mark.usefixtures("foreign_http_client")
async def test_whatever_client_others_have_configured(receiver: Receiver) -> None:
    assert (await post(receiver.url)).verdict is Verdict.DELIVERED


async def test_closed() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/", KEYS, timeout_s=1.0)
    endpoint.close()
    assert (await endpoint.post("msg_1", 1, b"")).verdict is Verdict.AGAIN


def test_what_is_shown_of_a_url() -> None:
    assert origin_of("https://hooks.example.org:8443/T0/s3cr3t?key=s3cr3t") == (
        "https://hooks.example.org:8443"
    )
    endpoint = Endpoint("http://127.0.0.1/s3cr3t", KEYS, timeout_s=1.0)
    assert "s3cr3t" not in repr(endpoint)
    assert endpoint.origin == "http://127.0.0.1"
    endpoint.close()
