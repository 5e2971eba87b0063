"""Specifications of sections: the core's configspec file and the plugins' `SETTINGS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any, Literal

from configobj import ConfigObj, ConfigObjError
from configobj.validate import ValidateError, Validator

from tornado_webrtc.paths import conf_dir

from .checks import CHECKS, CheckError, Value, one, texts
from .location import resolve
from .scanner import Key

__all__ = [
    "CORE",
    "MANY",
    "Mark",
    "core_specification",
    "make_validator",
    "marks",
    "own_marks",
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


def own_marks(spec: str) -> Callable[[Key], Mark]:
    """Tell which settings in a plugin's own section a reload applies.

    A key is ``live`` if the comment above it has a line ``# live`` or ends with
    ``(live)``; so is everything in a sub-section that is marked like that.

    Args:
        spec: Its `SETTINGS`, a specification without faults.

    Returns:
        A function from a key, sub-sections first, to its mark. A name that the
        specification does not list is looked for as ``__many__``.
    """
    parsed = parse_specification(spec)

    def mark(key: Key) -> Mark:
        table = parsed
        for name in key:
            known = next((each for each in (name, *MANY) if each in table), None)
            if known is None:
                return "restart"
            if _is_marked_live(_comment(table, known)):
                return "live"
            table = table[known] if known in table.sections else {}
        return "restart"

    return mark


def _comment(table: Any, name: str) -> list[str]:
    """The lines above a name. ConfigObj keeps those above the first one of a file elsewhere."""
    above: list[str] = table.comments[name]
    is_first = table.parent is table and name == next(iter(table))
    return [*table.initial_comment, *above] if is_first else above


def _is_marked_live(lines: Iterable[str]) -> bool:
    texts = [line.strip("# \t") for line in lines]
    return any(text == "live" or text.endswith("(live)") for text in texts)


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
