"""The command ``tornado-webrtc``: serve, and what an operator needs beside it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import tornado

from tornado_webrtc import __version__
from tornado_webrtc.clock import Clock
from tornado_webrtc.commands.certificate import cert
from tornado_webrtc.commands.doctor import doctor
from tornado_webrtc.commands.operate import COMMANDS
from tornado_webrtc.commands.option import (
    conf_among,
    conf_option,
    conf_path,
    given_conf,
    reports_errors,
    with_conf,
)
from tornado_webrtc.commands.plugins import plugins as plugins_command
from tornado_webrtc.config import Config
from tornado_webrtc.credential import check_name, mint
from tornado_webrtc.errors import (
    CertificateError,
    ConfigError,
    Problem,
    StateError,
    TornadoWebrtcError,
)
from tornado_webrtc.inspection import (
    check_surroundings,
    doubts,
    offered_servers,
    rtc_configuration,
    unusable_files,
    why_no_server,
)
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager
from tornado_webrtc.process import (
    Supervision,
    configure_logging,
    flush_logging,
    loop_factory,
    notify_systemd,
    raise_file_limit,
    warn_of_limits,
)
from tornado_webrtc.relay import LISTENER_BUFFER_BYTES
from tornado_webrtc.scaffold import make_folder
from tornado_webrtc.server import Server, ServerState, load, read_secrets
from tornado_webrtc.state import StateDir

__all__ = ["main"]

log = logging.getLogger("tornado_webrtc")

EPILOG = """\b
First steps:
  tornado-webrtc init my-server                    make a folder with all that is needed
  tornado-webrtc --conf my-server/server.ini       serve
  tornado-webrtc check --conf my-server/server.ini say what is wrong, without serving
  tornado-webrtc credentials --conf my-server/server.ini alice
                                                   a TURN credential to try things with

\b
Any setting can also come from the environment, for example
  TORNADO_WEBRTC__GENERAL__PORT=443

\b
Exit status: 0 stopped as asked, 1 failed, 2 wrong usage, 69 no server listens to a
command, 78 wrong configuration.
SIGTERM lets calls come to their end and stops the server, a second one or SIGINT stops
it at once; SIGHUP reads the configuration and the certificate again.
"""

_ADDED = "tornado_webrtc.added"

_OF_A_PLUGIN = "If a plugin has it: --conf FILE names a configuration in which that plugin runs."


class CommandGroup(click.Group):
    """The commands of the core, and those that plugins of the configuration add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command; a broken configuration costs only the plugins' ones."""
        try:
            added = self._added(ctx)
        except TornadoWebrtcError:
            added = {}
        return sorted({*super().list_commands(ctx), *added})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name; the core's come first."""
        command = super().get_command(ctx, cmd_name)
        return command or reports_errors(self._added)(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its arguments; of a plugin's one, they may say which plugins run."""
        name = args[0]
        own = super().get_command(ctx, name) is not None
        if not own and (conf := conf_among(args)):
            ctx.params["conf"] = conf
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if own or name.startswith("-"):
                raise
            raise click.UsageError(f"{error.format_message()} {_OF_A_PLUGIN}", ctx) from error

    def _added(self, ctx: click.Context) -> dict[str, click.Command]:
        if _ADDED not in ctx.meta:
            conf = ctx.params.get("conf") or os.environ.get("TORNADO_WEBRTC_CONF")
            ctx.meta[_ADDED] = _plugin_commands(Path(conf) if conf else None)
        added: dict[str, click.Command] = ctx.meta[_ADDED]
        return added


def _plugin_commands(conf: Path | None) -> dict[str, click.Command]:
    """The commands that the plugins of a configuration add, by name."""
    plugins = _loaded(*load(conf))
    collected = plugins.hooks.collect("cli_commands", on_failure=lambda _error: None)
    return {command.name: with_conf(command) for _, commands in collected for command in commands}


def _loaded(config: Config, found: list[FoundPlugin]) -> PluginManager:
    """Plugins that are made, but not started: no server runs."""
    plugins = PluginManager(found, config, config.plugins.required, serves=False)
    plugins.load()
    return plugins


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@conf_option
@click.version_option(
    __version__,
    "-V",
    "--version",
    message=f"tornado-webrtc %(version)s (Python {platform.python_version()}, "
    f"Tornado {tornado.version})",
)
@click.pass_context
@reports_errors
def main(context: click.Context, conf: Path | None) -> None:
    """Serve everything a WebRTC app needs to connect its users.

    One process: WebSocket signaling for Flutter and web clients, time-limited
    TURN credentials, a demo page, plugins.
    """
    context.obj = conf
    if context.invoked_subcommand is None:
        serve(conf)


# --- serving ------------------------------------------------------------------


def serve(conf: Path | None) -> None:
    """Serve until a signal says otherwise."""
    with _noted(signal.SIGHUP) as hang_ups:
        _serve_noting(conf, hang_ups)


def _serve_noting(conf: Path | None, hang_ups: list[int]) -> None:
    config, found = load(conf)
    configure_logging(config.general.log_level)
    try:
        _serve_logging(config, found, hang_ups)
    finally:  # whatever is said of a failure comes last
        flush_logging()


def _serve_logging(config: Config, found: list[FoundPlugin], hang_ups: list[int]) -> None:
    for warning in config.warnings:
        log.warning("%s", warning)
    file_limit = raise_file_limit()
    try:
        factory = loop_factory(config.general.event_loop)
    except ImportError:
        raise TornadoWebrtcError(
            "uvloop is not installed; run: pip install uvloop, or set [general] event_loop = auto"
        ) from None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(config, found, file_limit, hang_ups))


