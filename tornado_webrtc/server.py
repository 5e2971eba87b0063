"""The server: builds the application from its parts and owns their life.

Server(config, found)   parts are made; nothing is opened
await start()           plugins start, ports are open, clients are welcome
await reload()          the configuration is read again; what can be applied is
await drain()           nothing new is taken; calls and allocations come to their end
await stop()            clients are told, everything is closed
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer

from tornado_webrtc.admin.application import AdminServer
from tornado_webrtc.ban import Ban, Kind, end_entries
from tornado_webrtc.banfile import BanFile
from tornado_webrtc.bucket import BucketTable
from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.clock import Clock
from tornado_webrtc.collection import CORE_COLLECTIONS, core_collections
from tornado_webrtc.config import Config, Draft, Turn
from tornado_webrtc.doubt import Doubts, certificate_doubts
from tornado_webrtc.errors import ConfigError, PluginError, Problem, StateError
from tornado_webrtc.figure import Figures
from tornado_webrtc.hooks import Hooks
from tornado_webrtc.listener import Listener, SocketAddress, StreamProtocol, http_protocol
from tornado_webrtc.loglevel import set_log_level
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager, configure
from tornado_webrtc.regularfile import read_regular_file
from tornado_webrtc.reload import Comparison, ReloadReport, check_files, compare, fingerprints
from tornado_webrtc.repeats import Repeats
from tornado_webrtc.state import StateDir
from tornado_webrtc.web.application import CORE_PATHS, CoreApplication, make_application
from tornado_webrtc.web.connection import CloseCode
from tornado_webrtc.web.httpserver import make_http_server
from tornado_webrtc.web.hub import CORE_TYPES, Hub
from tornado_webrtc.web.redirect import make_redirect_application
from tornado_webrtc.web.stall import StallWatch

__all__ = ["Server", "ServerState", "load", "read_secrets"]

log = logging.getLogger("tornado_webrtc.server")

CLOSE_TIMEOUT_S = 5.0
"""Seconds that WebSockets have for the closing handshake when the server stops."""

FINISH_TIMEOUT_S = 2.0
"""Seconds that HTTP requests under way have then."""

DRAIN_POLL_S = 0.1
REGISTER_HOOKS = ("http_handlers", "message_types", "stream_protocols", "collections")


def load(path: Path | None) -> tuple[Config, list[FoundPlugin]]:
    """Read and check a configuration, sections of plugins included.

    Args:
        path: The file, or None for defaults and the environment alone.

    Raises:
        ConfigError: With every problem at once.
    """
    return configure(Draft.read(path))


def read_secrets(turn: Turn, state: StateDir) -> tuple[str, ...]:
    """The secrets of this installation: the first one mints, all of them verify.

    Raises:
        StateError: If `secret_file` cannot be read or is empty, or none is
            configured and none can be made.
    """
    secrets = list(turn.secret)
    if turn.secret_file is not None:
        try:
            lines = read_regular_file(turn.secret_file).decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise StateError(f"cannot read the secret in {turn.secret_file}: {reason}") from error
        found = [line.strip() for line in lines if line.strip()]
        if not found:
            raise StateError(f"{turn.secret_file} is empty; it has to hold the secret")
        secrets += found
    return tuple(secrets) or (state.secret(),)


class ServerState(StrEnum):
    """Where a server is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class Server:
    """One server process.

    Args:
        config: Checked and whole.
        found: The plugins that it runs.
        clock: The time.

    Attributes:
        config: What holds; a reload replaces it.
        state: Where it is in its life.
        drained: Set when a drain has come to its end: whoever runs it may stop it.
        clock: The time.
        hooks: Asks its plugins.
        hub: Its connections and the signaling state. Plugins use `hub.peers`,
            `hub.sessions` and `hub.send`.
        listener: Its ports.
        secrets: The first one mints credentials, all of them verify.
        addresses: Where it listens for HTTP, once started.
        redirect_addresses: Where it sends plain HTTP on to HTTPS, likewise.
        bans: Who may not use it. Plugins look at it, and ban with `ban`.
        collections: What lives for a while in it, by name: ``peers``, ``sessions`` and,
            once started, what plugins add.
        figures: What it and its plugins count and measure.
    """

    def __init__(
        self, config: Config, found: Sequence[FoundPlugin] = (), *, clock: Clock | None = None
    ) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.plugins = PluginManager(found, config, config.plugins.required)
        self.hooks: Hooks = self.plugins.hooks
        self.state = ServerState.STARTING
        self.drained = asyncio.Event()
        self._found = tuple(found)
        state = self._state_dir = StateDir(config.general.state_dir)
        node_id = config.general.node_id or state.node_id()
        self.secrets = read_secrets(config.turn, state)
        self._files = fingerprints(config, self._specs())
        self._ban_file = BanFile(state, self.clock.wall)
        self.bans = self._ban_file.bans
        self.hub = Hub(node_id, config.signaling, self.hooks, self.clock, self.bans)
        self.listener = Listener()
        self.api_buckets = _api_buckets(config.turn)
        self.certificates = self._certificates()
        self.addresses: list[SocketAddress] = []
        self.redirect_addresses: list[SocketAddress] = []
        self.collections = core_collections(self.hub)
        self.figures = Figures(self)
        self._http: HTTPServer | None = None
        self._redirect: HTTPServer | None = None
        self._application: CoreApplication | None = None
        self._stalls: list[StallWatch] = []
        self._drain_until = math.inf
        self._reloading = asyncio.Lock()
        self._doubts = Doubts(config)
        self._holding: list[str] = []
        self._repeats = Repeats()
        self._admin: AdminServer | None = None
        self._started = False

    def _certificates(self) -> CertificateStore | None:
        general = self.config.general
        if general.cert is None or general.key is None:
            return None
        return CertificateStore(general.cert, general.key)

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken."""
        return self.state is ServerState.RUNNING

    @property
    def scheme(self) -> str:
        """``https``, or ``http`` without a certificate."""
        return "https" if self.certificates else "http"

    @property
    def port(self) -> int:
        """The port for HTTP, once started."""
        return self.addresses[0].port

    # --- life ---------------------------------------------------------------

    async def start(self) -> None:
        """Let the plugins check what their settings name, start them and open the ports.

        Raises:
            ConfigError: If plugins find something wrong; none has been started then.
            PluginError: If a required plugin fails.
            ListenError: If a port cannot be had.
        """
        try:
            await self._start()
        except BaseException:
            self.state = ServerState.STOPPED
            await self._close_connections()
            await self.plugins.stop(self)
            raise

    async def _start(self) -> None:
        self._started = True
        await self._check_plugins()
        await self.plugins.start(self)
        contributed = await self._contributions()
        for plugin, types in contributed["message_types"]:
            self.hub.add_message_types(plugin, types)
        for _, collections in contributed["collections"]:
            self.collections |= collections
        rules = [rule for _, each in contributed["http_handlers"] for rule in each]
        self._application = make_application(self, rules)
        self._http = self._serving(self._application)
        protocols: list[StreamProtocol] = [http_protocol(self._http)]
        for _, each in contributed["stream_protocols"]:
            protocols += each
        general = self.config.general
        self.addresses = self.listener.listen(
            general.bind, general.port, protocols, self.certificates
        )
        self._listen_for_plain_http()
        if self.config.admin_socket is not None:
            self._admin = AdminServer(self, self.config.admin_socket)
        self._ban_file.open()
        if self.certificates:
            self.certificates.start_watching()
        self.state = ServerState.RUNNING
        self.hooks.notify("server_started", server=self)

    async def _check_plugins(self) -> None:
        """Let the plugins that are going to run say what ``tornado-webrtc check`` would list."""
        self.plugins.load()
        examination = await self.plugins.check()
        if len(examination.problems) > len(examination.failures):
            raise ConfigError(examination.problems)
        for error in examination.failures:
            await self.plugins.leave_out(error, self)
        self._doubts.begin(examination.doubts)

    def _listen_for_plain_http(self) -> None:
        """Open the port that sends everybody to HTTPS, if there is to be one."""
        general = self.config.general
        if general.redirect_port is None or self.certificates is None:
            return
        self._redirect = self._serving(make_redirect_application(self))
        protocols = [http_protocol(self._redirect)]
        self.redirect_addresses = self.listener.listen(
            general.bind, general.redirect_port, protocols, None
        )
        where = ", ".join(f"http://{address}" for address in self.redirect_addresses)
        log.info("%s: everybody is sent on to https", where)

    def _serving(self, application: CoreApplication) -> HTTPServer:
        """Serve an application; clients that do not take their answers are not waited for."""
        self._stalls.append(application.stalls)
        application.stalls.start()
        return make_http_server(application)

    async def _contributions(self) -> Mapping[str, list[tuple[str, Any]]]:
        """What the plugins add; one that wants what is taken is left out altogether."""
        contributed = await self.plugins.collect(*REGISTER_HOOKS, server=self)
        for error in _clashes(contributed):
            await self.plugins.leave_out(error, self)
        running = self.plugins.names
        return {
            hook: [(plugin, each) for plugin, each in pairs if plugin in running]
            for hook, pairs in contributed.items()
        }

    async def drain(self, limit_s: float | None = None) -> None:
        """Take nothing new, and wait until calls and allocations have come to their end.

        New WebSockets and offers are refused, and so is whatever plugins make anew; what
        is there goes on. Sockets without a call do not hold it up. A second drain has
        both wait for no longer than the shorter limit; `stop` ends them.

        Args:
            limit_s: Seconds after which it is over in any case; None for `drain_s`.
        """
        if self.state not in (ServerState.RUNNING, ServerState.DRAINING):
            return
        loop = asyncio.get_running_loop()
        limit_s = self.config.general.drain_s if limit_s is None else limit_s
        self._drain_until = min(self._drain_until, loop.time() + limit_s)
        if self.state is ServerState.RUNNING:
            self.state = ServerState.DRAINING
            self.hub.draining = True
            self._holding = [name for name, each in self.collections.items() if each.holds_drain]
            log.info(
                "draining, at most %g s: %s", limit_s, self._held_by() or "nothing to wait for"
            )
            self.hooks.notify("server_draining", server=self)
        try:
            while self._held_by() and self.state is ServerState.DRAINING:
                left_s = self._drain_until - loop.time()
                if left_s <= 0:
                    break
                await asyncio.sleep(min(DRAIN_POLL_S, left_s))
        finally:
            self.drained.set()

    def _held_by(self) -> str:
        """What a drain still waits for, in words; nothing if it is over."""
        held = {name: self.count(name) for name in self._holding}
        self._holding = [name for name, count in held.items() if count is not None]
        return ", ".join(
            f"{count} {name.removesuffix('s') if count == 1 else name}"
            for name, count in held.items()
            if count
        )

    def count(self, name: str) -> int | None:
        """How many there are in a collection; None, and logged, if its plugin cannot say."""
        try:
            return len(self.collections[name])
        except Exception:
            if self._repeats.add(name):
                log.exception("the %s cannot be counted; no drain waits for them", name)
            return None

    async def stop(self) -> None:
        """Tell the clients, close everything, stop the plugins; a drain is not waited for.

        HTTP requests under way are finished if that takes no longer than two seconds.
        """
        if not self._started:
            return
        self.state = ServerState.STOPPED
        self.listener.stop()
        self.hub.close_all(CloseCode.GOING_AWAY, "the server is stopping")
        waiting = [self.hub.wait_empty(CLOSE_TIMEOUT_S)]
        if self._application is not None:
            waiting.append(self._application.wait_idle(FINISH_TIMEOUT_S))
        await asyncio.gather(*waiting)
        await self._close_connections()
        self.hooks.notify("server_stopped", server=self)
        await self.hooks.settle()
        await self.plugins.stop(self)

    async def _close_connections(self) -> None:
        self._started = False
        await self._ban_file.close()
        if self.certificates:
            self.certificates.stop_watching()
        for watch in self._stalls:
            watch.stop()
        self.hub.stop()
        await self.listener.close()
        for http in (self._http, self._redirect):
            if http is not None:
                await http.close_all_connections()
        if self._admin is not None:
            admin, self._admin = self._admin, None
            await admin.stop()

    async def bans_stored(self) -> bool:
        """Whether a restart would keep the bans; what is being written is waited for."""
        return await self._ban_file.settle()

    def ban(
        self, kind: Kind, value: str, *, seconds: float | None = None, reason: str = ""
    ) -> tuple[Ban, dict[str, int]]:
        """Ban somebody, and end what the banned one has here.

        Args:
            kind: What `value` is; see `Ban`.
            value: An address or network, a peer's id or a user.
            seconds: How long; None for as long as nobody takes it back.
            reason: The banned one is told.

        Returns:
            The ban, and how many were ended: connections, and entries of collections.

        Raises:
            BanError: Something of it is wrong; it says what.
        """
        ban = self.bans.add(kind, value, seconds=seconds, reason=reason)
        ended = {"connections": self.hub.close_banned(ban)}
        for name, collection in self.collections.items():
            if name not in CORE_COLLECTIONS:
                ended[name] = end_entries(ban, collection)
        return ban, ended

    # --- configuration ------------------------------------------------------

    async def reload(self) -> ReloadReport:
        """Read the configuration, and the files that it names, again; connections stay.

        Returns:
            What was applied, what would need a restart, and what is doubtful.

        Raises:
            ConfigError: Something is wrong, and nothing was changed; logged.
        """
        async with self._reloading:
            try:
                comparison, secrets = await self._read_again()
            except ConfigError as error:
                self.figures.events["reload.refused"] += 1
                log.error("the configuration is not taken over, all stays as it is:\n%s", error)
                raise
            self._ban_file.retry()
            self.figures.events["reload.applied"] += 1
            return self._take_over(comparison, secrets)

    def _take_over(self, comparison: Comparison, secrets: tuple[str, ...]) -> ReloadReport:
        old, applied = self.config, comparison.applied
        before, self._files = self._files, fingerprints(comparison.config, self._specs())
        changed = sorted(name for name, _ in before.items() ^ self._files.items())
        applied += tuple(name for name in dict.fromkeys(changed) if name not in applied)
        if secrets != self.secrets and not {"turn.secret", "turn.secret_file"} & {*applied}:
            applied += ("turn.secret_file",)
        self.config, self.secrets = comparison.config, secrets
        self._apply(old)
        store = self.certificates
        report = ReloadReport(
            applied=applied,
            needs_restart=comparison.needs_restart,
            certificate=store is not None and store.reload(),
            certificate_error=store.error if store else "",
            warnings=self._doubts.review(
                self.config,
                self.hooks,
                comparison.doubtful,
                certificate_doubts(self.config, store),
            ),
        )
        self.hooks.notify("settings_changed", old=old, new=self.config)
        log.info("configuration read again: %s", report)
        return report

    async def _read_again(self) -> tuple[Comparison, tuple[str, ...]]:
        """What would hold, and the secrets; nothing is changed yet."""
        written, found = load(self.config.path)
        running, wanted = ({each.name for each in plugins} for plugins in (self._found, found))
        specs = {name: spec for name, spec in self._specs().items() if name in wanted}
        comparison = compare(self.config, written, specs)
        plugins = sorted(running ^ wanted)
        needs_restart = comparison.needs_restart + tuple(f"plugin {name}" for name in plugins)
        try:
            secrets = read_secrets(comparison.config.turn, self._state_dir)
        except StateError as error:
            where = f"{self.config.path or 'environment'}, turn.secret_file"
            raise ConfigError([Problem(where, str(error))]) from error
        doubtful = await check_files(
            self.plugins.running(), comparison.config, comparison.needs_restart
        )
        return replace(comparison, needs_restart=needs_restart, doubtful=doubtful), secrets

    def _specs(self) -> dict[str, str]:
        """The `SETTINGS` of every plugin that was to run."""
        return {each.name: each.settings_spec for each in self._found}

    def _apply(self, old: Config) -> None:
        """Take over the core's own settings."""
        new = self.config
        if new.general.log_level != old.general.log_level:
            set_log_level(new.general.log_level)
        if new.signaling != old.signaling:
            self.hub.set_limits(new.signaling)
        if new.turn.api_per_minute != old.turn.api_per_minute:
            self.api_buckets = _api_buckets(new.turn)


