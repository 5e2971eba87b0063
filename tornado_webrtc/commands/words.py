"""Durations, sizes and strangers' texts, as people read and write them."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import click

__all__ = ["DURATION", "cut", "duration", "moment", "plain", "size", "unescaped", "width"]

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
STEPS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
ELLIPSIS = "…"

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw]?)")
_ESCAPE = re.compile(
    r"\\(\\|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U(?:000[0-9a-fA-F]|0010)[0-9a-fA-F]{4})"
)


if TYPE_CHECKING:
    _FloatType: TypeAlias = click.ParamType[float]
else:
    _FloatType = click.ParamType  # generic only since click 8.2


class _DurationType(_FloatType):
    """``90``, ``90s``, ``10m``, ``2h``, ``7d``, ``1w``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no duration: write 90 (seconds), 10m, 2h or 7d.", param, ctx)
        return float(match[1]) * UNITS_S[match[2] or "s"]


DURATION = _DurationType()


def duration(seconds: float) -> str:
    """The two largest units of a duration: ``3 h 12 min``, ``45 s``, ``0.3 s``."""
    if seconds < 10:  # noqa: PLR2004
        return f"{max(0.0, seconds):.1f} s"
    left = math.floor(seconds)
    parts: list[tuple[int, str]] = []
    for unit, unit_s in STEPS:
        count, left = divmod(left, unit_s)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def size(count: float) -> str:
    """Bytes, in powers of 1000: ``512 B``, ``1.2 MB``."""
    power = 0
    while count >= 999.5 and power < len(SIZES) - 1:  # noqa: PLR2004
        count /= 1000
        power += 1
    digits = 1 if power and count < 99.95 else 0  # noqa: PLR2004
    return f"{count:.{digits}f} {SIZES[power]}"


def moment(unix_s: float) -> str:
    """A moment in this machine's time."""
    local = datetime.fromtimestamp(unix_s, UTC).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %Z}"


def plain(text: object) -> str:
    r"""A text that somebody else chose, without anything that could steer the terminal.

    What cannot be shown is written ``\xHH``, ``\uHHHH`` or ``\UHHHHHHHH``, a backslash twice;
    `unescaped` takes that back.
    """
    return "".join(map(_shown, str(text)))


def unescaped(text: str) -> str:
    """The text that `plain` shows so; other backslashes stand for themselves."""
    found = _ESCAPE.sub(lambda match: chr(int(match[1][1:], 16)) if match[1][1:] else "\\", text)
    # JSON writes what is beyond U+FFFF as two surrogates.
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def width(text: str) -> int:
    """How many columns a text takes (Unicode Standard Annex #11)."""
    return sum(map(_char_width, text))


def cut(text: str, columns: int) -> str:
    """A text that takes at most so many columns; an ellipsis stands for what is missing."""
    if width(text) <= columns:
        return text
    taken, kept = width(ELLIPSIS), []
    for char in text:
        taken += _char_width(char)
        if taken > columns:
            break
        kept.append(char)
    return "".join(kept) + ELLIPSIS


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    number = ord(char)
    if number <= 0xFF:  # noqa: PLR2004
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004
