"""The command ``tornado-webrtc``: serve, and what an operator needs beside it."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
import tornado

from tornado_webrtc import __version__
from tornado_webrtc.certificate import machine_names, write_certificate
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Config
from tornado_webrtc.credential import check_name, mint
from tornado_webrtc.errors import ConfigError, Problem, TornadoWebrtcError
from tornado_webrtc.inspection import (
    check_surroundings,
    doubts,
    offered_servers,
    rtc_configuration,
    why_no_server,
)
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager
from tornado_webrtc.process import (
    configure_logging,
    loop_factory,
    notify_systemd,
    raise_file_limit,
)
from tornado_webrtc.scaffold import make_folder
from tornado_webrtc.server import Server, load, read_secrets
from tornado_webrtc.state import StateDir

__all__ = ["main"]

log = logging.getLogger("tornado_webrtc")

EXIT_FAILED = 1
EXIT_CONFIG = 78
"""As sysexits.h has it; the systemd unit does not restart after it."""

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
Exit status: 0 stopped as asked, 1 failed, 2 wrong usage, 78 wrong configuration.
SIGTERM and SIGINT stop the server, SIGHUP reads the certificate again.
"""

_ADDED = "tornado_webrtc.added"

_P = ParamSpec("_P")
_R = TypeVar("_R")

conf_option = click.option(
    "--conf",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TORNADO_WEBRTC_CONF",
    metavar="FILE",
    is_eager=True,  # --help after it shows the commands of its plugins
    help="The configuration; without it the defaults and the environment hold.",
)


def _reports_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Say in words what went wrong, and exit with the status that belongs to it."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            click.echo(_problems(error), err=True)
            sys.exit(EXIT_CONFIG)
        except TornadoWebrtcError as error:
            click.echo(f"tornado-webrtc: {error}", err=True)
            sys.exit(EXIT_FAILED)

    return wrapper


def _problems(error: ConfigError) -> str:
    count = len(error.problems)
    heading = "1 problem" if count == 1 else f"{count} problems"
    return f"tornado-webrtc: {heading} in the configuration:\n\n{error}"


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
        return command or _reports_errors(self._added)(ctx).get(cmd_name)

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
    return {command.name: command for _, commands in collected for command in commands}


def _loaded(config: Config, found: list[FoundPlugin]) -> PluginManager:
    """Plugins that are made, but not started: no server runs."""
    plugins = PluginManager(found, config, config.plugins.required)
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
@_reports_errors
def main(context: click.Context, conf: Path | None) -> None:
    """Serve everything a WebRTC app needs to connect its users.

    One process: WebSocket signaling for Flutter and web clients, time-limited
    TURN credentials, a demo page, plugins.
    """
    context.obj = conf
    if context.invoked_subcommand is None:
        serve(conf)


def _conf(context: click.Context, conf: Path | None) -> Path | None:
    """``--conf`` may stand before or after the sub-command."""
    found: Path | None = conf or context.obj
    return found


# --- serving ------------------------------------------------------------------


def serve(conf: Path | None) -> None:
    """Serve until a signal says otherwise."""
    config, found = load(conf)
    configure_logging(config.general.log_level)
    for warning in config.warnings:
        log.warning("%s", warning)
    raise_file_limit()
    try:
        factory = loop_factory(config.general.event_loop)
    except ImportError:
        raise TornadoWebrtcError(
            "uvloop is not installed; run: pip install 'tornado-webrtc[uvloop]', "
            "or set [general] event_loop = auto"
        ) from None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(config, found))


async def _serve(config: Config, found: list[FoundPlugin]) -> None:
    server = Server(config, found)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
    await server.start()
    _say_where(server)
    notify_systemd("READY=1")
    await stopping.wait()
    log.info("stopping")
    notify_systemd("STOPPING=1")
    await server.stop()
    log.info("stopped")


def _say_where(server: Server) -> None:
    """Print where it listens and what to open in a browser."""
    general = server.config.general
    where = ", ".join(f"{server.scheme}://{address}" for address in server.addresses)
    log.info("tornado-webrtc %s, configuration %s", __version__, server.config.path or "(none)")
    log.info("plugins: %s", ", ".join(server.plugins.names) or "none")
    log.info("listening on %s", where)
    if server.scheme == "http":
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
@_reports_errors
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
@_reports_errors
def check(context: click.Context, conf: Path | None, file: Path | None) -> None:
    """Say everything that is wrong or doubtful in a configuration, and serve nothing."""
    path = file or _conf(context, conf)
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
@_reports_errors
def credentials(context: click.Context, conf: Path | None, user: str, as_json: bool) -> None:
    """Make a time-limited TURN credential for USER, and say where to use it."""
    config, found = load(_conf(context, conf))
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


@main.group()
def cert() -> None:
    """Certificates for TLS."""


@cert.command("make")
@click.argument("cert_file", type=click.Path(path_type=Path, dir_okay=False), metavar="CERT")
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False), metavar="KEY")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Replace the files if they are there.")
@_reports_errors
def cert_make(cert_file: Path, key_file: Path, names: tuple[str, ...], force: bool) -> None:
    """Make a development certificate, signed by nobody but itself.

    It is for the NAMEs given (host names and addresses), or else for those of
    this machine.
    """
    names = names or tuple(machine_names())
    write_certificate(cert_file, key_file, names, overwrite=force)
    click.echo(f"{cert_file}: a development certificate, for {', '.join(names)}")
    click.echo(f"{key_file}: its key; keep it")
