"""The functions that a configspec names: each takes what was written and returns the value.

The core's sections and the plugins' `SETTINGS` are checked by the same functions
(docs/configuration.md lists them for plugin authors). A function gets a string,
or a list of strings where the file has commas, and raises `CheckError`, which
says in words what is allowed. Lists become tuples: settings never change.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from .address import (
    MAX_PORT,
    IPNetwork,
    PortRange,
    PublicAddress,
    parse_bind_address,
    parse_host,
    parse_ice_uri,
    parse_network,
    parse_origin,
    parse_port_range,
    parse_public_address,
)

__all__ = ["CHECKS", "CheckError", "Value", "items", "nearest", "one", "texts"]

Value = str | Sequence[str]
Parsed = TypeVar("Parsed")

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
_SWITCH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


class CheckError(ValueError):
    """A value is not allowed.

    Attributes:
        allowed: What is allowed, in words.
        found: The offending entry of a list; None if it is the whole value.
        hint: What to do about it; may be empty.
    """

    def __init__(self, allowed: str, *, found: str | None = None, hint: str = "") -> None:
        self.allowed = allowed
        self.found = found
        self.hint = hint
        super().__init__(f"allowed is {allowed}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is most like another one, whatever its case."""
    folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def one(value: Value, allowed: str = "one value") -> str:
    """Return a single value; a list is refused."""
    if isinstance(value, str):
        return value
    raise CheckError(allowed, hint="Put the value in quotes if the comma belongs to it.")


def items(value: Value) -> tuple[str, ...]:
    """Return the entries of a list; a single value is a list of one, nothing is an empty list."""
    entries = (value,) if isinstance(value, str) else tuple(value)
    return () if entries == ("",) else entries


def each(value: Value, parse: Callable[[str], Parsed]) -> tuple[Parsed, ...]:
    """Parse every entry of a list; the first bad one is named in the error."""
    return tuple(_parsed(entry, parse) for entry in items(value))


def integer(value: Value, low: str | None = None, high: str | None = None) -> int:
    """``integer(min, max)``: a whole number."""
    return int(_number(value, _WHOLE, f"a whole number{_span(low, high)}", low, high))


def decimal(value: Value, low: str | None = None, high: str | None = None) -> float:
    """``float(min, max)``: a number."""
    return _number(value, _DECIMAL, f"a number{_span(low, high)}", low, high)


def seconds(value: Value, low: str = "0", high: str | None = None) -> float:
    """``seconds(min, max)``: a duration, a plain number."""
    allowed = f"a number of seconds{_span(low, high)}, without a unit"
    return _number(value, _DECIMAL, allowed, low, high)


def size(value: Value, low: str = "0", high: str | None = None) -> int:
    """``bytes(min, max)``: a size, a plain whole number."""
    allowed = f"a whole number of bytes{_span(low, high)}, without a unit"
    return int(_number(value, _WHOLE, allowed, low, high))


def boolean(value: Value) -> bool:
    """``boolean``: a switch."""
    allowed = "true, yes, on or 1, or false, no, off or 0"
    try:
        return _SWITCH[one(value, allowed).lower()]
    except KeyError:
        raise CheckError(allowed) from None


def option(value: Value, *options: str) -> str:
    """``option("a", "b")``: one of several words."""
    allowed = f"one of {', '.join(options)}"
    text = one(value, allowed)
    if text not in options:
        close = nearest(text, options)
        raise CheckError(allowed, hint=f"Did you mean {close}?" if close else "")
    return text


def text(value: Value, low: str | None = None, high: str | None = None) -> str:
    """``string(min, max)``: any text, within limits of its length."""
    allowed = f"a text of {_count(low, high)} characters" if low or high else "a text"
    written = one(value, allowed)
    if not _within(len(written), low, high):
        raise CheckError(allowed)
    return written


def texts(value: Value, low: str | None = None, high: str | None = None) -> tuple[str, ...]:
    """``force_list(min, max)``: texts, within limits of their number."""
    entries = items(value)
    if not _within(len(entries), low, high):
        raise CheckError(f"a list of {_count(low, high)} entries, separated by commas")
    if "" in entries:
        raise CheckError("a list without empty entries")
    return entries


