"""What an examination has found: a level, a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Level", "worst"]


class Level(StrEnum):
    """How bad it is, the least first."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What was looked at, in a word or a few.
        level: How it is.
        text: What was found, a sentence without a full stop.
        hint: What to do about it; empty if nothing has to be done.
        values: Numbers and names for programs, JSON-ready.
    """

    subject: str
    level: Level
    text: str
    hint: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it; an empty hint is left out."""
        hint = {"hint": self.hint} if self.hint else {}
        head = {"subject": self.subject, "level": str(self.level), "text": self.text}
        return {**head, **hint, **self.values}


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the worst of them; OK if there is none."""
    order = list(Level)
    return max((each.level for each in findings), key=order.index, default=Level.OK)
