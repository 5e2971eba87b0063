"""Somebody who does at random what TURN clients do, and what they should not do."""

import asyncio
import os
import random
import socket
import time

from tests.hostile.operated import HOST, PEER, OperatedSite
from tests.plugins.turn.client import CHANNEL, TcpWire, TurnClient, Wire, code
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import EVEN_PORT, LIFETIME
from tornado_webrtc.stun.message import Method

USERS = 12


class TurnChurner:
    """One of a crowd that allocates, relays, leaves and breaks things.

    Args:
        site: What it uses.
        seed: Makes it do what it does.
        reserving: Whether it reserves ports, which are kept for 30 s (RFC 8656 section 7.2).

    Attributes:
        rounds: How often something was done.
        unanswered: How often the server did not answer a request.
        codes: Which error codes it was answered, 0 for success.
    """

    def __init__(self, site: OperatedSite, seed: int, reserving: bool) -> None:
        self._site = site
        self._random = random.Random(seed)  # noqa: S311
        self._acts = (self._relay, self._relay, self._abandon, self._garbage, self._wrong)
        self._reserving = reserving
        self._host = f"127.0.4.{1 + seed % 250}"
        self.rounds = 0
        self.unanswered = 0
        self.codes: set[int] = set()

    async def run_until(self, deadline: float) -> None:
        """Act again and again."""
        while time.monotonic() < deadline:
            try:
                await self._random.choice(self._acts)()
            except TimeoutError:
                self.unanswered += 1
            except OSError:
                pass  # an operator has ended the connection
            self.rounds += 1

    async def _client(self) -> TurnClient:
        name = f"turner-{self._random.randrange(USERS)}"
        if self._random.randrange(3):
            return self._site.udp(name, host=self._host)
        return await self._site.tcp(name, host=self._host)

    async def _allocated(self, client: TurnClient) -> bool:
        reserve = self._reserving and self._one_in(2)
        extra = [(EVEN_PORT, reserve)] if self._one_in(4) else []
        lifetime = (LIFETIME, self._random.choice((0, 1, 600, 1 << 31)))
        result = await client.try_to_allocate(lifetime, *extra)
        self.codes.add(result)
        return result == 0

    async def _relay(self) -> None:
        """Allocate, permit, bind, send, refresh; leave in one way or another."""
        client = await self._client()
        try:
            if not await self._allocated(client):
                return
            for _ in range(self._random.randrange(1, 6)):
                await self._use(client)
            if self._one_in(2):
                self.codes.add(await client.refresh(0))
        finally:
            self._end(client.wire)

    async def _use(self, client: TurnClient) -> None:
        peer = TransportAddress(PEER, self._random.randrange(1024, 65536))
        if self._one_in(2):
            self.codes.add(await client.permit(peer))
        number = CHANNEL + self._random.randrange(4)
        self.codes.add(await client.bind(peer, number))
        for _ in range(self._random.randrange(10)):
            client.send_channel(os.urandom(self._random.randrange(1200)), number)
            client.indicate(peer, b"x")
        if self._one_in(3):
            self.codes.add(await client.refresh(600))

    async def _abandon(self) -> None:
        """Allocate and say nothing more."""
        client = await self._client()
        try:
            await self._allocated(client)
        finally:
            self._end(client.wire)

    async def _wrong(self) -> None:
        """Sign with a wrong password, or with the name of somebody else."""
        client = await self._client()
        client.password = "wrong"
        try:
            response = await client.request(Method.ALLOCATE)
            self.codes.add(code(response))
        finally:
            self._end(client.wire)

    async def _garbage(self) -> None:
        """Send what no client sends, over UDP and TCP."""
        noise = [os.urandom(self._random.randrange(1, 1400)) for _ in range(10)]
        noise += [b"\x00\x03\x00\x00\x21\x12\xa4\x42" + os.urandom(12), b"\x40\x00\xff\xff"]
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            for each in noise:
                sock.sendto(each, self._site.turn_udp)
        port = self._random.choice((self._site.port, self._site.turn_tcp.port))
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(self._random.choice(noise))
        writer.transport.abort()
        await asyncio.sleep(self._random.random() / 10)

    def _end(self, wire: Wire) -> None:
        if isinstance(wire, TcpWire) and self._one_in(2):
            wire.reset()
        else:
            wire.close()

    def _one_in(self, count: int) -> bool:
        return not self._random.randrange(count)
