"""The receiver: one request, and what its answer means."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import logging
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)

from tornado_webrtc import __version__

from .signature import signature

__all__ = ["MAX_ANSWER_BYTES", "Answer", "Endpoint", "Verdict", "origin_of", "verdict_of"]

MAX_ANSWER_BYTES = 65536
"""What a receiver answers is not read; one that answers more is cut off."""


_sending = contextvars.ContextVar("webhook: sending", default=False)
"""Whether this is part of a request of ours."""


class Verdict(enum.Enum):
    """What an answer means for the event."""

    DELIVERED = "delivered"
    AGAIN = "again"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request.

    Attributes:
        verdict: What it means.
        reason: Why it is not `DELIVERED`, in words of our own.
        retry_after: What the receiver wrote into the header of this name.
    """

    verdict: Verdict
    reason: str = ""
    retry_after: str = ""


def verdict_of(code: int) -> Verdict:
    """What a status code means ("Deliverability and reliability").

    408, 425 and 429 say that it may go well later; what else is wrong with the request
    (4xx), or with the URL (3xx), will be wrong the next time, too.
    """
    if 200 <= code < 300:  # noqa: PLR2004
        return Verdict.DELIVERED
    if code == 410:  # noqa: PLR2004
        return Verdict.GONE
    return Verdict.AGAIN if code >= 500 or code in {408, 425, 429} else Verdict.REFUSED  # noqa: PLR2004


def origin_of(url: str) -> str:
    """What may be shown of a URL: the path and the query of some are as good as a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Endpoint:
    """Sends to one URL.

    Args:
        url: Where to.
        keys: What to sign with.
        timeout_s: How long a request may take, all in all.
        ca_file: Certificates of the authorities that are trusted; None for the system's.
        connections: How many requests there may be at once.
    """

    def __init__(
        self,
        url: str,
        keys: Sequence[bytes],
        *,
        timeout_s: float,
        ca_file: Path | None = None,
        connections: int = 1,
    ) -> None:
        self._url = url
        self._keys = tuple(keys)
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        # Named by its class: `AsyncHTTPClient` is whatever another plugin has configured.
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=connections, max_body_size=MAX_ANSWER_BYTES
        )
        self.origin = origin_of(url)
        logging.getLogger("tornado.general").addFilter(_is_of_others)

    async def post(self, message_id: str, timestamp: int, body: bytes) -> Answer:
        """Send an event once; whatever goes wrong is in the answer.

        Args:
            message_id: The event's id.
            timestamp: Unix seconds.
            body: The event.
        """
        head = _Head()
        try:
            request = await self._request(message_id, timestamp, body, head)
            # Tornado complains of a future that was cancelled: who gives up leaves it alone.
            under_way = asyncio.ensure_future(self._fetch(request))
            under_way.add_done_callback(_look_at)
            await asyncio.wait({under_way})
            under_way.result()
        except Exception as error:  # whatever: it is tried again
            if not head.code:
                return Answer(Verdict.AGAIN, _words(error, self._timeout_s))
        verdict = verdict_of(head.code)
        moved = "; redirects are not followed" if 300 <= head.code < 400 else ""  # noqa: PLR2004
        return Answer(verdict, f"it answers with HTTP {head.code}{moved}", head.retry_after)

    def close(self) -> None:
        """Send nothing more."""
        self._client.close()

    def _fetch(self, request: HTTPRequest) -> Awaitable[HTTPResponse]:
        """Begin a request, whose callbacks know that it is one of ours."""
        context = contextvars.copy_context()
        context.run(_sending.set, True)
        return context.run(self._client.fetch, request, raise_error=False)

    async def _request(
        self, message_id: str, timestamp: int, body: bytes, head: _Head
    ) -> HTTPRequest:
        if self._context is None and urlsplit(self._url).scheme == "https":  # reads from the disk
            self._context = await asyncio.to_thread(
                ssl.create_default_context, cafile=self._ca_file
            )
        return HTTPRequest(
            self._url,
            method="POST",
            body=body,
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"tornado-webrtc/{__version__}",
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature(self._keys, message_id, timestamp, body),
            },
            connect_timeout=self._timeout_s,
            request_timeout=self._timeout_s,
            follow_redirects=False,
            decompress_response=False,
            header_callback=head.take,
            streaming_callback=_ignore,
            ssl_options=self._context,
        )


class _Head:
    """The first lines of an answer, known before its body comes, should it ever come."""

    def __init__(self) -> None:
        self.code = 0
        self.retry_after = ""

    def take(self, line: str) -> None:
        name, _, value = line.partition(":")
        if line.startswith("HTTP/"):
            code = line.split(None, 2)[1]
            self.code = int(code) if not code.startswith("1") else 0
        elif name.lower() == "retry-after":
            self.retry_after = value.strip()


def _is_of_others(record: logging.LogRecord) -> bool:
    """Leave out what Tornado says of our connections: the `Answer` has it, in our words."""
    return record.levelno >= logging.ERROR or not _sending.get()


def _look_at(done: asyncio.Future[HTTPResponse]) -> None:
    """Let asyncio know that its failure is no news."""
    if not done.cancelled():
        done.exception()


def _ignore(_chunk: bytes) -> None:
    """Nobody wants the body."""


def _words(error: Exception, timeout_s: float) -> str:
    """What went wrong, in words of our own."""
    if isinstance(error, HTTPTimeoutError | TimeoutError):
        return f"there is no answer within {timeout_s:g} s"
    if isinstance(error, HTTPStreamClosedError):
        return "it closes the connection without an answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
