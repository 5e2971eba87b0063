"""TURN clients over TCP: messages and ChannelData framed in a stream (RFC 8656 section 12.5)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tornado.iostream import IOStream, StreamClosedError

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.hooks import SocketAddress, StreamProtocol
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.framing import Framer

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["TurnStreams", "claims_turn"]

log = logging.getLogger("tornado_webrtc.plugins.turn")

READ_BYTES = 65536
MAX_WAITING_BYTES = 262144
"""What may wait for a client that reads slowly; beyond it, relayed data is dropped."""

IDLE_S = 60.0
"""Seconds that a stream without an allocation may be silent."""

LAST_STUN_BYTE = 3


def claims_turn(first: bytes) -> bool:
    """Whether a connection begins with a STUN message (RFC 7983 section 7)."""
    return first[0] <= LAST_STUN_BYTE


class TurnStreams:
    """All TCP clients of one TURN server.

    Args:
        driver: Handles what they send.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._open: set[IOStream] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def protocol(self) -> StreamProtocol:
        """What the core's listener needs to know."""
        return StreamProtocol("turn", claims_turn, self._handle)

    async def close(self) -> None:
        """Close every stream and wait until nobody reads any more."""
        for stream in tuple(self._open):
            stream.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handle(
        self, stream: IOStream, peer: SocketAddress, local: SocketAddress, tls: bool
    ) -> None:
        transport = "tls" if tls else "tcp"
        five_tuple = FiveTuple(transport, TransportAddress(*peer), TransportAddress(*local))
        stream.max_write_buffer_size = None
        self._open.add(stream)
        task = asyncio.ensure_future(self._serve(stream, five_tuple))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: IOStream, five_tuple: FiveTuple) -> None:
        self._driver.connected(five_tuple, _Sink(stream).write)
        framer = Framer()
        try:
            while True:
                for frame in framer.feed(await self._read(stream, five_tuple)):
                    self._driver.receive(five_tuple, frame)
        except (StreamClosedError, TimeoutError, DecodeError) as error:
            log.debug("%s: TURN stream ends: %r", five_tuple.client, error)
        finally:
            stream.close()
            self._open.discard(stream)
            self._driver.disconnected(five_tuple)

    async def _read(self, stream: IOStream, five_tuple: FiveTuple) -> bytes:
        reading = stream.read_bytes(READ_BYTES, partial=True)
        while True:
            try:
                return await asyncio.wait_for(asyncio.shield(reading), IDLE_S)
            except TimeoutError:
                if not self._driver.has_allocation(five_tuple):
                    raise


class _Sink:
    """Writes frames to a stream as long as not too much waits."""

    def __init__(self, stream: IOStream) -> None:
        self._stream = stream
        self._waiting = 0

    def write(self, frame: bytes) -> bool:
        """Write a frame; False if it was dropped."""
        if self._stream.closed() or self._waiting + len(frame) > MAX_WAITING_BYTES:
            return False
        self._waiting += len(frame)
        self._stream.write(frame).add_done_callback(lambda done: self._written(done, len(frame)))
        return True

    def _written(self, done: asyncio.Future[None], size: int) -> None:
        self._waiting -= size
        if not done.cancelled():
            done.exception()  # a stream that closed is noticed where it is read
