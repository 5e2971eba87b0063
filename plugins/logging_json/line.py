"""One line of JSON for a log record or an event: redacted, at most 64 kB, always valid."""

from __future__ import annotations

import functools
import logging
import time
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

from tornado_webrtc.redaction import REDACTED, Redaction, is_secret, message_of

__all__ = ["EVENT_LOGGER", "MAX_LINE_BYTES", "LineFormat"]

MAX_LINE_BYTES = 65536

EVENT_LOGGER = "tornado_webrtc.events"

TEXT_LIMITS = (16384, 4096, 1024, 128)
"""Characters of a text; a line that is too long is made again with the next limit."""

MAX_VALUES = 200
MAX_DEPTH = 4
MAX_NAME = 128

_OF_EVERY_RECORD = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "exc_text"}
)
_OF_THIS_FORMAT = frozenset({"time", "level", "logger", "message", "exception", "stack", "event"})


class LineFormat:
    """Makes lines.

    Args:
        redaction: What is done to every text.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._second = -1
        self._stamp = ""

    def record(self, record: logging.LogRecord) -> str:
        """A line for a log record, with the fields of its ``extra``."""
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _OF_EVERY_RECORD and not name.startswith("_")
        }
        head = self._head(record.created, record.levelname, record.name)
        message = message_of(record)
        for limit in TEXT_LIMITS:
            fields: dict[str, object] = {"message": self._redaction(message, limit)}
            fields |= _Fields(self._redaction, limit).of(extra)
            if record.exc_info and record.exc_info[1] is not None:
                fields["exception"] = self._exception(record.exc_info[1], limit)
            if record.stack_info:
                fields["stack"] = self._lines(record.stack_info, limit)
            if (line := _encoded(head | fields)) is not None:
                return line
        return self._too_large(head)

    def event(self, name: str, fields: Mapping[str, object], created: float) -> str:
        """A line for something that happened.

        Args:
            name: The event's.
            fields: What belongs to it; None is left out.
            created: Unix time.
        """
        head = self._head(created, "INFO", EVENT_LOGGER) | {"event": name}
        known = {name: value for name, value in fields.items() if value is not None}
        for limit in TEXT_LIMITS:
            line = _encoded(head | _Fields(self._redaction, limit).of(known))
            if line is not None:
                return line
        return self._too_large(head)

    def _too_large(self, head: dict[str, object]) -> str:
        line = _encoded(head | {"message": "[a record that is too large]"})
        return line or "{}"

    def _head(self, created: float, level: str, logger: str) -> dict[str, object]:
        return {
            "time": self._time(created),
            "level": level,
            "logger": _shown_name(logger[: 2 * MAX_NAME], self._redaction.anonymous),
        }

    def _time(self, created: float) -> str:
        """A time as RFC 3339 has it, in UTC, with milliseconds."""
        milliseconds = int(created * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._stamp}.{rest:03d}Z"

    def _exception(self, error: BaseException, limit: int) -> dict[str, object]:
        kind = type(error)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        text = "".join(traceback.format_exception(error))
        return {
            "type": f"{module}{kind.__qualname__}"[:MAX_NAME],
            "text": self._redaction(_text_of(error), limit),
            "traceback": self._lines(text, limit),
        }

    def _lines(self, text: str, limit: int) -> list[str]:
        """Lines of a traceback; of a long one the middle is left out."""
        lines = self._redaction(text, 2 * TEXT_LIMITS[0]).splitlines()
        most = max(4, limit // 128)
        if len(lines) > most:
            half = most // 2
            left_out = f"… [{len(lines) - 2 * half} lines more]"
            lines = [*lines[:half], left_out, *lines[-half:]]
        longest = max(80, limit // 16)
        return [line[:longest] for line in lines]


class _Fields:
    """Makes fields fit for a line: redacted, of JSON's types, not too many."""

    def __init__(self, redaction: Redaction, limit: int) -> None:
        self._redaction = redaction
        self._limit = limit
        self._left = MAX_VALUES

    def of(self, values: Mapping[str, object]) -> dict[str, object]:
        """The fields of one line; one that has the name of the format's own gets a ``_``."""
        return {
            f"{name}_" if name in _OF_THIS_FORMAT else name: value
            for name, value in self._mapping(values, 0).items()
        }

    def _mapping(self, values: Mapping[Any, object], depth: int) -> dict[str, object]:
        found = {}
        for key, value in values.items():
            if self._left <= 0:
                break
            name = _name_of(key)
            shown = _shown_name(name, self._redaction.anonymous)
            found[shown] = self._value(value, depth, name)
        return found

    def _value(self, value: object, depth: int, name: str = "") -> object:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if _is_secret(name, isinstance(value, int | float)):
            return REDACTED
        if isinstance(value, float):
            return value
        if isinstance(value, int):
            return value if -(2**63) <= value < 2**63 else self._redaction(hex(value), self._limit)
        if isinstance(value, str):
            return self._redaction(str(value), self._limit)
        if depth < MAX_DEPTH and isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
            return self._several(list(value), depth, pair=depth > 0 or isinstance(value, tuple))
        return self._redaction(_text_of(value), self._limit)

    def _several(self, values: list[object], depth: int, *, pair: bool) -> list[object]:
        """The values of a sequence; if it may be a pair, the first may name the second."""
        named = pair and len(values) == 2 and isinstance(values[0], str | bytes)  # noqa: PLR2004
        names = ("", _name_of(values[0])) if named else ("",) * len(values)
        return [
            self._value(each, depth + 1, name)
            for each, name in list(zip(values, names, strict=True))[: max(0, self._left)]
        ]


def _name_of(key: object) -> str:
    """A key as it is looked at, no longer than is of use."""
    text = key.decode("latin-1") if isinstance(key, bytes) else str(key)
    return text[: 2 * MAX_NAME]


@functools.lru_cache(maxsize=512)
def _shown_name(name: str, anonymous: bool) -> str:
    return Redaction(anonymous=anonymous)(name, MAX_NAME)


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str, number: bool) -> bool:
    return is_secret(name, number=number)


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # whatever its __str__ raises
        return f"[{type(value).__name__} without a text: {type(error).__name__}]"


def _encoded(fields: Mapping[str, object]) -> str | None:
    """JSON on one line; None if it is too long."""
    try:
        encoded = msgspec.json.encode(fields)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has not
        encoded = msgspec.json.encode(_mended(fields))
    return None if len(encoded) >= MAX_LINE_BYTES else encoded.decode()


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_mended(name): _mended(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mended(each) for each in value]
    return value
