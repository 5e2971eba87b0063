"""TURN clients over TCP: messages and ChannelData framed in a stream (RFC 8656 section 12.5).

A client is served in callbacks of the event loop, without futures or tasks: one
read brings frames for the relay table all at once, and all frames that one turn
of the loop brings for a client leave in one write.

A client that never had an allocation is a stranger: it gets less of everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.hooks import SocketAddress, StreamProtocol
from tornado_webrtc.repeats import Repeats
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.framing import MAX_BYTES, Framer
from tornado_webrtc.turn.quota import client_prefixes
from tornado_webrtc.turn.server import MAX_STRANGER_BYTES

from .stranger import Strangers

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["TurnStreams", "claims_turn"]

log = logging.getLogger("tornado_webrtc.plugins.turn")

READ_BYTES = 16384
"""What is taken from one client before it is the next one's turn.

As much as a TLS record holds: what TLS has decrypted and nobody read would wake nobody.
"""

MAX_WAITING_BYTES = 262144
"""What may wait for a client that reads slowly; beyond it, relayed data is dropped."""

ANSWER_BYTES = 65536
"""What answers may add to that; a stream without room for an answer is closed.

All that a stranger may have waiting.
"""

FRAMES_AT_ONCE = 64
"""Frames that are handled before others get their turn, a stranger's one by one.

Nothing is read until all of a read are handled.
"""

IDLE_S = 60.0
"""Seconds after the last whole message, or the beginning, in which a stream needs an allocation.

A keep-alive is a whole message, a byte now and then is none.
"""

LAST_STUN_BYTE = 3


def claims_turn(first: bytes) -> bool:
    """Whether a connection begins with a STUN message (RFC 7983 section 7)."""
    return first[0] <= LAST_STUN_BYTE


class TurnStreams:
    """All TCP clients of one TURN server.

    Args:
        driver: Handles what they send.
        now: Monotonic seconds.
    """

    def __init__(self, driver: Driver, now: Callable[[], float]) -> None:
        self.driver = driver
        self.now = now
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.clients: set[Client] = set()
        self.strangers = Strangers()
        self._repeats = Repeats(now)

    def protocol(self) -> StreamProtocol:
        """What the core's listener needs to know."""
        return StreamProtocol("turn", claims_turn, self._handle)

    def close(self) -> None:
        """Close every stream."""
        for client in tuple(self.clients):
            client.close()

    def _handle(
        self, stream: IOStream, peer: SocketAddress, local: SocketAddress, tls: bool
    ) -> None:
        transport = "tls" if tls else "tcp"
        five_tuple = FiveTuple(transport, TransportAddress(*peer), TransportAddress(*local))
        prefix, _ = client_prefixes(five_tuple.client.host)
        if not self.strangers.has_room(prefix):
            self._refuse(stream, five_tuple)
            return
        client = Client(self, stream, five_tuple, prefix)
        self.clients.add(client)
        self.strangers.add(prefix)
        self.driver.connected(five_tuple, client)
        client.start()

    def _refuse(self, stream: IOStream, five_tuple: FiveTuple) -> None:
        stream.close()
        self.driver.turn.dropped("too-many-streams")
        if count := self._repeats.add("too many streams"):
            log.warning(
                "TURN stream of %s was refused: too many without an allocation are open"
                " (%d refusals since this was last logged)",
                five_tuple.client,
                count,
            )


