"""What a server answers, as a person reads it on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tornado_webrtc.commands.table import columns, screen_width, table
from tornado_webrtc.commands.words import duration, moment, plain, size

__all__ = ["collection", "counted", "entry", "overview"]

Entry = Mapping[str, Any]

LABEL_WIDTH = 15

COLUMNS: Mapping[str, Sequence[tuple[str, str]]] = {
    "peers": (
        *(("id", "id"), ("name", "name"), ("address", "remote_ip"), ("user", "subject")),
        *(("connected", "connected_s"), ("calls", "sessions")),
    ),
    "sessions": (
        *(("id", "id"), ("caller", "caller"), ("callee", "callee"), ("state", "state")),
        *(("offered", "offered_s"), ("answered", "answered_s")),
    ),
    "allocations": (
        *(("id", "id"), ("user", "user"), ("client", "client"), ("over", "transport")),
        *(("relayed at", "relayed"), ("age", "created_s")),
        *(("to peers", "bytes_to_peer"), ("from peers", "bytes_from_peer")),
    ),
    "plugins": (("name", "id"), ("version", "version"), ("origin", "origin"), ("hooks", "hooks")),
    "bans": (("id", "id"), ("left", "left_s"), ("since", "created_at"), ("reason", "reason")),
}
"""Headings and keys; collections that plugins add have a column for each key."""

COUNTED = {"sessions", "hooks", "permissions", "channels"}
"""Lists of which a table says only how long they are."""


def overview(status: Entry) -> str:
    """The answer of ``/status``."""
    state, since = status["state"], duration(status["uptime_s"])
    heading = f"tornado-webrtc {status['version']} is {state}, started {since} ago"
    counts = [(name, "?" if count is None else count) for name, count in _live(status)]
    figures = [(part, _numbers(numbers)) for part, numbers in _figures(status).items()]
    blocks = [
        heading,
        _paragraphs(_facts(status)),
        columns([[name for name, _ in counts], [count for _, count in counts]], screen_width()),
        _paragraphs(figures),
    ]
    return "\n\n".join(filter(None, blocks))


def collection(name: str, entries: Sequence[Entry]) -> str:
    """The answer of ``/COLLECTION``."""
    if not entries:
        return f"no {plain(name)}"
    shown = COLUMNS.get(name) or [(key.removesuffix("_s"), key) for key in entries[0]]
    rows = [[_cell(key, each.get(key)) for _, key in shown] for each in entries]
    return table([heading for heading, _ in shown], rows, screen_width())


def entry(found: Entry) -> str:
    """The answer of ``/COLLECTION/ID``."""
    return columns([key.removesuffix("_s"), _value(key, value)] for key, value in found.items())


def counted(count: int, noun: str) -> str:
    """``1 connection``, ``2 connections``."""
    return f"{count} {noun.removesuffix('s')}{'' if count == 1 else 's'}"


def _live(status: Entry) -> Iterator[tuple[str, int | None]]:
    return ((name, n) for name, n in status["collections"].items() if name != "plugins")


def _facts(status: Entry) -> Iterator[tuple[str, str]]:
    yield "configuration", status["config"] or "none: defaults and environment"
    yield "listening on", ", ".join(status["addresses"])
    yield "certificate", _certificate(status["certificate"])
    yield "process", f"{status['pid']}, node {status['node_id']}, {status['event_loop']}"
    yield "plugins", ", ".join(each["id"] for each in status["plugins"]) or "none"
    left_out = status["plugins_left_out"].items()
    yield "left out", "; ".join(f"{name}: {reason}" for name, reason in left_out)
    if status["collections"]["bans"] and not status["bans_stored"]:
        yield "attention", "the bans could not be stored: a restart loses them (see the log)"


def _certificate(found: Entry | None) -> str:
    if found is None:
        return "none: plain HTTP"
    days = found["days_left"]
    when = f"{counted(days, 'days')} left" if days >= 0 else f"EXPIRED on {found['not_after'][:10]}"
    return f"{found['file']}, {when}"


def _figures(status: Entry) -> dict[str, Entry]:
    """Counters and gauges of each part; what the collections say as well is left out."""
    counters, gauges = status["counters"], dict(status.get("gauges", {}))
    gauges.pop("signaling", None)
    return {name: counters.get(name, {}) | gauges.get(name, {}) for name in {**counters, **gauges}}


def _numbers(figures: Entry) -> str:
    found = [
        f"{name} {size(number) if 'bytes' in name else f'{number:.12g}'}"
        for name, number in sorted(figures.items())
        if number
    ]
    return ", ".join(found)


def _paragraphs(texts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(_paragraph(label, text) for label, text in texts if text)


def _paragraph(label: str, text: str) -> str:
    """A text beside its label; long ones go on below, a name and its number stay together."""
    glued = ", ".join(part.replace(" ", "\xa0") for part in plain(text).split(", "))
    lines = textwrap.wrap(
        glued,
        screen_width() - LABEL_WIDTH,
        break_on_hyphens=False,
    )
    indent = "\n" + " " * LABEL_WIDTH
    return f"{plain(label):<{LABEL_WIDTH}}{indent.join(lines)}".replace("\xa0", " ")


def _cell(key: str, value: Any) -> str:
    if key in COUNTED and isinstance(value, list):
        return str(len(value))
    return _value(key, value)


def _value(key: str, value: Any) -> str:
    """A value, by what its key says of its unit."""
    if value is None or value in ("", []):
        return "for ever" if key in {"left_s", "expires_at"} else "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(key, value)
    if isinstance(value, list):
        return ", ".join(_value("", each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{name} {_value(name, each)}" for name, each in value.items())
    return str(value)


def _number(key: str, value: float) -> str:
    if key.endswith("_s"):
        return duration(value)
    if key.endswith("_at"):
        return moment(value)
    return size(value) if "bytes" in key else f"{value:g}"