@contextlib.contextmanager
def _noted(number: signal.Signals) -> Iterator[list[int]]:
    """Only note that a signal comes, until the event loop takes it over."""
    came: list[int] = []
    before = signal.signal(number, lambda *_: came.append(number))
    try:
        yield came
    finally:
        signal.signal(number, before)


async def _serve(
    config: Config, found: list[FoundPlugin], file_limit: int, hang_ups: list[int]
) -> None:
    server = _make_server(config, found)
    signals = _Signals(server)
    try:
        if await _start(server, signals):
            _say_where(server)
            relays = "allocations" in server.collections
            warn_of_limits(file_limit, LISTENER_BUFFER_BYTES if relays else 0)
            notify_systemd("READY=1")
            signals.begin(reload=bool(hang_ups))
            await _until_told(server, signals)
    finally:
        signals.let_go()
        await server.stop()
        signals.supervision.stop()
    log.info("stopped")


def _make_server(config: Config, found: list[FoundPlugin]) -> Server:
    """Make it; a file that is to blame is found wrong as `check` would find it.

    Raises:
        ConfigError: A file cannot be used, and will not be after a restart.
        TornadoWebrtcError: Something else went wrong: the disk is full, for example.
    """
    try:
        return Server(config, found)
    except (CertificateError, StateError) as error:
        if problems := unusable_files(config):
            raise ConfigError(problems) from error
        raise