class Client:
    """One client's stream, read and written at each event of its socket.

    The stream's own reads and writes are not used: each makes a future. What is
    below them is, so TLS makes no difference here.

    Args:
        streams: What it has in common with the others.
        stream: Has no read or write under way.
        five_tuple: Its ends.
        prefix: What counts as the same client.
    """

    def __init__(
        self, streams: TurnStreams, stream: IOStream, five_tuple: FiveTuple, prefix: str
    ) -> None:
        self._streams = streams
        self._stream = stream
        self._five_tuple = five_tuple
        self._prefix = prefix
        self._has_allocation = False
        self._is_stranger = True
        self._receive = streams.driver.table.receive
        self._framer = Framer(MAX_STRANGER_BYTES)
        self._frames: list[bytes] = []
        self._waiting = bytearray()
        self._max_answer_waiting = ANSWER_BYTES
        self._blocked = False
        self._spoke_at = streams.now()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(IDLE_S, self.end_if_idle)

    def start(self) -> None:
        """Serve the client until its stream is closed."""
        stream, io_loop = self._stream, self._stream.io_loop
        # A stream with a close callback has a handler of its own, and closing
        # it removes the socket's handler: from here on, that is this one.
        stream.set_close_callback(self.close)
        io_loop.remove_handler(stream.fileno())
        io_loop.add_handler(stream.fileno(), self._on_event, IOLoop.READ)
        self._read_returned()

    def close(self, error: Exception | None = None) -> None:
        """Close the stream; the client's allocation goes with it."""
        streams = self._streams
        if self not in streams.clients:
            return
        log.debug("%s: TURN stream ends: %r", self._five_tuple.client, error)
        self._timer.cancel()
        self._stream.set_close_callback(None)
        self._stream.close()
        self._frames = []
        streams.clients.remove(self)
        if not self._has_allocation:
            streams.strangers.remove(self._prefix)
        streams.driver.disconnected(self._five_tuple, self)

    def allocation_began(self) -> None:
        """Trust the client with more from now on."""
        self._has_allocation, self._is_stranger = True, False
        self._framer.max_bytes = MAX_BYTES
        self._max_answer_waiting = MAX_WAITING_BYTES + ANSWER_BYTES
        self._streams.strangers.remove(self._prefix)

    def allocation_ended(self) -> None:
        """Count the client again; what it still sends over channels is no reason to close."""
        self._has_allocation = False
        self._streams.strangers.add(self._prefix)

    def answer(self, message: bytes) -> None:
        """Send what may not be lost soon, or close the stream.

        "There are no retransmissions at the STUN protocol level" over TCP
        (RFC 8489 section 6.2.2).
        """
        if not self.write(message, self._max_answer_waiting):
            # Not now: whoever answers has more to do for this client.
            self._loop.call_soon(self.close, BufferError("no room for an answer"))

    def write(self, frame: bytes, max_waiting: int = MAX_WAITING_BYTES) -> bool:
        """Send a frame soon; False if too much waits already: it is dropped."""
        waiting = self._waiting
        if len(waiting) + len(frame) > max_waiting or self._stream.closed():
            return False
        if not waiting:
            self._loop.call_soon(self._flush)
        waiting += frame
        return True

    def end_if_idle(self) -> None:
        """Close the stream if it is of no use to anybody, else look again in time."""
        streams = self._streams
        left_s = self._spoke_at + IDLE_S - streams.now()
        if streams.driver.has_allocation(self._five_tuple):
            left_s = IDLE_S
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self.end_if_idle)
        else:
            self.close(TimeoutError("idle"))

    def _on_event(self, _socket: object, events: int) -> None:
        if not events & IOLoop.READ:
            self._flush()
        elif not self._frames:
            self._read()

    def _read_returned(self) -> None:
        """Read what the listener has put back: no event tells of it."""
        if self._frames or self._read() == READ_BYTES:
            self._loop.call_soon(self._read_returned)

    def _read(self) -> int:
        """Read once; returns how many bytes came."""
        if self._stream.closed():
            return 0
        buffer = self._streams.buffer
        try:
            size = self._stream.read_from_fd(buffer)
            if size is None:
                return 0
            frames = self._framer.feed(bytes(buffer[:size]))
        except (OSError, DecodeError) as error:
            self.close(error)
            return 0
        if frames:
            self._spoke_at = self._streams.now()
            self._handle(frames)
        elif not size:
            self.close()
        return size

    def _handle(self, frames: list[bytes]) -> None:
        """Handle frames, as many as may be in one turn of the loop."""
        count = 1 if self._is_stranger else FRAMES_AT_ONCE
        self._frames = frames[count:]
        self._receive(self._five_tuple, frames[:count])
        if self._is_stranger and frames[0][0] > LAST_STUN_BYTE:
            # No client does that. If its allocation has just expired, it is no stranger.
            self.close(DecodeError("ChannelData without an allocation"))
        if self._frames:
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._frames:
            self._handle(self._frames)

    def _flush(self) -> None:
        """Write what waits, as far as there is room for it."""
        if self._stream.closed():
            return
        try:
            with memoryview(self._waiting) as view:
                size = self._stream.write_to_fd(view)
        except BlockingIOError:
            size = 0
        except OSError as error:
            self.close(error)
            return
        del self._waiting[:size]
        if self._blocked != bool(self._waiting):
            self._blocked = not self._blocked
            events = IOLoop.READ | IOLoop.WRITE if self._blocked else IOLoop.READ
            self._stream.io_loop.update_handler(self._stream.fileno(), events)
