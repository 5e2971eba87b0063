"""The TURN server: relays media for clients that cannot reach each other (RFC 8656).

Joins the protocol (`tornado_webrtc.turn`), the data plane (`tornado_webrtc.relay`)
and the core's listener. It has no section of its own: `[turn]` is the core's.

    __init__.py         the plugin: starts and stops, tells clients where to find it
    collection.py       what the operator sees of allocations
    driver.py           carries out what the protocol asks for, and answers its questions
    stream.py           clients over TCP
    stranger.py         counts those that have no allocation
    port.py             opens relay ports
    refusal.py          tells the operator of refused clients
    credential.py       who may use it: time-limited credentials, users from a file
    public_address.py   which addresses clients are told, and relays are bound to
    machine.py          what this machine knows of its addresses

For metrics: the hook `counters` says how often what happened, drops by their
reasons; `gauges` says how many relay ports are taken; per allocation, hooks are
told the traffic (`TurnTraffic`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.config import Config, IPAddress, Turn
from tornado_webrtc.credential import derive_key
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import Collection, Doubt, IceRequest, IceServer, PluginContext
from tornado_webrtc.machine import machine_addresses
from tornado_webrtc.relay import PureTable
from tornado_webrtc.turn.nonce import NonceSource
from tornado_webrtc.turn.policy import PeerPolicy
from tornado_webrtc.turn.quota import AllocationLimits, AllocationQuotas, ChallengeLimits
from tornado_webrtc.turn.server import TurnServer
from tornado_webrtc.turn.settings import TurnSettings

from .collection import allocations
from .credential import CredentialSource
from .driver import Driver
from .machine import UnansweredError, look_up, read_machine, together
from .port import VERSION_OF_FAMILY
from .public_address import Choice, find, told
from .stream import TurnStreams

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

ENABLED_BY_DEFAULT = True
REQUIRED = True

SETTINGS = ""

READ_AGAIN_S = 60.0

ANYWHERE = {"0.0.0.0": 4, "::": 6}


class Plugin:
    """The TURN server of one server process."""

    def __init__(self, context: PluginContext) -> None:
        self._settings: Turn = context.config.turn
        self._log = context.log
        self._choice: Choice | None = None
        self._driver: Driver | None = None
        self._server: Server | None = None
        self._credentials: CredentialSource | None = None
        self._streams: TurnStreams | None = None
        self._port = self._settings.port
        self._port_tcp = self._settings.port_tcp

    @hookimpl
    async def start(self, server: Server) -> None:
        """Open the ports and serve; if that fails, nothing stays open."""
        try:
            await self._start(server)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, server: Server) -> None:
        choice = await self._find_choice()
        table = PureTable(secrets.randbelow, server.clock.now)
        self._server = server
        self._credentials = CredentialSource(self._settings, server.secrets)
        turn = self._make_server(server, choice)
        self._driver = Driver(turn, table, choice, self._credentials, server, self._log)
        local = await listening_addresses(self._settings.bind)
        listening = self._driver.listen(local, self._settings.port)
        self._port = listening[0].port
        if self._settings.port_tcp is not None:
            self._streams = TurnStreams(self._driver, server.clock.now)
            bound = server.listener.listen(
                self._settings.bind, self._settings.port_tcp, [self._streams.protocol()], None
            )
            self._port_tcp = bound[0].port
        self._driver.start()
        self._say(choice)

    @hookimpl
    def collections(self, server: Server) -> dict[str, Collection]:
        """Show the operator the allocations."""
        if self._driver is None:
            return {}
        return {"allocations": allocations(self._driver, server.clock.now)}

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by other settings from now on; what cannot be read leaves all as it was."""
        if self._driver is None or self._server is None or self._credentials is None:
            return
        credentials = CredentialSource(new.turn, self._server.secrets)
        if credentials.users != self._credentials.users:
            self._log.info("users_file read again, users: %d", len(credentials.users))
        self._settings, self._credentials = new.turn, credentials
        turn = self._driver.turn
        actions = turn.change(
            replace(turn.settings, max_permissions=new.turn.max_permissions),
            policy=self._policy(self._server),
            limits=_allocation_limits(new.turn),
            challenges_per_s=new.turn.challenges_per_s,
        )
        self._driver.change(new.turn, credentials, actions)

    @hookimpl
    def server_draining(self) -> None:
        """Make no new allocations; those that are there go on."""
        if self._driver is not None:
            self._driver.turn.accepting = False

    @hookimpl(tryfirst=True)
    def server_stopped(self) -> None:
        """Close every allocation now: later, plugins that want to know of it are gone."""
        if self._driver is not None:
            self._driver.stop()

    @hookimpl
    async def stop(self) -> None:
        """Close every allocation and port."""
        if self._streams is not None:
            self._streams.close()
        if self._driver is not None:
            self._driver.stop()

    @hookimpl
    async def check(self) -> list[str]:
        """Say what is wrong with the users' file, and wrong or doubtful with the addresses."""
        found: list[str] = []
        try:
            CredentialSource(self._settings, ())
        except PluginError as error:
            found.append(f"turn.users_file: {error.reason}")
        try:
            choice = await self._find_choice()
        except UnansweredError as error:
            if not found:
                raise  # it may be otherwise in a moment: nothing is wrong with the settings
            found.append(error.reason)
        except PluginError as error:
            found.append(error.reason)
        else:
            found += map(Doubt, choice.warnings)
        return found

    @hookimpl
    async def ice_servers(self, request: IceRequest) -> Sequence[IceServer]:
        """Say where clients find this server; works before it is started too."""
        choice = await self._find_choice()
        turn, stun = [], []
        for address in choice.addresses:
            if not may_listen(self._settings.bind, address.version):
                continue
            host = f"[{address.advertised}]" if address.version == 6 else str(address.advertised)  # noqa: PLR2004
            if self._port:
                turn.append(f"turn:{host}:{self._port}?transport=udp")
                stun.append(f"stun:{host}:{self._port}")
            if self._port_tcp:
                turn.append(f"turn:{host}:{self._port_tcp}?transport=tcp")
        servers = [IceServer(urls=tuple(turn), needs_credential=True)] if turn else []
        return [*servers, *([IceServer(urls=tuple(stun), needs_credential=False)] if stun else [])]

    @hookimpl
    def counters(self) -> dict[str, int]:
        """How often what happened, by name; see `Driver.counters`. Empty until it is started."""
        return {} if self._driver is None else self._driver.counters()

    @hookimpl
    def gauges(self) -> dict[str, int]:
        """Relay ports, see `Driver.gauges`. Empty until it is started."""
        return {} if self._driver is None else self._driver.gauges()

    async def _find_choice(self) -> Choice:
        if self._choice is None:
            bind, machine = self._settings.bind, read_machine()
            found = await find(self._settings.public_ip, machine)
            self._choice = told(found, machine, bind, await listening_addresses(bind))
        return self._choice

    def _make_server(self, server: Server, choice: Choice) -> TurnServer:
        settings = self._settings
        relay_ips = {str(ip) for each in choice.addresses for ip in (each.advertised, each.local)}
        return TurnServer(
            TurnSettings(
                realm=settings.realm,
                max_permissions=settings.max_permissions,
                families=tuple(
                    family
                    for family, version in VERSION_OF_FAMILY.items()
                    if choice.of_version(version)
                ),
            ),
            nonces=NonceSource(derive_key(server.secrets[0], "turn nonces"), settings.realm),
            policy=self._policy(server),
            quotas=AllocationQuotas(_allocation_limits(settings)),
            challenges=ChallengeLimits(settings.challenges_per_s),
            relay_ips=relay_ips,
            random=secrets.token_bytes,
        )

    def _policy(self, server: Server) -> PeerPolicy:
        """Which peers may be reached."""
        settings, own = self._settings, OwnAddresses(server.clock.now)
        return PeerPolicy(settings.deny_peers, settings.allow_peers, own)

    def _say(self, choice: Choice) -> None:
        for line in choice.description:
            self._log.info("%s", line)
        tcp = f", TCP port {self._port_tcp}" if self._port_tcp else ""
        ports = self._settings.relay_ports
        self._log.info(
            "TURN on UDP port %d%s; relaying on UDP ports %d to %d",
            self._port,
            tcp,
            ports.first,
            ports.last,
        )


