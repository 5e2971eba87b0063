"""Somebody who signs in and then never reads, with as little buffer as the system allows."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.hostile.site import DEADLINE_S, Site
from tests.wire import TEXT, encode_frame, upgrade_request

RECEIVE_BUFFER_BYTES = 2048


def text_frame(message: object) -> bytes:
    """A text frame that holds one message."""
    return encode_frame(TEXT, json.dumps(message).encode())


class Mute:
    """The socket of somebody who does not read."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self.sock, data)

    async def read_to_end(self) -> bytes:
        """Read at last, until the connection ends."""
        received = bytearray()
        try:
            while chunk := await asyncio.wait_for(
                self._loop.sock_recv(self.sock, 65536), DEADLINE_S
            ):
                received += chunk
        except ConnectionResetError:
            pass
        return bytes(received)


@asynccontextmanager
async def mute(site: Site, peer_id: str, **fields: str) -> AsyncIterator[Mute]:
    """Sign somebody in who does not read."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", site.port))
        somebody = Mute(sock)
        hello = {"type": "new", "data": {"id": peer_id, "name": "", "user_agent": "", **fields}}
        await somebody.send(upgrade_request() + text_frame(hello))
        yield somebody
