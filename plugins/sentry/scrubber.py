"""What may be reported: a short list of what helps, and texts without secrets.

The library collects far more than it takes to mend a fault. What leaves the server is
listed here, part by part; whatever a newer library adds stays at home. All texts go
through the redaction that the log goes through.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from tornado_webrtc.redaction import REDACTED, Redaction, is_secret

__all__ = ["Scrubber"]

MAX_TEXT = 8192
"""Characters of one text."""

MAX_CRUMB = 1024
"""Characters of each text in a breadcrumb, of which there are many."""

_MAX_DEPTH = 12
_MAX_NAME = 128

_KEPT = (
    *("event_id", "timestamp", "start_timestamp", "type", "level", "logger", "platform"),
    *("release", "environment", "server_name", "transaction", "transaction_info"),
    *("message", "logentry", "exception", "threads", "breadcrumbs", "spans"),
    *("request", "contexts", "tags", "extra", "fingerprint", "sdk"),
)
_KEPT_CONTEXTS = ("trace", "runtime")
_KEPT_OF_LOG = ("message", "formatted")
_KEPT_HEADERS = frozenset(
    {
        *("accept", "connection", "content-length", "content-type", "host", "origin", "upgrade"),
        *("sec-websocket-version", "user-agent", "x-request-id"),
    }
)
_DROPPED_EXTRA = frozenset({"sys.argv"})
_OF_A_FRAME = "lineno"


class Scrubber:
    """Takes out of an event what nobody else may learn.

    Args:
        anonymous: Whether network addresses are shortened.
    """

    def __init__(self, *, anonymous: bool) -> None:
        self._redaction = Redaction(anonymous=anonymous)

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What of an event, or of a transaction, is sent.

        Args:
            event: As the library made it: nothing but what JSON can hold.
        """
        kept = {name: event[name] for name in _KEPT if name in event}
        if isinstance(logentry := kept.get("logentry"), Mapping):
            # The arguments stand in the text, where the words before them tell what they are.
            kept["logentry"] = {name: logentry.get(name) for name in _KEPT_OF_LOG}
        if isinstance(contexts := kept.get("contexts"), Mapping):
            kept["contexts"] = {name: contexts[name] for name in _KEPT_CONTEXTS if name in contexts}
        if isinstance(extra := kept.get("extra"), Mapping):
            kept["extra"] = {
                name: value for name, value in extra.items() if name not in _DROPPED_EXTRA
            }
        if "request" in kept:
            kept["request"] = _request(kept["request"])
        scrubbed: dict[str, Any] = self._value(kept, MAX_TEXT)
        return scrubbed

    def breadcrumb(self, crumb: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A line of the log, as it is kept until there is a fault."""
        for name, value in list(crumb.items()):
            crumb[name] = self._value(value, MAX_CRUMB, name)
        return crumb

    def _value(self, value: Any, limit: int, name: str = "", depth: int = 0) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if is_secret(name, number=isinstance(value, int | float)):
            return REDACTED
        if isinstance(value, str):
            return self._redaction(value, limit)
        if depth >= _MAX_DEPTH and isinstance(value, Mapping | list | tuple):
            return "…"
        if isinstance(value, Mapping):
            return self._mapping(value, limit, depth + 1)
        if isinstance(value, list | tuple):
            return self._several(value, limit, depth + 1)
        return value

    def _mapping(self, values: Mapping[Any, Any], limit: int, depth: int) -> dict[str, Any]:
        if _OF_A_FRAME in values:
            values = {name: value for name, value in values.items() if name != "vars"}
        named = values.get("name", values.get("key"))
        of_secret = isinstance(named, str) and is_secret(named[:_MAX_NAME])
        return {
            self._redaction(_name(key), _MAX_NAME): (
                REDACTED
                if of_secret and key == "value"
                else self._value(value, limit, _name(key), depth)
            )
            for key, value in values.items()
        }

    def _several(self, values: list[Any] | tuple[Any, ...], limit: int, depth: int) -> list[Any]:
        """The values of a sequence; of a pair, the first may name the second."""
        names = [""] * len(values)
        if len(values) == 2 and isinstance(values[0], str):  # noqa: PLR2004 - a pair
            names[1] = _name(values[0])
        return [
            self._value(value, limit, name, depth)
            for value, name in zip(values, names, strict=True)
        ]


def _name(key: object) -> str:
    return str(key)[:_MAX_NAME]


def _request(request: Any) -> dict[str, Any]:
    """What was asked for, and by which software: no query, cookie, body, address."""
    if not isinstance(request, Mapping):
        return {}
    headers = request.get("headers")
    shown = {
        name: value
        for name, value in (headers.items() if isinstance(headers, Mapping) else ())
        if str(name).lower() in _KEPT_HEADERS
    }
    url = str(request.get("url", "")).partition("?")[0].partition("#")[0]
    return {"method": request.get("method"), "url": url, "headers": shown}