def _allocation_limits(settings: Turn) -> AllocationLimits:
    return AllocationLimits(
        total=settings.max_allocations,
        per_user=settings.max_allocations_per_user,
        per_client=settings.max_allocations_per_ip,
    )


class OwnAddresses:
    """The machine's addresses, read again once a minute: interfaces come and go.

    Args:
        now: Monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._read_at = now()
        self._addresses = frozenset(machine_addresses())

    def __call__(self) -> frozenset[IPAddress]:
        """The addresses."""
        if self._now() - self._read_at >= READ_AGAIN_S:
            self._read_at = self._now()
            with suppress(OSError):  # no file is left to be opened: what was true is good enough
                self._addresses = frozenset(machine_addresses())
        return self._addresses


async def listening_addresses(bind: Sequence[str]) -> list[str]:
    """The addresses to listen on one by one, so that answers leave from the address asked.

    Raises:
        PluginError: A name cannot be looked up, or nothing is left.
    """
    found = [each for part in await together(map(_addresses_of, bind)) for each in part]
    if not found:
        raise PluginError("turn", f"turn.bind: this machine has no address of {', '.join(bind)}")
    return list(dict.fromkeys(found))


async def _addresses_of(entry: str) -> list[str]:
    if (version := ANYWHERE.get(entry)) is not None:
        return [
            str(address)
            for address in machine_addresses()
            if address.version == version and not (version == 6 and address.is_link_local)  # noqa: PLR2004
        ]
    try:
        return [str(ip_address(entry))]
    except ValueError:
        return [str(address) for address in await look_up(entry, "turn.bind")]


def may_listen(bind: Sequence[str], version: int) -> bool:
    """Whether there may be a listening address of a family, 4 or 6; names may stand for both."""
    for entry in bind:
        try:
            if ip_address(entry).version == version:
                return True
        except ValueError:
            return True
    return False