async def _start(server: Server, signals: _Signals) -> bool:
    """Start a server; False if it is to stop before that is done."""
    starting = asyncio.create_task(server.start())
    stopping = asyncio.create_task(signals.stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return True
    log.info("stopping, although not everything is started")
    notify_systemd("STOPPING=1")
    signals.let_go()
    starting.cancel()
    await asyncio.wait({starting})
    if not starting.cancelled() and (error := starting.exception()) is not None:
        log.error("%s", error)
    return False


async def _until_told(server: Server, signals: _Signals) -> None:
    """Serve until a signal or the end of a drain, then drain unless that was done."""
    await _first(signals.stop, server.drained)
    log.info("stopping")
    notify_systemd("STOPPING=1")
    if not signals.at_once.is_set():
        draining = asyncio.create_task(server.drain())
        await _first(signals.at_once, server.drained)
        draining.cancel()


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


class _Signals:
    """What a running server is told by signals.

    SIGHUP reads the configuration again. SIGTERM drains the server, then stops it; a
    second one, and SIGINT at any time, does not wait for calls. One more after that
    ends the process on the spot.

    Attributes:
        stop: The server shall stop.
        at_once: It shall not be drained, or no longer.
        supervision: Tells systemd.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        self.supervision = Supervision(functools.partial(_status, server))
        self._reloading: asyncio.Task[None] | None = None
        self._reload_wanted = False
        self._loop.add_signal_handler(signal.SIGTERM, self._terminate)
        self._loop.add_signal_handler(signal.SIGINT, self._interrupt)
        self._loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def let_go(self) -> None:
        """From here on, SIGTERM and SIGINT do what they do to any process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(number)

    def _terminate(self) -> None:
        if self.stop.is_set():
            self._stop_at_once()
        self.stop.set()

    def _interrupt(self) -> None:
        self._stop_at_once()
        self.stop.set()

    def _stop_at_once(self) -> None:
        if self.stop.is_set() and not self.at_once.is_set():
            log.info("told again: stops at once")
        self.at_once.set()

    def begin(self, *, reload: bool) -> None:
        """The server has started: tell systemd, and do what had to wait for that."""
        self.supervision.start()
        if reload or self._reload_wanted:
            self._hang_up()

    def _hang_up(self) -> None:
        self._reload_wanted = True
        if self._reloading is None and self._server.state is not ServerState.STARTING:
            self._reloading = self._loop.create_task(self._reload())

    async def _reload(self) -> None:
        """Read the configuration again; however often that is wanted meanwhile, once more."""
        while self._reload_wanted:
            self._reload_wanted = False
            try:
                await self.supervision.reload(self._server.reload)
            except ConfigError:
                continue  # logged, and all stays as it is
            except Exception:
                log.exception("the configuration could not be read again")
        self._reloading = None


def _status(server: Server) -> str:
    """What the server does at the moment, for ``systemctl status``."""
    found = {name: server.count(name) for name in server.collections}
    counts = ", ".join(f"{name} {'?' if n is None else n}" for name, n in found.items())
    return f"{server.state}: {counts}"


def _say_where(server: Server) -> None:
    """Print where it listens and what to open in a browser."""
    general = server.config.general
    where = ", ".join(f"{server.scheme}://{address}" for address in server.addresses)
    log.info("tornado-webrtc %s, configuration %s", __version__, server.config.path or "(none)")
    log.info("plugins: %s", ", ".join(server.plugins.names) or "none")
    log.info("listening on %s", where)
    if server.scheme == "http" and not general.trusted_proxies:
        log.info("plain HTTP: browsers give a page camera and microphone only on localhost")
    host = general.domain or "localhost"
    log.info("open %s://%s:%d/", server.scheme, host, server.port)


# --- beside serving -----------------------------------------------------------


@main.command(short_help="Make a folder with all that a first start needs.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--domain", default="", help="The server's public name, if it has one.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 8086 if not given.")
@click.option("--bind", multiple=True, metavar="ADDRESS", help="Listen only there; repeatable.")
@click.option("--tls/--no-tls", default=True, help="Make a development certificate, or none.")
@reports_errors
def init(folder: Path, domain: str, port: int | None, bind: tuple[str, ...], tls: bool) -> None:
    """Make a folder with a ready configuration, a random secret and a certificate."""
    made = make_folder(folder, domain=domain, port=port, bind=bind, tls=tls)
    click.echo(f"{made.conf}: the configuration, every key explained")
    click.echo(f"{made.secret}: the TURN secret; keep it")
    if made.cert:
        click.echo(f"{made.cert}: a development certificate, for {', '.join(made.names)}")
        click.echo("  Browsers will warn of it: it is signed by nobody but itself.")
    click.echo(f"\nServe with: tornado-webrtc --conf {made.conf}")


@main.command(short_help="Say what is wrong with a configuration.")
@conf_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
@reports_errors
def check(context: click.Context, conf: Path | None, file: Path | None) -> None:
    """Say everything that is wrong or doubtful in a configuration, and serve nothing."""
    if file and given_conf(context):
        raise click.UsageError("FILE and --conf name the same thing; give one of them.")
    path = file or conf_path(context, conf)
    config, found = load(path)
    plugins = _loaded(config, found)
    for warning in config.warnings:
        click.echo(f"warning: {warning}\n", err=True)
    warnings, uris = asyncio.run(_inspect(config, plugins))
    for warning in warnings:
        click.echo(f"warning: {warning}\n", err=True)
    total = len(config.warnings) + len(warnings)
    count = "1 warning" if total == 1 else f"{total} warnings"
    names = ", ".join(plugins.names) or "none"
    click.echo(f"{path or 'defaults and environment'}: no problems, {count}; plugins: {names}")
    reason = why_no_server(config, plugins.hooks) or "see above"
    click.echo(f"clients are told to use: {', '.join(uris) or f'no ICE server ({reason})'}")


async def _inspect(config: Config, plugins: PluginManager) -> tuple[list[Problem], list[str]]:
    """Find what is doubtful, and the URIs that clients are told."""
    warnings = await check_surroundings(config, plugins)
    servers = await offered_servers(config, plugins, "check")
    uris = [uri for server in servers for uri in server.urls]
    return [*warnings, *doubts(config, plugins.hooks)], uris


@main.command(short_help="Make a TURN credential to try things with.")
@conf_option
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print what /api/turn?format=ice answers.")
@click.pass_context
@reports_errors
def credentials(context: click.Context, conf: Path | None, user: str, as_json: bool) -> None:
    """Make a time-limited TURN credential for USER, and say where to use it."""
    config, found = load(conf_path(context, conf))
    if problem := check_name(user):
        raise click.BadParameter(problem, param_hint="USER")
    credential = mint(_secret(config), user, config.turn.credential_ttl_s, Clock().wall())
    plugins = _loaded(config, found)
    servers = asyncio.run(offered_servers(config, plugins, user))
    if not servers:
        reason = why_no_server(config, plugins.hooks) or "`tornado-webrtc check` says why"
        click.echo(f"clients are told of no server to use it with: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(rtc_configuration(credential, servers), indent=2))
        return
    click.echo(f"username  {credential.username}")
    click.echo(f"password  {credential.password}")
    click.echo(f"valid for {credential.ttl_s} s")
    for server in servers:
        for uri in server.urls:
            click.echo(f"server    {uri}")


def _secret(config: Config) -> str:
    """The secret that makes credentials; where it is from if the configuration does not say."""
    state = StateDir(config.general.state_dir)
    path = state.path / "secret"
    is_new = not path.exists()
    secret = read_secrets(config.turn, state)[0]
    if config.turn.secret or config.turn.secret_file:
        return secret
    if is_new or config.path is None:
        made = ", which was made just now" if is_new else ""
        click.echo(f"the secret is that of {path}{made}", err=True)
    if config.path is None:
        click.echo(
            "  A server that has another one refuses the credential:"
            " name that server's configuration with --conf.",
            err=True,
        )
    return secret


main.add_command(cert)
main.add_command(doctor)
main.add_command(plugins_command)
for operating in COMMANDS:
    main.add_command(operating)
