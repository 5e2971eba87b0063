"""One rule: may these call those? Read from a line, and asked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

__all__ = ["FORM", "BadRuleError", "Party", "Rule"]

FORM = "allow|deny CALLER -> CALLEE"

ARROW = "->"
_VERBS = {"allow": True, "deny": False}
_GLOB = re.compile(r"[*?\[]")
_MAX_COMPILED = 32768
_MAX_ADDRESSES = 1024
_MAPPED_BITS = 96


class BadRuleError(ValueError):
    """A line is no rule; the message says why."""


@dataclass(frozen=True, slots=True)
class Party:
    """What rules look at of a caller or callee.

    Attributes:
        id: The peer's.
        scope: Its scope, which is the name of its room; empty for the lobby.
        user: Who it is, if a plugin authenticates it.
        ip: The client's address; empty if that is not known.
    """

    id: str
    scope: str = ""
    user: str | None = None
    ip: str = ""


Condition = Callable[[Party], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows or denies the calls that it fits.

    Attributes:
        allows: What it says of them.
        text: The rule as it was written, one space between words.
        place: Where that was, in words.
        caller: What has to hold of the caller; nothing fits everybody.
        callee: What has to hold of the callee.
    """

    allows: bool
    text: str
    place: str
    caller: tuple[Condition, ...] = field(repr=False)
    callee: tuple[Condition, ...] = field(repr=False)

    @classmethod
    def parse(cls, line: str, place: str) -> Rule:
        """Read a rule.

        Args:
            line: ``allow|deny CALLER -> CALLEE``, each one or more conditions that have to
                hold together. What stands behind a word that begins with ``#`` is a comment.
            place: Where it stands, for messages.

        Raises:
            BadRuleError: It is none.
        """
        words = _without_comment(line.split())
        verb = words[0] if words else ""
        if verb not in _VERBS:
            raise BadRuleError(f"it begins with {verb!r}, but has to be {FORM}")
        if words.count(ARROW) != 1:
            raise BadRuleError(f"one {ARROW}, with spaces around it, is needed: {FORM}")
        middle = words.index(ARROW)
        return cls(
            _VERBS[verb],
            " ".join(words),
            place,
            _conditions(words[1:middle], "caller"),
            _conditions(words[middle + 1 :], "callee"),
        )

    @property
    def fits_all(self) -> bool:
        """Whether no rule behind it can decide anything."""
        return not self.caller and not self.callee

    def fits(self, caller: Party, callee: Party) -> bool:
        """Tell whether the rule decides about a call."""
        return all(holds(caller) for holds in self.caller) and all(
            holds(callee) for holds in self.callee
        )


def _without_comment(words: list[str]) -> list[str]:
    comment = next((n for n, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _conditions(words: Sequence[str], side: str) -> tuple[Condition, ...]:
    if not words:
        raise BadRuleError(f"the {side} is missing; * fits everybody: {FORM}")
    found: dict[str, Condition | None] = {}
    for word in words:
        kind, pattern = _parted(word)
        if kind in found:
            also = "; write ? for a space" if kind == "id" else ""
            raise BadRuleError(f"the {side} has more than one condition on the {kind}{also}")
        found[kind] = _KINDS[kind](pattern)
    return tuple(condition for condition in found.values() if condition is not None)


def _parted(word: str) -> tuple[str, str]:
    """The kind of a condition, and its pattern; a bare word is about the peer id."""
    kind, colon, pattern = word.partition(":")
    if not colon:
        return "id", word
    kind = "room" if kind == "scope" else kind
    if kind not in _KINDS:
        known = ", ".join(f"{each}:" for each in _KINDS)
        raise BadRuleError(f"{kind}: is not known; known are {known}; say id:{word} for a peer id")
    if not pattern and kind != "room":
        raise BadRuleError(f"{kind}: has nothing behind it")
    return kind, pattern


def _pattern(pattern: str) -> Callable[[str], bool] | None:
    """A function that compares; None for what fits everything."""
    if pattern == "*":
        return None
    if not _GLOB.search(pattern):
        return pattern.__eq__
    if not _GLOB.search(beginning := pattern.removesuffix("*")):
        return lambda text: text.startswith(beginning)
    match = _compiled(pattern).match
    return lambda text: match(text) is not None


@lru_cache(_MAX_COMPILED)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Thousands take seconds: what `check` has compiled beside the event loop is kept."""
    return re.compile(translate(pattern))


def _on_id(pattern: str) -> Condition | None:
    fits = _pattern(pattern)
    return fits and (lambda party: fits(party.id))


def _on_room(pattern: str) -> Condition | None:
    """Nothing is the lobby. Names of rooms are in Normalization Form C."""
    fits = _pattern(unicodedata.normalize("NFC", pattern))
    return fits and (lambda party: fits(party.scope))


def _on_user(pattern: str) -> Condition:
    """Who is not authenticated is no user, whatever the pattern."""
    fits = _pattern(pattern)
    return lambda party: party.user is not None and (fits is None or fits(party.user))


def _on_ip(text: str) -> Condition:
    try:
        network = _unmapped(ip_network(text))
    except ValueError as error:
        raise BadRuleError(f"ip: needs an address or a network: {error}") from None
    return lambda party: (address := _address(party.ip)) is not None and address in network


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """What `_address` makes of the addresses in a network."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


@lru_cache(_MAX_ADDRESSES)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


_KINDS: dict[str, Callable[[str], Condition | None]] = {
    "id": _on_id,
    "user": _on_user,
    "room": _on_room,
    "ip": _on_ip,
}
