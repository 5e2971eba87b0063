"""Reads a configuration file line by line: where each section and key stands.

ConfigObj parses files but keeps no line numbers, takes ``;`` for text, drops
what follows a duplicate section into the section before it, and needs minutes
for some lists with an unclosed quote. So the scanner goes first. It accepts a
part of ConfigObj's grammar, reports every line outside of it, and hands on the
remaining lines in a plain form in which ConfigObj sees exactly what it saw.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Fault", "Key", "Scan", "scan"]

Key = tuple[str, ...]
"""The names of a section or key, from the outside in: ``("turn", "port")``."""

_HEADING = re.compile(
    r"""\s* (?P<open>\[+) \s* (?P<name>
        "[^"]*[^"\s][^"]*"
        | '[^']*[^'\s][^']*'
        | [^\[\]'"\#\s] (?: [^\[\]'"\#]* [^\[\]'"\#\s] )?
    ) \s* (?P<close>\]+) \s* (?:\#.*)?""",
    re.VERBOSE,
)
_KEY = re.compile(
    r"""\s* (?P<name>
        "[^"]+"
        | '[^']+'
        | [^\s'"=\[\#] (?: [^'"=]* [^'"=\s] )?
    ) \s* = \s* (?P<value>.*)""",
    re.VERBOSE,
)
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^'",#\s][^,#]*)\s*""")
_TRIPLE_QUOTES = ('"""', "'''")
_LINE_END = re.compile(r"\r\n|\r|\n")

_NOT_A_LINE = "this line is neither a [section] nor a `key = value`"
_NOT_A_VALUE = "the value cannot be read: a quote is not closed, or an entry of a list is empty"
_QUOTE_HINT = "A value that holds a comma, a # or a quote belongs in quotes of the other kind."
_HASH_REMARK = "`#` begins a comment here; put the value in quotes if the `#` belongs to it"
_SEMICOLON_REMARK = (
    "`;` begins a comment only at the start of a line, here it is part of the value;"
    " put the value in quotes if that is meant"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be used.

    Attributes:
        line: Its number, from 1.
        key: The section or key that it is about; empty if that is unknown.
        message: What is wrong. Never the line itself: it may hold a secret.
        hint: What to do about it; may be empty.
    """

    line: int
    key: Key
    message: str
    hint: str = ""


@dataclass(slots=True)
class Scan:
    """What the scanner found.

    Attributes:
        lines: The file's lines in plain form: comments and unusable lines are empty.
        places: The line number of each section and key, in file order.
        faults: The unusable lines, in file order.
        remarks: Values that may not mean what they seem to, and why.
    """

    lines: list[str] = field(repr=False)
    places: dict[Key, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    remarks: dict[Key, str] = field(default_factory=dict)


def scan(text: str) -> Scan:
    """Find the sections and keys of a configuration file.

    Args:
        text: The file, decoded. Lines end with LF, CRLF or CR.

    Returns:
        Everything that is known about its lines. Nothing is raised for any text.
    """
    return _Scanner(_LINE_END.split(text)).run()


class _Scanner:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._result = Scan([""] * len(lines))
        self._section: Key = ()
        self._skipped_depth = 0  # below an unusable heading: its depth

    def run(self) -> Scan:
        index = 0
        while index < len(self._lines):
            index = self._line(index) + 1
        return self._result

    def _line(self, index: int) -> int:
        """Take the line, and those that belong to it; return the last one's index."""
        line = self._lines[index].strip()
        if not line or line[0] in "#;":
            return index
        if line[0] == "[":
            self._heading(index)
        elif match := _KEY.fullmatch(self._lines[index]):
            return self._key(index, match["name"], match["value"])
        else:
            self._fault(index, (), _NOT_A_LINE, "A comment begins with # or ;.")
        return index

    def _heading(self, index: int) -> None:
        match = _HEADING.fullmatch(self._lines[index])
        depth = min(len(match["open"]), len(match["close"])) if match else 1
        if self._skipped_depth and depth > self._skipped_depth:
            return
        self._skipped_depth = depth
        if match is None or len(match["open"]) != len(match["close"]):
            message = "this is no section heading: [name], or [[name]] inside a section"
            self._fault(index, (), message, "The keys below it are not checked yet.")
            return
        key = (*self._section[: depth - 1], _unquoted(match["name"]))
        if len(key) < depth:
            self._fault(index, (), f"there is no section around this one with {depth} brackets")
        elif key in self._result.places:
            self._duplicate(index, key, "The keys below this heading are not checked yet.")
        else:
            self._skipped_depth = 0
            self._section = key
            self._result.places[key] = index + 1
            self._result.lines[index] = f"{match['open']}{match['name']}{match['close']}"

    def _key(self, index: int, name: str, value: str) -> int:
        key = (*self._section, _unquoted(name))
        last, plain, remark = self._value(index, value)
        if self._skipped_depth:
            return last
        if not self._section:
            message = f"the key {key[0]} stands before the first [section]"
            self._fault(index, (), message, "Put it below its section's heading.")
        elif plain is None:
            self._fault(index, key, _NOT_A_VALUE, _QUOTE_HINT)
        elif key in self._result.places:
            self._duplicate(index, key, "Keep one of the two.")
        else:
            self._result.places[key] = index + 1
            self._result.lines[index : last + 1] = [
                f"{name} = {plain}",
                *self._lines[index + 1 : last + 1],
            ]
            if remark:
                self._result.remarks[key] = remark
        return last

    def _value(self, index: int, value: str) -> tuple[int, str | None, str]:
        """Return the value's last line, its plain form (None: unusable) and a remark."""
        if not value.startswith(_TRIPLE_QUOTES):
            return index, *_plain_value(value)
        quotes = value[:3]
        rest, last = value[3:], index
        while quotes not in rest:
            last += 1
            if last == len(self._lines):
                return index, None, ""
            rest = self._lines[last]
        after = rest.partition(quotes)[2].strip()
        return last, value if not after or after.startswith("#") else None, ""

    def _duplicate(self, index: int, key: Key, hint: str) -> None:
        first = self._result.places[key]
        self._fault(index, key, f"the same name stands in line {first} already", hint)

    def _fault(self, index: int, key: Key, message: str, hint: str = "") -> None:
        self._result.faults.append(Fault(index + 1, key, message, hint))


def _plain_value(text: str) -> tuple[str | None, str]:
    """Drop the comment and the spaces around commas; None if it is no value or list.

    A list with an empty entry, or text after a closing quote, is unusable.
    """
    items: list[str] = []
    position, comma = 0, False
    while match := _ITEM.match(text, position):
        items.append(match[1].rstrip())
        position = match.end()
        comma = text.startswith(",", position)
        if not comma:
            break
        position += 1
    rest = text[position:].lstrip()
    if not items and rest.startswith(","):  # a lone comma is the empty list
        comma, rest = True, rest[1:].lstrip()
    if rest and not rest.startswith("#"):
        return None, ""
    return ",".join(items) + "," * comma, _remark(items, text[:position], rest)


def _remark(items: list[str], before: str, comment: str) -> str:
    bare = [item for item in items if item[0] not in "'\""]
    if comment and bare and before and not before[-1].isspace() and items[-1] == bare[-1]:
        return _HASH_REMARK
    return _SEMICOLON_REMARK if any(re.search(r"\s;", item) for item in bare) else ""


def _unquoted(name: str) -> str:
    return name[1:-1] if name[0] in "'\"" else name
