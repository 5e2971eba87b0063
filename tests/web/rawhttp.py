"""An HTTP client that sends a request target exactly as a test wrote it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPHeaders

DEADLINE_S = 15.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which says itself that it is JSON."""
        assert self.headers["Content-Type"] == "application/json; charset=UTF-8"
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body, which says itself that it is plain text."""
        assert self.headers["Content-Type"] == "text/plain; charset=utf-8"
        return self.body.decode()


async def fetch(
    port: int,
    target: str | bytes,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send one request on a connection of its own.

    Args:
        port: Where the server listens on 127.0.0.1.
        target: The request target (RFC 9112 section 3.2); nothing in it is encoded or changed.
        method: The method.
        headers: More headers.
        body: The body.
    """
    lines = {"Host": f"localhost:{port}", "Connection": "close", **(headers or {})}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    raw = target.encode() if isinstance(target, str) else target
    request = method.encode() + b" " + raw + b" HTTP/1.1\r\n" + head.encode() + b"\r\n" + body
    return parse(await exchange(port, request))


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), DEADLINE_S)
    finally:
        writer.close()
        await writer.wait_closed()


def parse(answer: bytes) -> Answer:
    """Take an answer apart, and see that its length is what it says."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    assert separator, f"no answer but {answer!r}"
    status_line, _, fields = head.decode("latin-1").partition("\r\n")
    headers = HTTPHeaders.parse(fields)
    length = headers.get("Content-Length")
    assert not body or length is None or len(body) == int(length)
    return Answer(int(status_line.split()[1]), headers, body)


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
}


def assert_secure(answer: Answer) -> None:
    """Every answer of the core carries the security headers and does not name the software."""
    found = {name: answer.headers.get_list(name) for name in SECURITY_HEADERS}
    assert found == {name: [value] for name, value in SECURITY_HEADERS.items()}
    assert "Server" not in answer.headers
