"""One connection: its frames in order, its limits, its liveness, its end.

It knows nothing of WebSockets: a `Transport` carries frames, a `Hub` decides
what they mean.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tornado_webrtc.bucket import TokenBucket
from tornado_webrtc.errors import SignalingError
from tornado_webrtc.hooks import Identity
from tornado_webrtc.signaling import PeerAddress
from tornado_webrtc.signaling.message import HEARTBEAT, error_frame
from tornado_webrtc.web.outbox import Outbox

if TYPE_CHECKING:
    from tornado_webrtc.config import Signaling
    from tornado_webrtc.web.hub import Hub

__all__ = ["CloseCode", "Connection", "Handshake", "Transport"]

MAX_WAITING_FRAMES = 64
"""Frames that wait for their turn before reading pauses."""

MAX_WAITING_BYTES = 262144
"""Bytes of them, likewise."""

MAX_THROTTLED_S = 30.0
"""Seconds above the message rate after which a connection is closed."""

MAX_CLOSING_S = 2.0
"""Seconds that a closing connection has to take what waits for it."""

BURST_S = 5.0
"""Seconds' worth of messages that may come at once."""

MAX_EXPIRY_WAIT_S = 60.0
"""Seconds after which the clock is looked at again for an identity that expires: while a timer
runs, the wall clock may be set and the machine may sleep."""

log = logging.getLogger(__name__)


class CloseCode:
    """Why a WebSocket was closed (RFC 6455 section 7.4; 4000 and up are this server's)."""

    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    REPLACED = 4001
    TOO_SLOW = 4008
    NOT_AUTHENTICATED = 4401
    NOT_ALLOWED = 4403
    NO_HELLO = 4408
    ID_IN_USE = 4409
    TOO_MANY = 4429
    INTERNAL_ERROR = 4500


class Transport(Protocol):
    """What carries the frames of one connection."""

    def write(self, frame: bytes) -> asyncio.Future[None]:
        """Send a text frame; the future ends when it has left this process."""

    def ping(self) -> None:
        """Send a ping. Its answer is reported with `Connection.heard`."""

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""

    def abort(self) -> None:
        """Drop the socket at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What is known of a client from its upgrade request, as far as hooks may want to know.

    Attributes:
        remote_ip: The client's address, behind trusted proxies the real one.
        origin: The page that opened it, as its browser says.
        path: The path that was asked for.
        query: The arguments of the URL.
        headers: The request's headers.
        token: What the client showed at the upgrade.
        request_id: What the upgrade request is called in logs.
    """

    remote_ip: str
    origin: str | None = None
    path: str = "/ws"
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    request_id: str = ""


