"""Findings as lines for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from tornado_webrtc.commands.words import plain
from tornado_webrtc.finding import Finding, Level

__all__ = ["finding_lines", "lines", "summary"]

WIDTH = 100
SUBJECT_WIDTH = 14
LEVEL_WIDTH = max(map(len, Level)) + 1
COLOURS = {Level.OK: "green", Level.SKIPPED: None, Level.WARNING: "yellow", Level.PROBLEM: "red"}


def lines(findings: Iterable[Finding], subject_width: int = SUBJECT_WIDTH) -> list[str]:
    """All findings, in their order."""
    return [line for each in findings for line in finding_lines(each, subject_width)]


def finding_lines(finding: Finding, subject_width: int = SUBJECT_WIDTH) -> list[str]:
    """Level, subject and text of a finding, and below what to do."""
    level = click.style(f"{finding.level:<{LEVEL_WIDTH}}", fg=COLOURS[finding.level])
    head = f"{plain(finding.subject):<{subject_width}} "
    indent = " " * (LEVEL_WIDTH + len(head))
    first, *others = _wrapped(finding.text, indent)
    shown = [f"{level}{head}{first}", *(indent + line for line in others)]
    if finding.hint:
        hint, *more = _wrapped(finding.hint, indent + "-> ")
        shown += [f"{indent}-> {hint}", *(f"{indent}   {line}" for line in more)]
    return shown


def _wrapped(text: str, indent: str) -> list[str]:
    width = max(WIDTH - len(indent), 20)
    lines = textwrap.wrap(plain(text), width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def summary(findings: Iterable[Finding]) -> str:
    """How many of each level there are."""
    levels = [finding.level for finding in findings]
    problems, warnings = levels.count(Level.PROBLEM), levels.count(Level.WARNING)
    parts = [_count(problems, "problem"), _count(warnings, "warning")]
    return ", ".join([*parts, f"{levels.count(Level.OK)} ok"])


def _count(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