def name(value: Value) -> str:
    """``name``: up to 64 letters, digits, and ``.``, ``_``, ``-``; or nothing."""
    allowed = "up to 64 letters, digits, dots, underscores and hyphens"
    if not _NAME.fullmatch(one(value, allowed)):
        raise CheckError(allowed)
    return one(value)


def plugin_names(value: Value) -> tuple[str, ...]:
    """``plugin_list``: names of plugins."""
    for entry in items(value):
        if not entry.isidentifier():
            raise CheckError("plugin names, separated by commas", found=entry)
    return items(value)


def port(value: Value) -> int:
    """``port``: a TCP or UDP port; 0 stands for any free one."""
    allowed = f"a port from 1 to {MAX_PORT}, or 0 for any free one"
    return int(_number(value, _WHOLE, allowed, "0", str(MAX_PORT)))


def optional_port(value: Value) -> int | None:
    """``optional_port``: a port, or nothing for "no such port"."""
    return None if value == "" else port(value)


def port_range(value: Value) -> PortRange:
    """``port_range``: FIRST-LAST, or a single port."""
    return _parsed(one(value, "FIRST-LAST such as 49152-65535, or a single port"), parse_port_range)


def host(value: Value) -> str:
    """``host``: a host name or IP address, or nothing."""
    written = one(value, "one host name or IP address")
    return _parsed(written, parse_host) if written else ""


def addresses(value: Value) -> tuple[str, ...]:
    """``address_list``: at least one address to listen on, none of them twice."""
    found = each(value, parse_bind_address)
    if not found or len(set(found)) < len(found):
        raise CheckError("a list of at least one address, none of them twice")
    return found


def networks(value: Value) -> tuple[IPNetwork, ...]:
    """``network_list``: networks and single addresses."""
    return each(value, parse_network)


def origins(value: Value) -> tuple[str, ...]:
    """``origin_list``: ``*``, origins, and patterns such as ``https://*.example.org``."""
    return each(value, parse_origin)


def ice_uris(value: Value) -> tuple[str, ...]:
    """``ice_uri_list``: STUN and TURN URIs (RFC 7064, RFC 7065)."""
    return each(value, parse_ice_uri)


def public_addresses(value: Value) -> tuple[PublicAddress, ...]:
    """``public_address_list``: at most one address of a family, at most two in all."""
    found = each(value, parse_public_address)
    known = [address.version for address in found if address.version]
    if len(found) > 2 or len(set(known)) < len(known):  # noqa: PLR2004 - one per family
        raise CheckError("at most one address per family: one IPv4, one IPv6, or one of both")
    return found


def secret(value: Value) -> str:
    """``secret``: a text that is never shown; may be empty."""
    return one(value, "one text")


def secrets(value: Value) -> tuple[str, ...]:
    """``secret_list``: texts that are never shown."""
    return texts(value)


CHECKS: dict[str, Callable[..., object]] = {
    "address_list": addresses,
    "boolean": boolean,
    "bytes": size,
    "float": decimal,
    "force_list": texts,
    "host": host,
    "ice_uri_list": ice_uris,
    "integer": integer,
    "name": name,
    "network_list": networks,
    "option": option,
    "optional_port": optional_port,
    "origin_list": origins,
    "plugin_list": plugin_names,
    "port": port,
    "port_range": port_range,
    "public_address_list": public_addresses,
    "seconds": seconds,
    "secret": secret,
    "secret_list": secrets,
    "string": text,
}
"""By the names that a configspec uses; those with paths come from `specification`."""


def _parsed(written: str, parse: Callable[[str], Parsed]) -> Parsed:
    try:
        return parse(written)
    except ValueError as error:
        raise CheckError(str(error), found=written) from None


def _number(
    value: Value, form: re.Pattern[str], allowed: str, low: str | None, high: str | None
) -> float:
    written = one(value, allowed)
    if not form.fullmatch(written) or not _within(float(written), low, high):
        raise CheckError(allowed)
    return float(written) if form is _DECIMAL else int(written)


def _within(number: float, low: str | None, high: str | None) -> bool:
    return (float(low) if low else -math.inf) <= number <= (float(high) if high else math.inf)


def _span(low: str | None, high: str | None) -> str:
    if low and high:
        return f" from {low} to {high}"
    return f", {_count(low, high)}" if low or high else ""


def _count(low: str | None, high: str | None) -> str:
    if low and high:
        return f"{low} to {high}"
    return f"{low} or more" if low else f"up to {high}"
