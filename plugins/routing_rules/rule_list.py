"""The rules in their order: those of the section, then those of the file, then the default."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.regularfile import read_regular_file

from .rule import BadRuleError, Party, Rule

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__all__ = ["MAX_FILE_BYTES", "MAX_RULES", "BadRulesError", "Decision", "RuleList"]

MAX_RULES = 1_000
"""A millisecond's worth: whoever takes another id for each message has all of them looked at."""

MAX_FILE_BYTES = 256 * 1024
"""A reload reads the rules in the event loop, where a larger file took too long."""

MAX_REMEMBERED = 8192
"""Decisions that are remembered, so that a long list is not gone through for each message."""


class BadRulesError(BadContentError):
    """Rules cannot be used.

    Attributes:
        key: The setting that is to blame.
    """

    def __init__(self, key: str, *faults: str) -> None:
        super().__init__(*faults)
        self.key = key


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said of a call.

    Attributes:
        allowed: Whether it may be.
        rule: Which rule says so; None for the default.
    """

    allowed: bool
    rule: Rule | None = None

    def __str__(self) -> str:
        verdict = "allowed" if self.allowed else "denied"
        if self.rule is None:
            return f"{verdict} by default: no rule fits"
        return f"{verdict} by {self.rule.place}: {self.rule.text}"


class RuleList:
    """Decides by the first rule that fits.

    Args:
        rules: In order.
        default: Whether a call is allowed that no rule fits.
    """

    def __init__(self, rules: Iterable[Rule] = (), *, default: bool = True) -> None:
        self.rules = tuple(rules)
        self.default = default
        self._remembered = functools.lru_cache(MAX_REMEMBERED)(self._search)

    @classmethod
    def read(cls, settings: Mapping[str, Any], config: Config) -> RuleList:
        """Read the rules of the section, and those of the file that it names.

        Raises:
            BadRulesError: The file cannot be read, rules are wrong or too many.
        """
        entries = enumerate(settings["rules"], 1)
        rules = _parsed("rules", "rules, entry", entries)
        if settings["file"]:
            path = config.resolve(settings["file"])
            rules += (of_file := _parsed("file", f"{path}, line", _lines(path)))
            if not of_file:  # written half, perhaps: what it had denied would be allowed
                text = f"{path} holds no rule; leave the key out if there are none"
                raise BadRulesError("file", text)
        if len(rules) > MAX_RULES:
            found = f"there are {len(rules)} rules, at most {MAX_RULES} are allowed"
            raise BadRulesError("file" if settings["file"] else "rules", found)
        return cls(rules, default=settings["default"] == "allow")

    def decide(self, caller: Party, callee: Party) -> Decision:
        """Say whether a call is allowed, and by which rule."""
        return self._remembered(caller, callee)

    def doubts(self) -> Iterator[str]:
        """What is allowed, but probably not meant."""
        if not self.rules:
            what = "everything is allowed" if self.default else "nobody can call anybody"
            yield f"there are no rules: {what}"
        for rule in self.rules[:-1]:
            if rule.fits_all:
                yield f"{rule.place}, fits every call: no rule behind it ever decides"
                return

    def _search(self, caller: Party, callee: Party) -> Decision:
        for rule in self.rules:
            if rule.fits(caller, callee):
                return Decision(rule.allows, rule)
        return Decision(self.default)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are no comments, with their numbers."""
    try:
        text = read_regular_file(path, MAX_FILE_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise BadRulesError("file", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRulesError("file", f"{path} is not UTF-8 (byte {error.start})") from None
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if (stripped := line.strip()) and stripped[0] not in "#;":
            yield number, stripped


def _parsed(key: str, place: str, lines: Iterable[tuple[int, str]]) -> list[Rule]:
    rules, faults = [], []
    for number, line in lines:
        try:
            rules.append(Rule.parse(line, f"{place} {number}"))
        except BadRuleError as error:
            faults.append(f"{place} {number}: {error}")
    if faults:
        raise BadRulesError(key, *faults)
    return rules
