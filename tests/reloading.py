"""A server made from a file that a test rewrites: ``site.reload({"signaling.ping_s": "1"})``."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.plugins.turn.client import TurnClient
from tests.plugins.turn.site import HOST, SECRET, TurnSite
from tests.service import ini
from tests.wire import WireClient
from tornado_webrtc.clock import Clock
from tornado_webrtc.reload import ReloadReport
from tornado_webrtc.server import Server, load

BASIS = {
    "general.bind": f"{HOST},",
    "general.port": "0",
    "general.state_dir": "state",
    "turn.bind": f"{HOST},",
    "turn.port": "0",
    "turn.port_tcp": "0",
    "turn.public_ip": f"{HOST},",
    "turn.secret": SECRET,
    "turn.allow_peers": "127.0.0.0/8,",
    "turn.challenges_per_s": "0",
    "plugins.disabled": "logging_console,",
    "admin.socket": "",
}
"""What every file says, unless a test says something else."""


class ReloadSite:
    """A folder with a configuration, and the server that runs with it.

    Attributes:
        folder: Where the file is.
        conf: The file.
        settings: What it says: texts by ``section.key``.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.conf = folder / "server.ini"
        self.settings = dict(BASIS)
        self._stack = stack
        self._turn: TurnSite | None = None

    @property
    def server(self) -> Server:
        """The server, started."""
        return self.turn.server

    @property
    def turn(self) -> TurnSite:
        """Makes TURN clients."""
        assert self._turn is not None
        return self._turn

    def write(self, changes: Mapping[str, str]) -> None:
        """Write the file with other settings."""
        self.settings |= changes
        self.conf.write_text(ini(self.settings))

    async def start(
        self, settings: Mapping[str, str] | None = None, *, clock: Clock | None = None
    ) -> Server:
        """Start the server; the end of the test stops it."""
        self.write(settings or {})
        server = Server(*load(self.conf), clock=clock)
        self._stack.push_async_callback(server.stop)
        await server.start()
        self._turn = TurnSite(server, self._stack.enter_context(ExitStack()))
        return server

    async def reload(self, changes: Mapping[str, str]) -> ReloadReport:
        """Change the file, and let the server read it again."""
        self.write(changes)
        return await self.server.reload()

    async def connect(self, peer_id: str = "") -> WireClient:
        """A WebSocket, signed in if it is given a name."""
        client = await self._stack.enter_async_context(await WireClient.connect(self.server.port))
        if peer_id:
            await client.register(peer_id)
        return client

    async def allocated(self, name: str = "alice") -> TurnClient:
        """A TURN client with an allocation."""
        client = await self.turn.udp(name)
        await client.allocate()
        return client


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ReloadSite]:
    """A site whose server is not started yet."""
    async with AsyncExitStack() as stack:
        yield ReloadSite(tmp_path, stack)