class Connection:
    """One client's connection, registered or not.

    Args:
        hub: Decides what messages mean; has the configuration and the clock.
        transport: Carries the frames.
        address: This connection's, unique.
        handshake: Where it came from.

    Attributes:
        opened_at: When it was taken in, monotonic seconds.
        identity: Who the client proved to be as it opened; it signs in as nobody else. None
            if that is found out, if at all, when it signs in.
        admitted: Who it is let in as, since it opened or since it signed in; None for anonymous.
        expires_at: Unix seconds at which what let it in expires; infinite for never.
        registered: Whether the client has ever signed in.
    """

    def __init__(
        self, hub: Hub, transport: Transport, address: PeerAddress, handshake: Handshake
    ) -> None:
        self.address = address
        self.handshake = handshake
        self.opened_at = hub.clock.now()
        self.identity: Identity | None = None
        self.admitted: Identity | None = None
        self.expires_at = math.inf
        self.registered = False
        self._hub = hub
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._started = False
        self._hello_since: float | None = None
        self._outbox = Outbox(transport.write, hub.limits.send_queue_bytes, self._overflowed)
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._wakeup = asyncio.Event()
        self._room: asyncio.Future[None] | None = None
        self._closing = False
        self._worker: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._probes: set[asyncio.Future[None]] = set()
        self._heard_since_ping = True
        self._bucket = _bucket(hub.limits.messages_per_s, self.opened_at)
        self._throttled_since: float | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.address.connection_id} from {self.handshake.remote_ip}>"

    @property
    def closing(self) -> bool:
        """Whether it is closed or about to be; what it still sends is ignored."""
        return self._closing

    # --- life ---------------------------------------------------------------

    def start(self) -> None:
        """Begin to handle frames; timers run from here."""
        self._started = True
        self._worker = asyncio.create_task(self._work())
        self.expect_hello(True)
        self._again("heartbeat", self._hub.limits.heartbeat_s, self._heartbeat)
        self._again("ping", self._hub.limits.ping_s, self._check_alive)

    def expect_hello(self, expected: bool) -> None:
        """Close the connection unless `new` comes in time; a `new` that is being judged came."""
        self._hello_since = self._hub.clock.now() if expected else None
        self._time_hello()

    def admit(self, identity: Identity | None) -> None:
        """Let an identity, or none, hold from now on: when it expires, this is closed (4401)."""
        self.admitted = identity
        self.expires_at = math.inf if identity is None else identity.ends_at
        self._time_expiry()

    def limits_changed(self, old: Signaling) -> None:
        """Go by the hub's limits as they are now.

        Args:
            old: Those that held until now.
        """
        new = self._hub.limits
        self._outbox.set_limit(new.send_queue_bytes)
        if new.messages_per_s != old.messages_per_s:
            self._bucket = _bucket(new.messages_per_s, self._hub.clock.now())
        if not self._started or self._closing:
            return
        self._change_interval("heartbeat", old.heartbeat_s, new.heartbeat_s, self._heartbeat)
        self._change_interval("ping", old.ping_s, new.ping_s, self._check_alive)
        if new.hello_timeout_s != old.hello_timeout_s:
            self._time_hello()

    def _change_interval(
        self, name: str, old_s: float, new_s: float, callback: Callable[[], None]
    ) -> None:
        """Keep the part of the interval that has passed: not all connections at one moment."""
        if new_s == old_s:
            return
        timer = self._timers.get(name)
        part = 1.0 if timer is None else (timer.when() - self._loop.time()) / old_s
        self._again(name, new_s * min(1.0, max(0.01, part)), callback)

    def _time_hello(self) -> None:
        limit_s = self._hub.limits.hello_timeout_s
        if self._hello_since is None or not limit_s:
            self._again("hello", 0, self._check_hello)
        else:
            waited_s = self._hub.clock.now() - self._hello_since
            self._again("hello", max(0.001, limit_s - waited_s), self._check_hello)

    def close(self, code: int, reason: str, *, left: str = "disconnected") -> None:
        """Close after what was sent before has left; the peer leaves at once.

        Args:
            code: A `CloseCode`.
            reason: In plain words, for the client's developer; at most 123 bytes.
            left: Why the peer left, for other code (hooks, logs).
        """
        if self._closing:
            return
        self._begin_closing(left)
        self._outbox.finish(lambda: self._transport.close(code, reason))

    def abort(self, *, left: str) -> None:
        """Drop the socket at once; the peer leaves."""
        if not self._closing:
            self._begin_closing(left)
        self._outbox.discard()
        self._transport.abort()

    def closed(self) -> None:
        """The socket is gone, whoever closed it."""
        if not self._closing:
            self._begin_closing("disconnected")
        self._outbox.discard()
        self._cancel_timers()
        self._hub.forget(self)

    def _begin_closing(self, left: str) -> None:
        self._closing = True
        self._cancel_timers()
        self._inbox.clear()
        self._inbox_bytes = 0
        self._make_room()
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        else:
            self._wakeup.set()
        self._later("closing", MAX_CLOSING_S, self._transport.abort)
        self._hub.drop(self, left)

    def _overflowed(self) -> None:
        """Too much waits for a slow reader.

        Whoever sends may be in the middle of telling hundreds of others, and what
        the end of this connection makes known could overflow the next one, and so
        on: so it ends a moment later.
        """
        self._loop.call_soon(self._give_up)

    def _give_up(self) -> None:
        """A reader too slow: nothing that waits would help it (close code 4008)."""
        if self._closing:
            return
        self._hub.count("closed.too-slow")
        self._begin_closing("too-slow")
        self._transport.close(CloseCode.TOO_SLOW, "you read too slowly")

    # --- frames -------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a text frame."""
        self._outbox.put(frame)

    def send_list(self, frame: bytes) -> None:
        """Send a list of peers; one that still waits to be sent is replaced."""
        self._outbox.put_list(frame)

    def receive(self, frame: str) -> asyncio.Future[None] | None:
        """Take a text frame that came in.

        Returns:
            None, or a future that ends when the next one may be read.
        """
        if self._closing:
            return None
        self.heard()
        encoded = frame.encode()
        self._inbox.append(encoded)
        self._inbox_bytes += len(encoded)
        self._wakeup.set()
        if not self._paused:
            return None
        self._room = self._loop.create_future()
        return self._room

    async def _work(self) -> None:
        """Handle frames strictly in order, one after another."""
        while True:
            while self._inbox:
                if not await self._pace():
                    return
                frame = self._inbox.popleft()
                self._inbox_bytes -= len(frame)
                if not self._paused:
                    self._make_room()
                await self._handle(frame)
            if self._closing:
                return
            self._wakeup.clear()
            await self._wakeup.wait()

    async def _handle(self, frame: bytes) -> None:
        try:
            await self._hub.handle(self, frame)
        except Exception:
            log.exception(
                "a message could not be handled; its connection is closed",
                extra={
                    "connection_id": self.address.connection_id,
                    "request_id": self.handshake.request_id,
                },
            )
            self._hub.count("closed.internal-error")
            self.close(CloseCode.INTERNAL_ERROR, "internal error", left="internal-error")

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    async def _pace(self) -> bool:
        """Wait until the message rate allows another message; nothing is dropped.

        Returns:
            False if the client was above the rate for so long that it was closed.
        """
        # The bucket may be another one, or none, after each wait: see `limits_changed`.
        while self._bucket and (wait_s := self._bucket.take(self._hub.clock.now())):
            now = self._hub.clock.now()
            if self._throttled_since is None:
                self._throttled_since = now
            elif now - self._throttled_since > MAX_THROTTLED_S:
                self._hub.count("closed.too-many-messages")
                self.close(CloseCode.TOO_MANY, "too many messages", left="too-many-messages")
                return False
            await asyncio.sleep(wait_s)
        if not self._paused and len(self._inbox) < MAX_WAITING_FRAMES // 2:
            self._throttled_since = None
        return True

    # --- liveness -----------------------------------------------------------

    def heard(self) -> None:
        """Something came from the client: a frame, or the answer to a ping."""
        self._heard_since_ping = True
        for probe in self._probes:
            if not probe.done():
                probe.set_result(None)

    async def probe(self, timeout_s: float) -> bool:
        """Ping the client and tell whether anything comes from it in time.

        While reading is paused nothing can come, so that says nothing against it.
        """
        if self._closing:
            return False
        sign: asyncio.Future[None] = self._loop.create_future()
        self._probes.add(sign)
        try:
            self._transport.ping()
            async with asyncio.timeout(timeout_s):  # wait_for may forget a cancellation
                await sign
        except TimeoutError:
            return self._paused and not self._closing
        finally:
            self._probes.discard(sign)
        return not self._closing

    @property
    def _paused(self) -> bool:
        return len(self._inbox) >= MAX_WAITING_FRAMES or self._inbox_bytes >= MAX_WAITING_BYTES

    def _later(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(delay_s, callback)

    def _again(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        """Set a timer in place of the one of that name; 0 is never, as in the settings."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if delay_s and not self._closing:
            self._later(name, delay_s, callback)

    def _cancel_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _check_hello(self) -> None:
        if not self.registered:
            self._hub.count("closed.no-hello")
            self.close(CloseCode.NO_HELLO, "no `new` in time", left="no-hello")

    def _time_expiry(self) -> None:
        left_s = self.expires_at - self._hub.clock.wall()
        wait_s = 0 if math.isinf(left_s) else max(0.001, min(left_s, MAX_EXPIRY_WAIT_S))
        self._again("expiry", wait_s, self._check_expiry)

    def _check_expiry(self) -> None:
        """The timer runs on the monotonic clock, and early: only the wall clock says it is so."""
        if self._hub.clock.wall() < self.expires_at:
            self._time_expiry()
            return
        error = SignalingError("identity-expired", "Your sign-in has expired.")
        self._hub.count_error(error.code)
        self._hub.count("closed.identity-expired")
        self.send(error_frame("", error))
        self.close(CloseCode.NOT_AUTHENTICATED, error.reason, left="identity-expired")

    def _heartbeat(self) -> None:
        self._outbox.put(HEARTBEAT)
        self._again("heartbeat", self._hub.limits.heartbeat_s, self._heartbeat)

    def _check_alive(self) -> None:
        """Ping; without any sign of life since the last ping the client is gone."""
        if not (self._heard_since_ping or self._paused):
            self._hub.count("closed.no-pong")
            self.abort(left="no-pong")
            return
        self._heard_since_ping = False
        self._transport.ping()
        self._again("ping", self._hub.limits.ping_s, self._check_alive)


def _bucket(rate: float, now: float) -> TokenBucket | None:
    """What a client may send: messages per second, 0 for no limit."""
    return TokenBucket(rate, max(1.0, rate * BURST_S), now) if rate else None