def _api_buckets(turn: Turn) -> BucketTable:
    return BucketTable(turn.api_per_minute / 60, max(1.0, turn.api_per_minute))


def _clashes(contributed: Mapping[str, list[tuple[str, Any]]]) -> list[PluginError]:
    """Plugins that want a path, type or name which the core or an earlier one has."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    for plugin, rules in contributed["http_handlers"]:
        wanted.setdefault(plugin, []).extend(("path", str(rule[0])) for rule in rules)
    for plugin, types in contributed["message_types"]:
        wanted.setdefault(plugin, []).extend(("message type", kind) for kind in types)
    for plugin, collections in contributed["collections"]:
        wanted.setdefault(plugin, []).extend(("collection", name) for name in collections)
    owners = {("path", path): "the core" for path in CORE_PATHS}
    owners |= {("message type", kind): "the core" for kind in CORE_TYPES}
    owners |= {("collection", name): "the core" for name in CORE_COLLECTIONS}
    errors = []
    for plugin, things in wanted.items():
        taken = [
            f"the {kind} {name!r} of {owners[kind, name]}"
            for kind, name in things
            if (kind, name) in owners
        ]
        if taken:
            errors.append(PluginError(plugin, f"wants {', '.join(taken)}"))
        else:
            owners |= dict.fromkeys(things, f"plugin {plugin}")
    return errors
