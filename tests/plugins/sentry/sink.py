"""A Sentry: it takes envelopes (the protocol of its SDKs), and keeps what is in them."""

import asyncio
import gzip
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

KEY = "0123456789abcdef0123456789abcdef"
PROJECT = 42


@dataclass(frozen=True)
class Envelope:
    """What came in one request.

    Attributes:
        header: The first line.
        items: Type and content of each item.
        raw: All of it, not compressed.
    """

    header: dict[str, Any]
    items: list[tuple[str, dict[str, Any]]]
    raw: bytes


def parse(raw: bytes) -> Envelope:
    """Read an envelope: a line for its header, then for each item a line and a payload."""
    line, _, rest = raw.partition(b"\n")
    header, items = json.loads(line), []
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        described = json.loads(line)
        length = described["length"]
        items.append((described["type"], json.loads(rest[:length])))
        rest = rest[length:].removeprefix(b"\n")
    return Envelope(header, items, raw)


class Sink:
    """An HTTP server on 127.0.0.1.

    Attributes:
        envelopes: What came.
        keys: With which key each came.
        statuses: What is answered next; then 200.
        hangs: It answers nothing until it is closed.
    """

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.keys: list[str] = []
        self.statuses: deque[int] = deque()
        self.hangs = False
        self.port = 0
        self.arrived: list[float] = []
        self.closed = asyncio.Event()

    @property
    def dsn(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.port}/{PROJECT}"

    @property
    def raw(self) -> str:
        """Everything that came, as text."""
        return b"\n".join(each.raw for each in self.envelopes).decode()

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [item for each in self.envelopes for type_, item in each.items if type_ == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.of_type("event")


class Handler(RequestHandler):
    """Takes an envelope."""

    def initialize(self, sink: Sink) -> None:
        self.sink = sink

    async def post(self) -> None:
        self.sink.arrived.append(time.monotonic())
        if self.sink.hangs:
            await self.sink.closed.wait()
            self.detach().close()
            return
        body = self.request.body
        if self.request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.sink.keys.append(self.request.headers["X-Sentry-Auth"])
        self.sink.envelopes.append(parse(body))
        self.set_status(self.sink.statuses.popleft() if self.sink.statuses else 200)
        self.write({"id": "0"})


@asynccontextmanager
async def sinking() -> AsyncIterator[Sink]:
    """A sink until the end of the block."""
    sink = Sink()
    application = Application(
        [(f"/api/{PROJECT}/envelope/", Handler, {"sink": sink})],
        log_function=lambda _handler: None,
    )
    server = HTTPServer(application)
    (socket,) = bind_sockets(0, "127.0.0.1")
    sink.port = socket.getsockname()[1]
    server.add_sockets([socket])
    try:
        yield sink
    finally:
        server.stop()
        sink.closed.set()
        await server.close_all_connections()
