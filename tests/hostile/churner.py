"""Somebody who does at random what signaling clients do, and what they should not do."""

import asyncio
import contextlib
import random
import time

from tests.hostile.site import Site, reset
from tests.wire import ClosedError, WireClient, encode_frame

CHURNERS = 40


class Churner:
    """Somebody who does at random what clients do, and ends it in every possible way."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site = site
        self._random = random.Random(seed)  # noqa: S311
        self._acts = (self._idle, self._sign_in, self._call, self._call, self._abuse, self._half)
        self.rounds = 0

    async def run_until(self, deadline: float) -> None:
        """Act again and again."""
        while time.monotonic() < deadline:
            with contextlib.suppress(ClosedError, ConnectionError, asyncio.IncompleteReadError):
                await self._random.choice(self._acts)()
            self.rounds += 1

    async def _end(self, client: WireClient) -> None:
        """Leave, close, drop or reset."""
        way = self._random.randrange(5)
        if way == 0:
            reset(client)
            return
        if way == 1:
            await client.send("leave")
        elif way == 2:
            await client.send_raw(encode_frame(0x8, b"\x03\xe9"))
        elif way == 3:
            client.writer.write(encode_frame(0x1, b'{"type":"leave"}')[:9])
        client.writer.close()

    def _id(self) -> str:
        return f"churner-{self._random.randrange(CHURNERS)}"

    async def _idle(self) -> None:
        client = await self._site.connect()
        await self._end(client)

    async def _half(self) -> None:
        _, writer = await self._site.open_stream()
        writer.write(b"\x16\x03\x01"[: self._random.randrange(4)])
        writer.close()

    async def _signed_in(self) -> WireClient:
        """Sign in with an id that others may want at the same time."""
        client = await self._site.connect()
        client.id = self._id()
        await client.send("new", {"id": client.id, "name": "", "user_agent": ""})
        return client

    async def _sign_in(self) -> None:
        client = await self._signed_in()
        if self._random.randrange(2):
            await client.read()
        await self._end(client)

    async def _call(self) -> None:
        client = await self._signed_in()
        await client.read()
        for _ in range(self._random.randrange(1, 5)):
            other = self._id()
            session_id = f"{client.id}-{other}"
            await client.send("offer", {"to": other, "session_id": session_id})
            if self._random.randrange(2):
                await client.send("candidate", {"to": other, "session_id": session_id})
            if self._random.randrange(2):
                await client.send("bye", {"session_id": session_id})
        if self._random.randrange(2):
            await asyncio.sleep(self._random.random() / 4)
        await self._end(client)

    async def _abuse(self) -> None:
        client = await self._signed_in()
        await client.send_raw(self._random.choice((b"\xff" * 20, encode_frame(0x2, b"x"))))
        await client.read_until_closed()
        client.writer.close()
