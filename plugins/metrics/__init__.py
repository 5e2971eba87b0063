"""Figures for Prometheus: how the server is doing, at ``GET /metrics`` on a port of its own.

    __init__.py     the plugin: its settings and its life; listens to hooks
    metric.py       every metric by name
    rule.py         which metric a counter or gauge belongs to
    tally.py        counts what hooks tell
    histogram.py    a histogram
    lag.py          how late the event loop is
    collector.py    puts all of it together when somebody asks
    page.py         the page, and who may read it
    token_file.py   the tokens
    endpoint.py     the port

Other plugins need nothing of this one: what they return from the hooks `counters`, `gauges`
and `collections` is exposed. docs/metrics.md lists the metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import Doubt, at_key
from tornado_webrtc.machine import is_loopback

from .collector import make_registry
from .endpoint import Endpoint, EndpointError
from .lag import LoopLag
from .page import PATH, Access, make_application
from .tally import Tally
from .token_file import TokenFile, TokenFileError

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.hooks import PluginContext, TurnAllocation
    from tornado_webrtc.server import Server
    from tornado_webrtc.signaling import Session

SETTINGS = """
# Addresses to listen on. Others than 127.0.0.1 and ::1, which are this machine's own, only
# where a firewall lets nobody but Prometheus in, and with a `token_file`.
# restart
bind = address_list(default=list("127.0.0.1"))
# TCP port; 0 is any free one, the log says which.
# restart
port = port(default=9641)
# A file with the token that whoever reads has to show, 16 characters or more; several lines
# are several tokens. Read again by a reload. Empty: whoever reaches the port may read.
# live
token_file = string(default="")
"""


class Plugin:
    """Counts, and answers Prometheus."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._settings = context.settings
        self._config = context.config
        self._log = context.log
        self._tally = Tally()
        self._lag = LoopLag()
        self._access = Access(context.log)
        self._endpoint: Endpoint | None = None

    # --- life ---------------------------------------------------------------

    @hookimpl
    def start(self, server: Server) -> None:
        """Open the port; all figures are there from now on."""
        self._access.tokens = self._tokens(self._settings, self._config)
        registry = make_registry(server, self._tally, self._lag)
        endpoint = Endpoint(make_application(server, registry, self._access), self._log)
        try:
            where = endpoint.listen(self._settings["bind"], self._settings["port"])
        except EndpointError as error:
            raise PluginError(self._name, str(error)) from error
        self._endpoint = endpoint
        self._lag.start()
        self._log.info("metrics on %s", ", ".join(f"http://{each}{PATH}" for each in where))

    @hookimpl
    async def stop(self) -> None:
        """Close the port."""
        self._lag.stop()
        if self._endpoint is not None:
            endpoint, self._endpoint = self._endpoint, None
            await endpoint.stop()

    @hookimpl
    def check(self) -> list[str]:
        """Say what is wrong with the settings, and what is careless."""
        settings = self._settings
        found = list(_clashes(self._name, settings["port"], self._config))
        try:
            tokens = self._tokens(settings, self._config)
        except PluginError as error:
            return [*found, error.reason]
        if tokens is not None and tokens.doubt:
            found.append(at_key(self._name, "token_file", Doubt(tokens.doubt)))
        beyond = [address for address in settings["bind"] if not is_loopback(address)]
        if tokens is None and beyond:
            text = (
                f"whoever reaches {', '.join(beyond)} may read how many there are and what they"
                " do; set token_file, or bind 127.0.0.1"
            )
            found.append(at_key(self._name, "bind", Doubt(text)))
        return found

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Take over the tokens; those that cannot be read leave the earlier ones."""
        settings = new.plugin_settings.get(self._name, self._settings)
        self._access.tokens = self._tokens(settings, new)

    def _tokens(self, settings: Mapping[str, Any], config: Config) -> TokenFile | None:
        if not settings["token_file"]:
            return None
        try:
            return TokenFile(config.resolve(settings["token_file"]))
        except TokenFileError as error:
            text = at_key(self._name, "token_file", str(error))
            raise PluginError(self._name, text) from error

    @hookimpl
    def counters(self) -> dict[str, int]:
        """How often it was asked."""
        return dict(self._access.counters)

    # --- what happens -------------------------------------------------------

    @hookimpl
    def peer_joined(self) -> None:
        """A peer signed in."""
        self._tally.signed_in()

    @hookimpl
    def peer_left(self, reason: str) -> None:
        """A peer is gone."""
        self._tally.signed_out(reason)

    @hookimpl
    def session_offered(self) -> None:
        """A call began."""
        self._tally.offered()

    @hookimpl
    def session_answered(self, session: Session) -> None:
        """A call was answered."""
        self._tally.answered(session)

    @hookimpl
    def session_ended(self, session: Session, reason: str) -> None:
        """A call is over."""
        self._tally.ended(session, reason)

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """There is an allocation."""
        self._tally.allocated(allocation)

    @hookimpl
    def allocation_deleted(self, allocation: TurnAllocation, reason: str) -> None:
        """An allocation is over."""
        self._tally.deleted(allocation, reason)


def _clashes(name: str, port: int, config: Config) -> Iterator[str]:
    """Keys of the server that have the same TCP port."""
    taken = {
        "general.port": config.general.port,
        "general.redirect_port": config.general.redirect_port,
        "turn.port_tcp": config.turn.port_tcp,
    }
    for key, other in taken.items():
        if port and port == other:
            text = f"{port} is {key} as well; the metrics need a port of their own"
            yield at_key(name, "port", text)
