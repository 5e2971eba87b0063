"""What all commands share: the option ``--conf``, exit statuses, errors said in words."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from click.core import ParameterSource

from tornado_webrtc.errors import ConfigError, TornadoWebrtcError, UnavailableError

__all__ = [
    "EXIT_CONFIG",
    "EXIT_FAILED",
    "EXIT_UNAVAILABLE",
    "conf_among",
    "conf_option",
    "conf_path",
    "given_conf",
    "json_option",
    "reports_errors",
    "with_conf",
]

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69
"""As sysexits.h has it: no server listens on the admin socket."""

EXIT_CONFIG = 78
"""As sysexits.h has it; the systemd unit does not restart after it."""

_P = ParamSpec("_P")
_R = TypeVar("_R")

_CONF = "--conf"

conf_option = click.option(
    _CONF,
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    envvar="TORNADO_WEBRTC_CONF",
    metavar="FILE",
    is_eager=True,  # --help after it shows the commands of its plugins
    help="The configuration; without it the defaults and the environment hold.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def conf_path(context: click.Context, conf: Path | None) -> Path | None:
    """``--conf`` may stand before or after the sub-command."""
    found: Path | None = conf or context.find_root().obj
    return found


def given_conf(context: click.Context) -> Path | None:
    """What ``--conf`` names on the command line, before or after the sub-command."""
    for each in (context, context.find_root()):
        if each.get_parameter_source("conf") is ParameterSource.COMMANDLINE:
            given: Path = each.params["conf"]
            return given
    return None


def conf_among(arguments: Sequence[str]) -> Path | None:
    """What the last ``--conf`` among a command's arguments names, before they are parsed."""
    found = ""
    options = itertools.takewhile(lambda each: each != "--", arguments)
    for option in options:
        if option == _CONF:
            found = next(options, found)
        elif option.startswith(f"{_CONF}="):
            found = option.removeprefix(f"{_CONF}=")
    return Path(found) if found else None


def with_conf(command: click.Command) -> click.Command:
    """Let ``--conf`` stand behind a plugin's command, where `conf_among` has read it already."""
    if not any(_CONF in each.opts for each in command.params):
        help_text = "The configuration that the plugin runs with."
        option = click.Option([_CONF], metavar="FILE", expose_value=False, help=help_text)
        command.params.append(option)
    for below in getattr(command, "commands", {}).values():
        with_conf(below)
    return command


def reports_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
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
            unavailable = isinstance(error, UnavailableError)
            sys.exit(EXIT_UNAVAILABLE if unavailable else EXIT_FAILED)

    return wrapper


def _problems(error: ConfigError) -> str:
    count = len(error.problems)
    heading = "1 problem" if count == 1 else f"{count} problems"
    return f"tornado-webrtc: {heading} in the configuration:\n\n{error}"
