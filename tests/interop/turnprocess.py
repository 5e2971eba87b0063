"""A TURN server in a process of its own, and what it says of itself."""

import asyncio
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service import Served
from tests.web.rawhttp import fetch

HERE = Path(__file__).resolve().parent
DEADLINE_S = 30.0
LISTENERS = 1
REST_S = 0.5

REALM = "interop.example"
SECRET = "north-sea-herring"
USER, PASSWORD = "ninefingers", "youhavetoberealistic"

CONFIGURATION = """
[general]
bind = 127.0.0.1,
port = 0
drain_s = 0

[turn]
bind = {addresses}
port = 0
port_tcp = 0
public_ip = {addresses}
realm = {realm}
secret = {secret},
users_file = users
api_per_minute = 0
{more}

[plugins]
path = {plugins},
required = turn, turn_debug
"""


@dataclass(frozen=True)
class Credential:
    """What `/api/turn` hands out; the ports are those of its URIs."""

    username: str
    password: str
    uris: list[str]


@dataclass(frozen=True)
class Counts:
    """What `GET /debug/turn` says; see plugins/turn_debug.py.

    Attributes:
        created: Allocations made since the server started, and so below.
        refreshed: Refresh requests that extended one.
        packets_to_peer, bytes_to_peer: What allocations that have ended relayed.
        packets_from_peer, bytes_from_peer: The same, the other way.
        dropped: What they did not relay.
        live: How many allocations each user has now.
        ended: How many ended, by reason.
        udp_sockets: How many UDP sockets the process has open; one takes clients.
    """

    created: int
    refreshed: int
    packets_to_peer: int
    bytes_to_peer: int
    packets_from_peer: int
    bytes_from_peer: int
    dropped: int
    live: dict[str, int]
    ended: dict[str, int]
    udp_sockets: int

    @property
    def allocations(self) -> int:
        """How many there are now."""
        return sum(self.live.values())


class TurnProcess:
    """The server that tests talk to.

    Args:
        port: Where it speaks HTTP.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    async def credential(self, name: str) -> Credential:
        """Ask for a time-limited credential, as an app does."""
        answer = await self._get(f"/api/turn?service=turn&username={name}")
        return Credential(answer["username"], answer["password"], answer["uris"])

    async def ice_servers(self, name: str) -> list[dict[str, Any]]:
        """Ask for a credential in the form of browsers."""
        answer = await self._get(f"/api/turn?service=turn&username={name}&format=ice")
        servers: list[dict[str, Any]] = answer["iceServers"]
        return servers

    async def turn_port(self, transport: str) -> int:
        """Where it takes TURN clients over UDP or TCP."""
        uris = (await self.credential("somebody")).uris
        pattern = rf"turn:127\.0\.0\.1:(\d+)\?transport={transport}"
        (port,) = [int(found[1]) for uri in uris if (found := re.fullmatch(pattern, uri))]
        return port

    async def counts(self) -> Counts:
        """What it knows of allocations now."""
        return Counts(**await self._get("/debug/turn"))

    async def settled(self, allocations: int) -> Counts:
        """Wait until it has no more allocations than these."""
        return await self.reached(lambda counts: counts.allocations <= allocations)

    async def rested(self) -> Counts:
        """Wait until its counts stay what they are."""
        before: list[Counts] = []

        def same(counts: Counts) -> bool:
            before.append(counts)
            return before[-2:-1] == [counts]

        return await self.reached(same, every_s=REST_S)

    async def idle(self) -> Counts:
        """Wait until there is no allocation any more, nor a socket that one had."""
        return await self.reached(
            lambda counts: not counts.allocations and counts.udp_sockets == LISTENERS
        )

    async def reached(
        self, condition: Callable[[Counts], bool], *, every_s: float = 0.05
    ) -> Counts:
        """Wait until a condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition(counts := await self.counts()):
            assert time.monotonic() < deadline, counts
            await asyncio.sleep(every_s)
        return counts

    async def _get(self, target: str) -> dict[str, Any]:
        answer = await fetch(self.port, target)
        assert answer.status == 200, answer
        content: dict[str, Any] = answer.json
        return content


@contextmanager
def running_turn_server(
    folder: Path, *, addresses: str = "127.0.0.1,", more: str = ""
) -> Iterator[TurnProcess]:
    """Serve until the context ends; then it has to stop by itself, without complaints.

    Args:
        folder: Where configuration, state and log are put.
        addresses: Where it takes TURN clients, and relays.
        more: Further lines of `[turn]`.
    """
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    (folder / "users").chmod(0o600)
    configuration = folder / "server.ini"
    text = CONFIGURATION.format(
        addresses=addresses, realm=REALM, secret=SECRET, more=more, plugins=HERE / "plugins"
    )
    configuration.write_text(text)
    configuration.chmod(0o600)
    with Served(folder, ["--conf", configuration]) as served:
        assert served.heard() == "READY=1"
        yield TurnProcess(served.port())
        served.process.send_signal(signal.SIGTERM)
        assert served.exit_code() == 0, served.log
    complaints = [line for line in served.log.splitlines() if re.search(r"ERROR|Traceback", line)]
    assert not complaints, served.log
