"""A server with the TURN plugin, its clients and their peers, all on 127.0.0.0/8."""

import asyncio
import re
from contextlib import ExitStack
from ipaddress import ip_network
from typing import Any

from tests.plugins.turn.client import TcpWire, TurnClient, UdpWire
from tests.relay.lab import Endpoint
from tests.web.conftest import Serve
from tornado_webrtc import hookimpl
from tornado_webrtc.clock import Clock
from tornado_webrtc.config.address import parse_public_address
from tornado_webrtc.credential import mint
from tornado_webrtc.hooks import (
    IceRequest,
    IceServer,
    SocketAddress,
    TurnAllocation,
    TurnTraffic,
)
from tornado_webrtc.pluginmanager import FoundPlugin
from tornado_webrtc.plugins import turn
from tornado_webrtc.plugins.turn.driver import Driver
from tornado_webrtc.server import Server
from tornado_webrtc.stun.address import TransportAddress

REALM = "example.org"
SECRET = "the-first-secret"
HOST = "127.0.0.1"
TTL_S = 600
LOOPBACK = (ip_network("127.0.0.0/8"),)
SETTINGS = {
    "bind": (HOST,),
    "port": 0,
    "port_tcp": 0,
    "public_ip": (parse_public_address(HOST),),
    "realm": REALM,
    "secret": (SECRET,),
    "challenges_per_s": 0.0,
}

Event = tuple[Any, ...]


def found() -> FoundPlugin:
    """The plugin as discovery finds it."""
    return FoundPlugin("turn", turn, "shipped", turn.SETTINGS)


class Recorder:
    """A plugin that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        self.events.append(("created", allocation))

    @hookimpl
    def allocation_refreshed(self, allocation: TurnAllocation) -> None:
        self.events.append(("refreshed", allocation))

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        self.events.append(("deleted", allocation, traffic, reason))

    @hookimpl
    def permission_created(self, allocation: TurnAllocation, peer_ip: str) -> None:
        self.events.append(("permitted", allocation, peer_ip))

    @hookimpl
    def channel_bound(self, allocation: TurnAllocation, number: int, peer: SocketAddress) -> None:
        self.events.append(("bound", allocation, number, peer))

    @property
    def names(self) -> list[str]:
        """What happened, without the details."""
        return [event[0] for event in self.events]


class Manual:
    """A clock that stands still until a test moves it on."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0
        self.clock = Clock(now=lambda: self.seconds, wall=lambda: self.seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


class TurnSite:
    """A running server, and what tests need around it.

    Args:
        server: With the plugin, started.
        stack: Closes what is opened here.
    """

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack
        self._plugin: turn.Plugin | None = None

    @property
    def plugin(self) -> turn.Plugin:
        """The plugin's object, also after the server has stopped and forgotten it."""
        if self._plugin is None:
            plugin = self.server.plugins._pluggy.get_plugin("turn")
            assert isinstance(plugin, turn.Plugin)
            self._plugin = plugin
        return self._plugin

    @property
    def driver(self) -> Driver:
        """What the plugin made at its start."""
        driver = self.plugin._driver
        assert driver is not None
        return driver

    async def ice_servers(self) -> list[IceServer]:
        """What clients are told."""
        request = IceRequest(username="alice", remote_ip=HOST, host="localhost")
        servers = await self.server.hooks.lookup("ice_servers", request=request)
        assert isinstance(servers, list)
        return servers

    async def address(self, transport: str) -> TransportAddress:
        """Where it takes TURN clients, over ``udp`` or ``tcp``."""
        uris = [uri for server in await self.ice_servers() for uri in server.urls]
        pattern = rf"turn:([\d.]+):(\d+)\?transport={transport}"
        (match,) = [found for uri in uris if (found := re.fullmatch(pattern, uri))]
        return TransportAddress(match[1], int(match[2]))

    def credential(self, name: str, secret: str = SECRET) -> tuple[str, str]:
        """User name and password, as `/api/turn` makes them."""
        made = mint(secret, name, TTL_S, self.server.clock.wall())
        return made.username, made.password

    async def udp(
        self,
        name: str = "alice",
        *,
        host: str = HOST,
        there: TransportAddress | None = None,
        credential: tuple[str, str] | None = None,
    ) -> TurnClient:
        """A client over UDP."""
        wire = UdpWire(host, there or await self.address("udp"))
        self._stack.callback(wire.close)
        return TurnClient(wire, *(credential or self.credential(name)))

    async def connect(self, host: str = HOST, port: int = 0) -> TcpWire:
        """A TCP connection to the server."""
        there = await self.address("tcp")
        wire = TcpWire(*await asyncio.open_connection(*there, local_addr=(host, port)))
        self._stack.callback(wire.close)
        return wire

    async def tcp(self, name: str = "alice") -> TurnClient:
        """A client over TCP."""
        return TurnClient(await self.connect(), *self.credential(name))

    async def client(self, transport: str, name: str = "alice") -> TurnClient:
        """A client over ``udp`` or ``tcp``."""
        return await (self.udp(name) if transport == "udp" else self.tcp(name))

    def peer(self, host: str = HOST) -> Endpoint:
        """A UDP socket that no client of the server has."""
        endpoint = Endpoint(host)
        self._stack.callback(endpoint.sock.close)
        return endpoint


class StartTurn:
    """Starts servers: ``site = await start_turn(allow_peers=LOOPBACK, plugins=[…])``.

    Args:
        serve: The fixture that starts, and stops, servers.
        stack: Closes clients and peers.
    """

    def __init__(self, serve: Serve, stack: ExitStack) -> None:
        self._serve = serve
        self._stack = stack

    async def __call__(
        self,
        *plugins: object,
        clock: Clock | None = None,
        start: bool = True,
        general: dict[str, Any] | None = None,
        **settings: Any,
    ) -> TurnSite:
        server = await self._serve(
            turn={**SETTINGS, **settings},
            plugins=[found(), *plugins],
            required=["turn"],
            clock=clock,
            start=start,
            general=general,
        )
        return TurnSite(server, self._stack)
