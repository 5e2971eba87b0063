"""Settings from the environment: ``TORNADO_WEBRTC__SECTION__KEY=value``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tornado_webrtc.errors import Problem

__all__ = [
    "PREFIX",
    "Variable",
    "merge",
    "read_environment",
    "unknown_variables",
    "variable_name",
]

PREFIX = "TORNADO_WEBRTC__"
SEPARATOR = "__"

_COMMANDS_PREFIX = "TORNADO_WEBRTC_"
_COMMANDS = tuple(
    f"{_COMMANDS_PREFIX}{name}" for name in ("CONF", "PASSWORD", "ROOM_PASSWORD", "SOCKET", "TOKEN")
)

_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*')\s*(?=,|\Z)|[^,]*""")
_FORM_HINT = f"The form is {PREFIX}SECTION__KEY, for example {PREFIX}GENERAL__PORT."


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that sets a key.

    Attributes:
        name: As it stands in the environment.
        parts: Section and key, lower-case; with names of sub-sections between them.
        value: A string, or a list of them if it has commas outside quotes.
    """

    name: str
    parts: tuple[str, ...]
    value: str | list[str] = field(repr=False)


def variable_name(key: Sequence[str]) -> str:
    """Return the variable that sets a key, given the names from section to key."""
    return PREFIX + SEPARATOR.join(key).upper()


def read_environment(environ: Mapping[str, str]) -> tuple[tuple[Variable, ...], list[Problem]]:
    """Find the variables with our prefix.

    Args:
        environ: Names and values, such as ``os.environ``.

    Returns:
        The variables in alphabetical order, and what is wrong with the others.
    """
    found: dict[tuple[str, ...], Variable] = {}
    problems = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX):
            continue
        parts = tuple(name[len(PREFIX) :].lower().split(SEPARATOR))
        if message := _fault(parts, environ[name]):
            problems.append(Problem(f"environment {name}", message, _FORM_HINT))
        elif parts in found:
            message = f"{found[parts].name} sets the same key"
            problems.append(Problem(f"environment {name}", message, "Keep one of the two."))
        else:
            found[parts] = Variable(name, parts, split_value(environ[name]))
    return tuple(found.values()), problems


def unknown_variables(environ: Mapping[str, str]) -> list[Problem]:
    """Find variables that look like ours, and are read by nobody.

    Args:
        environ: Names and values, such as ``os.environ``.
    """
    hint = f"There are {', '.join(_COMMANDS)}, and {PREFIX}SECTION__KEY for every key."
    return [
        Problem(f"environment {name}", "this variable is unknown, and does nothing", hint)
        for name in sorted(environ)
        if name.upper().startswith(_COMMANDS_PREFIX)
        and not name.upper().startswith(PREFIX)
        and name not in _COMMANDS
    ]


def split_value(text: str) -> str | list[str]:
    """Read a value as a file's would be, except that ``#`` begins no comment.

    Args:
        text: The variable's value.

    Returns:
        A string without its quotes; a list if there are commas outside quotes.
    """
    entries: list[str] = []
    position = 0
    while match := _ITEM.match(text, position):
        entries.append(match[1][1:-1] if match[1] else match[0].strip())
        if match.end() == len(text):
            break
        position = match.end() + 1
    if len(entries) == 1:
        return entries[0]
    return entries[:-1] if entries[-1] == "" else entries


def merge(
    variables: Sequence[Variable], values: dict[str, Any], spec: Mapping[str, Any]
) -> dict[tuple[str, ...], str]:
    """Put the variables of one section into what the file says; they win.

    Args:
        variables: Those of the section.
        values: The section's keys and sub-sections; changed in place.
        spec: Its specification, which knows how the names are really written.

    Returns:
        Which variable set which key; the key's names from the section inwards.
    """
    origins = {}
    for variable in variables:
        table, known = values, spec
        path = []
        *outer, last = variable.parts[1:]
        for part in outer:
            path.append(_real_name(part, (*known, *table)))
            inner = table.get(path[-1])
            table[path[-1]] = inner if isinstance(inner, dict) else {}
            table = table[path[-1]]
            below = known.get(path[-1], known.get("__many__"))
            known = below if isinstance(below, dict) else {}
        path.append(_real_name(last, (*known, *table)))
        table[path[-1]] = variable.value
        origins[tuple(path)] = variable.name
    return origins


def _fault(parts: tuple[str, ...], value: str) -> str:
    if len(parts) < 2 or "" in parts:  # noqa: PLR2004 - section and key
        return "this variable names no section and key"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "the value is not UTF-8"
    return ""


def _real_name(part: str, known: Collection[str]) -> str:
    return next((name for name in known if name.lower() == part), part)
