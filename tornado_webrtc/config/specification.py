"""Specifications of sections: the core's configspec file and the plugins' `SETTINGS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal

from configobj import ConfigObj, ConfigObjError
from configobj.validate import ValidateError, Validator

from tornado_webrtc.paths import conf_dir

from .checks import CHECKS, CheckError, Value, one, texts
from .location import resolve

__all__ = [
    "CORE",
    "MANY",
    "Mark",
    "core_specification",
    "make_validator",
    "marks",
    "parse_specification",
]

CORE = ("general", "signaling", "turn", "plugins", "admin")
"""The core's own sections, in the order of `conf/server.ini`."""

MANY = ("__many__", "___many___")
"""Names that stand for any other name in a configspec; never a real name."""

Mark = Literal["live", "restart"]

_RENAMED = {"min": "low", "max": "high"}


def parse_specification(text: str) -> Any:
    """Read a configspec.

    Args:
        text: Lines ``key = check(arguments, default=...)``.

    Returns:
        A ConfigObj whose values are the checks.

    Raises:
        ValueError: If it is no configspec; the message says why.
    """
    try:
        return ConfigObj(
            text.splitlines(),
            interpolation=False,
            list_values=False,
            raise_errors=True,
            _inspec=True,
        )
    except ConfigObjError as error:
        raise ValueError(str(error)) from None


@cache
def core_specification() -> Any:
    """Return `conf/server.configspec`; not to be changed."""
    return parse_specification((conf_dir() / "server.configspec").read_text(encoding="utf-8"))


def marks() -> Mapping[str, Mark]:
    """Tell which settings of the core a reload applies.

    Returns:
        ``live`` (a reload applies a change) or ``restart`` for each ``section.key``.

    Raises:
        ValueError: If a key of the configspec has no mark in the comment above it.
    """
    found: dict[str, Mark] = {}
    for section in CORE:
        spec = core_specification()[section]
        for key in spec.scalars:
            words = " ".join(spec.comments[key]).split()
            if "live" in words:
                found[f"{section}.{key}"] = "live"
            elif "restart" in words:
                found[f"{section}.{key}"] = "restart"
            else:
                raise ValueError(f"{section}.{key} is marked neither live nor restart")
    return found


def make_validator(file: Path | None) -> Any:
    """Make a ConfigObj Validator that knows our checks.

    Args:
        file: The configuration file, whose folder relative paths are taken from.

    Returns:
        The Validator. Its checks raise ValidateError with a `CheckError` as the cause.
    """

    def path(value: Value) -> Path | None:
        written = one(value, "one path")
        return resolve(written, file) if written else None

    def paths(value: Value) -> tuple[Path, ...]:
        return tuple(resolve(entry, file) for entry in texts(value))

    checks = {**CHECKS, "path": path, "path_list": paths}
    return Validator({name: _as_validator_function(check) for name, check in checks.items()})


def _as_validator_function(check: Callable[..., object]) -> Callable[..., object]:
    @wraps(check)
    def run(value: Value, *arguments: str, **limits: str) -> object:
        renamed = {_RENAMED.get(name, name): limit for name, limit in limits.items()}
        try:
            return check(value, *arguments, **renamed)
        except CheckError as error:
            raise ValidateError(str(error)) from error

    return run
