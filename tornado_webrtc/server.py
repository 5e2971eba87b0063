"""The server: builds the application from its parts and owns their life.

Server(config, found)   parts are made; nothing is opened
await start()           plugins start, ports are open, clients are welcome
await stop()            clients are told, everything is closed
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer

from tornado_webrtc.bucket import BucketTable
from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Config, Draft, Turn
from tornado_webrtc.errors import PluginError, StateError
from tornado_webrtc.hooks import Hooks
from tornado_webrtc.listener import Listener, SocketAddress, StreamProtocol, http_protocol
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager, configure
from tornado_webrtc.state import StateDir
from tornado_webrtc.web.application import CORE_PATHS, make_application
from tornado_webrtc.web.connection import CloseCode
from tornado_webrtc.web.hub import CORE_TYPES, Hub

__all__ = ["Server", "load", "read_secrets"]

log = logging.getLogger("tornado_webrtc.server")

IDLE_TIMEOUT_S = 30.0
"""Seconds in which a request's headers have to come, and that a kept-alive socket may rest."""

BODY_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 16384
MAX_BODY_BYTES = 65536
REGISTER_HOOKS = ("http_handlers", "message_types", "stream_protocols")


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
            lines = turn.secret_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"cannot read the secret in {turn.secret_file}: {error}") from error
        found = [line.strip() for line in lines if line.strip()]
        if not found:
            raise StateError(f"{turn.secret_file} is empty; it has to hold the secret")
        secrets += found
    return tuple(secrets) or (state.secret(),)


class Server:
    """One server process.

    Args:
        config: Checked and whole.
        found: The plugins that it runs.
        clock: The time.

    Attributes:
        config: What it was made with.
        clock: The time.
        hooks: Asks its plugins.
        hub: Its connections and the signaling state. Plugins use `hub.peers`,
            `hub.sessions` and `hub.send`.
        listener: Its ports.
        secrets: The first one mints credentials, all of them verify.
        accepting: Whether new clients are taken.
        addresses: Where it listens for HTTP, once started.
    """

    def __init__(
        self, config: Config, found: Sequence[FoundPlugin] = (), *, clock: Clock | None = None
    ) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.plugins = PluginManager(found, config, config.plugins.required)
        self.hooks: Hooks = self.plugins.hooks
        state = StateDir(config.general.state_dir)
        node_id = config.general.node_id or state.node_id()
        self.secrets = read_secrets(config.turn, state)
        self.hub = Hub(node_id, config.signaling, self.hooks, self.clock)
        self.listener = Listener()
        per_minute = config.turn.api_per_minute
        self.api_buckets = BucketTable(per_minute / 60, max(1.0, per_minute))
        self.certificates = self._certificates()
        self.accepting = False
        self.addresses: list[SocketAddress] = []
        self._http: HTTPServer | None = None
        self._started = False

    def _certificates(self) -> CertificateStore | None:
        general = self.config.general
        if general.cert is None or general.key is None:
            return None
        return CertificateStore(general.cert, general.key)

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
        """Start the plugins and open the ports.

        Raises:
            PluginError: If a required plugin fails.
            ListenError: If a port cannot be had.
        """
        try:
            await self._start()
        except BaseException:
            await self._close_connections()
            await self.plugins.stop(self)
            raise

    async def _start(self) -> None:
        self._started = True
        await self.plugins.start(self)
        contributed = await self._contributions()
        for plugin, types in contributed["message_types"]:
            self.hub.add_message_types(plugin, types)
        rules = [rule for _, each in contributed["http_handlers"] for rule in each]
        self._http = HTTPServer(
            make_application(self, rules),
            idle_connection_timeout=IDLE_TIMEOUT_S,
            body_timeout=BODY_TIMEOUT_S,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=MAX_BODY_BYTES,
        )
        protocols: list[StreamProtocol] = [http_protocol(self._http)]
        for _, each in contributed["stream_protocols"]:
            protocols += each
        general = self.config.general
        self.addresses = self.listener.listen(
            general.bind, general.port, protocols, self.certificates
        )
        if self.certificates:
            self.certificates.start_watching()
        self.accepting = True
        self.hooks.notify("server_started", server=self)

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

    async def stop(self) -> None:
        """Tell the clients, close everything, stop the plugins."""
        if not self._started:
            return
        self.accepting = False
        self.listener.stop()
        self.hub.close_all(CloseCode.GOING_AWAY, "the server is stopping")
        await self.hub.wait_empty(self.config.general.drain_s)
        await self._close_connections()
        self.hooks.notify("server_stopped", server=self)
        await self.hooks.settle()
        await self.plugins.stop(self)

    async def _close_connections(self) -> None:
        self._started = False
        if self.certificates:
            self.certificates.stop_watching()
        self.hub.stop()
        await self.listener.close()
        if self._http is not None:
            await self._http.close_all_connections()

    def reload_certificate(self) -> None:
        """Read the certificate again; live connections keep theirs."""
        if self.certificates:
            self.certificates.reload()


def _clashes(contributed: Mapping[str, list[tuple[str, Any]]]) -> list[PluginError]:
    """Plugins that want a path or message type which the core or an earlier one has."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    for plugin, rules in contributed["http_handlers"]:
        wanted.setdefault(plugin, []).extend(("path", str(rule[0])) for rule in rules)
    for plugin, types in contributed["message_types"]:
        wanted.setdefault(plugin, []).extend(("message type", kind) for kind in types)
    owners = {("path", path): "the core" for path in CORE_PATHS}
    owners |= {("message type", kind): "the core" for kind in CORE_TYPES}
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
