"""`/ws`: from an HTTP request to a `Connection`.

The native client reads whatever follows its request as frames and checks no
status. So an upgrade that cannot be taken is accepted first and then closed
with a code and a reason, never answered with an HTTP error.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from tornado_webrtc.web.client import bearer_token, client_ip
from tornado_webrtc.web.connection import CloseCode, Connection, Handshake
from tornado_webrtc.web.handler import PageHandler
from tornado_webrtc.web.origin import origin_allowed, same_host
from tornado_webrtc.web.request_id import request_id

if TYPE_CHECKING:
    from tornado_webrtc.web.hub import Hub

__all__ = [
    "MAX_ARGUMENTS",
    "MAX_HEADERS",
    "MAX_QUERY_BYTES",
    "SUBPROTOCOL",
    "SignalingSocket",
    "SocketTransport",
]

SUBPROTOCOL = "tornado-webrtc"
"""Offered by clients that show a token beside it; they are dropped unless it is selected."""

BEARER_PREFIX = "bearer."

MAX_REASON_BYTES = 123

MAX_ARGUMENTS = 32
MAX_QUERY_BYTES = 2048
MAX_HEADERS = 100
"""What an upgrade may say of itself: plugins are told, so it is kept as long as the socket. A
thousand short arguments take twenty times the memory of a connection."""


class SignalingSocket(PageHandler, WebSocketHandler):
    """Takes the upgrade and hands frames to a `Connection`."""

    def initialize(self) -> None:
        """Look up what a connection needs."""
        self._hub: Hub = self.server.hub
        self._connection: Connection | None = None
        self._origin: str | None = None

    def prepare(self) -> None:
        """Take the origin out of Tornado's hands; `open` judges it where it can say why.

        Tornado would answer a page that is not allowed with 403, and one whose
        origin cannot be parsed with 500.
        """
        self._origin = self.request.headers.pop("Origin", None)
        self.request.headers.pop("Sec-Fetch-Site", None)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Select our own; a token beside it is not echoed."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def get_compression_options(self) -> dict[str, Any] | None:
        """None: messages are small, and each compressor costs 300 kB."""
        return None

    async def open(self, *_args: str, **_kwargs: str) -> None:
        """Take the connection in, or close it with a reason."""
        handshake = self._handshake()
        refusal = self._refusal(handshake) or self._excess(handshake)
        self.request.arguments.clear()
        self.request.query_arguments.clear()
        if refusal is not None:
            self.close(*refusal)
            return
        stream = self.ws_connection.stream if self.ws_connection else None
        if stream is None:
            return
        stream.set_nodelay(True)
        transport = SocketTransport(self, stream)
        connection = self._connection = self._hub.open(transport, handshake)
        refusal = await self._hub.authenticate_upgrade(connection)
        if refusal is None:
            connection.start()
        else:
            connection.close(*refusal, left="refused")

    def _handshake(self) -> Handshake:
        request = self.request
        trusted = self.server.config.general.trusted_proxies
        return Handshake(
            remote_ip=client_ip(request, trusted),
            request_id=request_id(request, trusted),
            origin=self._origin,
            path=request.path,
            query={
                name: values[-1].decode(errors="replace")
                for name, values in request.query_arguments.items()
            },
            headers=dict(request.headers.get_all()),
            token=self._token(),
        )

    def _token(self) -> str | None:
        """The token that the client shows: in `Authorization`, or beside our subprotocol."""
        token = bearer_token(self.request)
        if token is not None:
            return token
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        tokens = (each.strip() for each in offered)
        return next(
            (each.removeprefix(BEARER_PREFIX) for each in tokens if each.startswith(BEARER_PREFIX)),
            None,
        )

    def _refusal(self, handshake: Handshake) -> tuple[int, str] | None:
        if self._hub.draining:
            return CloseCode.SERVICE_RESTART, "the server is restarting"
        if not self.server.accepting:
            return CloseCode.GOING_AWAY, "the server is stopping"
        ban = self._hub.bans.find(ip=handshake.remote_ip)
        if ban is not None:
            self._hub.count("refused.banned")
            self._hub.refusals.tell("banned", handshake)
            return CloseCode.NOT_ALLOWED, ban.told
        if handshake.origin is not None and not self._origin_allowed(handshake.origin):
            self._hub.count("refused.origin")
            self._hub.refusals.tell("origin", handshake)
            return CloseCode.NOT_ALLOWED, "pages from this origin are not allowed"
        refusal = self._hub.refusal(handshake.remote_ip)
        if refusal is not None:
            self._hub.count("refused.limit")
            self._hub.refusals.tell("limit", handshake)
        return refusal

    def _excess(self, handshake: Handshake) -> tuple[int, str] | None:
        """More than anybody needs, who would have it kept."""
        arguments = sum(map(len, self.request.query_arguments.values()))
        for what, found, limit in (
            ("arguments in the URL", arguments, MAX_ARGUMENTS),
            ("bytes after the URL's `?`", len(self.request.query), MAX_QUERY_BYTES),
            ("headers", len(list(self.request.headers.get_all())), MAX_HEADERS),
        ):
            if found > limit:
                self._hub.count("refused.request")
                self._hub.refusals.tell("request", handshake)
                return CloseCode.NOT_ALLOWED, f"there are {found} {what}, at most {limit} may be"
        return None

    def _origin_allowed(self, origin: str) -> bool:
        host, domain = self.request.headers.get("Host", ""), self.server.config.general.domain
        same = same_host(origin, host, domain)
        return same or origin_allowed(origin, self._hub.limits.allowed_origins)

    # --- frames in ----------------------------------------------------------

    def on_message(self, message: str | bytes) -> asyncio.Future[None] | None:
        """Pass a text frame on; reading goes on when the returned future ends."""
        connection = self._connection
        if connection is None:
            return None
        if isinstance(message, bytes):
            self._hub.count("closed.binary")
            connection.close(CloseCode.UNSUPPORTED_DATA, "text frames only", left="bad-frame")
            return None
        return connection.receive(message)

    def on_pong(self, data: bytes) -> None:
        """The answer to a ping came."""
        if self._connection is not None:
            self._connection.heard()

    def on_close(self) -> None:
        """The socket is gone."""
        if self._connection is not None:
            self._connection.closed()


class SocketTransport:
    """Carries the frames of a `Connection` over Tornado's WebSocket.

    Args:
        handler: The upgraded request.
        stream: Its socket.
    """

    def __init__(self, handler: WebSocketHandler, stream: IOStream) -> None:
        self._handler = handler
        self._stream = stream

    def write(self, frame: bytes) -> asyncio.Future[None]:
        """Send a text frame; the future ends when it has left this process."""
        try:
            return self._handler.write_message(frame)
        except WebSocketClosedError as error:
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    def ping(self) -> None:
        """Send a ping, unless the socket is gone."""
        with contextlib.suppress(WebSocketClosedError):
            self._handler.ping()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; a reason has at most 123 bytes (RFC 6455 section 5.5)."""
        fitting = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self._handler.close(code, fitting)

    def abort(self) -> None:
        """Drop the socket at once."""
        self._stream.close()
