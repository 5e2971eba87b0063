"""An application that is sent webhooks: it answers as a test wants it to."""

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tornado_webrtc.certificate import write_certificate

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
"""Two secrets as the specification wants them: Base64 of 24 bytes."""


@dataclass(frozen=True)
class Reply:
    """What the receiver does with one request.

    Attributes:
        status: The status code.
        headers: More headers.
        body: What follows.
        hangs: It says nothing until it is closed.
        hangs_up: It closes the connection instead.
        trickles: It sends the head, and never the end of the body.
        waits: It answers when this is set.
    """

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    hangs_up: bool = False
    trickles: bool = False
    waits: asyncio.Event | None = None


@dataclass(frozen=True)
class Request:
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        content = json.loads(self.body)
        assert isinstance(content, dict)
        return content

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def id(self) -> str:
        return self.headers["Webhook-Id"]


class Receiver:
    """An HTTP server on 127.0.0.1.

    Attributes:
        requests: What came, in order.
        replies: What is answered to the next requests; then `usual`.
        usual: What is answered otherwise.
        most_at_once: How many requests were under way together.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: deque[Reply] = deque()
        self.usual = Reply()
        self.most_at_once = 0
        self.under_way = 0
        self.closed = asyncio.Event()
        self.scheme = "http"
        self.port = 0

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/hook/s3cr3t-path"

    @property
    def types(self) -> list[str]:
        return [request.type for request in self.requests]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [request.event for request in self.requests]


class Handler(RequestHandler):
    """Takes a webhook."""

    def initialize(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def post(self) -> None:
        receiver, request = self.receiver, self.request
        headers = {name.title(): value for name, value in request.headers.items()}
        receiver.requests.append(Request(request.path, headers, request.body, time.monotonic()))
        receiver.under_way += 1
        receiver.most_at_once = max(receiver.most_at_once, receiver.under_way)
        try:
            await self._reply(receiver.replies.popleft() if receiver.replies else receiver.usual)
        finally:
            receiver.under_way -= 1

    async def _reply(self, reply: Reply) -> None:
        await asyncio.sleep(0)
        if reply.waits:
            await reply.waits.wait()
        if reply.hangs:
            await self.receiver.closed.wait()
        if reply.hangs or reply.hangs_up:
            self.detach().close()
            return
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.write(reply.body) if reply.body else None
        if reply.trickles:
            self.set_header("Content-Length", "1000")
            self.write(b"...")
            await self.flush()
            await self.receiver.closed.wait()
            self.detach().close()


@asynccontextmanager
async def receiving(tls_folder: Path | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver until the end of the block.

    Args:
        tls_folder: Where to put its certificate, ``receiver.pem``, if it is to have one.
        port: Where it is to be, if that matters.
    """
    receiver = Receiver()
    context = None
    if tls_folder is not None:
        cert, key = tls_folder / "receiver.pem", tls_folder / "receiver.key"
        write_certificate(cert, key, ["127.0.0.1"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        receiver.scheme = "https"
    application = Application(
        [("/.*", Handler, {"receiver": receiver})], log_function=lambda _handler: None
    )
    server = HTTPServer(application, ssl_options=context)
    (socket,) = bind_sockets(port, "127.0.0.1")
    receiver.port = socket.getsockname()[1]
    server.add_sockets([socket])
    try:
        yield receiver
    finally:
        server.stop()
        receiver.closed.set()
        await server.close_all_connections()
