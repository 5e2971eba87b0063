"""What the sources say, for tests that compare a page with it."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tornado_webrtc", "plugins")

GAP = "…"
"""What stands in a page for a part that differs, and here for a placeholder."""

MIN_SAID = 9
"""Letters that a string has beside its placeholders, if it is to tell one line from another."""


@functools.cache
def _paths() -> tuple[Path, ...]:
    return tuple(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))


@functools.cache
def trees() -> tuple[ast.Module, ...]:
    """Every source file, parsed."""
    return tuple(ast.parse(path.read_bytes()) for path in _paths())


@functools.cache
def texts() -> frozenset[str]:
    """Every string of the sources; what is formatted into it is a `GAP`."""
    return frozenset(found for tree in trees() for node in ast.walk(tree) for found in _text(node))


def _text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.sub(r"%(?:\.\d)?[sdrg]", GAP, node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = (each.value if isinstance(each, ast.Constant) else GAP for each in node.values)
        yield "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        yield node.value.decode(errors="replace")


def said_in_sources(line: str) -> bool:
    """Whether a string of the sources could be this line of the log.

    A page may leave out how a line goes on, and may write a value out: ``left: 'no-pong'``.
    Words that stand for a value have to be in the sources, too.
    The code behind a refusal, ``(508)``, has to be one that TURN clients are sent.
    """
    if code := re.search(r" \((\d{3})\)$", line):
        return int(code[1]) in error_codes() and said_in_sources(line[: code.start()])
    in_page = _pattern(line)
    return any(in_page.search(text) or _could_become(text, line) for text in texts())


def _could_become(text: str, line: str) -> bool:
    said = sum(len(part.strip()) for part in text.split(GAP))
    found = _pattern(text).fullmatch(line) if said >= MIN_SAID else None
    return found is not None and all(map(_is_value, found.groups()))


def _is_value(written: str) -> bool:
    """Whether this may stand for a placeholder: a word, or words that the sources have."""
    return " " not in written.strip(f" {GAP}") or any(map(_pattern(written).search, texts()))


def _pattern(text: str) -> re.Pattern[str]:
    parts = [re.escape(part.strip()) for part in text.split(GAP)]
    return re.compile(r"\s*(.*?)\s*".join(parts), re.DOTALL)


def error_codes() -> frozenset[int]:
    """The STUN error codes that TURN requests are refused with."""
    calls = calls_of("RejectionError", "_challenge")
    return frozenset(each for call in calls for each in call if isinstance(each, int))


def trees_below(folder: str) -> Iterator[ast.Module]:
    """The source files of a folder, parsed."""
    for path, tree in zip(_paths(), trees(), strict=True):
        if path.is_relative_to(ROOT / folder):
            yield tree


def written_keywords(tree: ast.Module, *names: str) -> Iterator[tuple[str, set[str]]]:
    """The first argument of each call of some functions, or "", and its keywords.

    Those of a dictionary that is handed on (``**left``) are those it is made with.
    """
    made = {
        target.id: {str(_written(key)) for key in node.value.keys if key is not None}
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node) in names:
            first = _written(node.args[0]) if node.args else None
            found = {each.arg for each in node.keywords if each.arg is not None}
            for each in node.keywords:
                if each.arg is None and isinstance(each.value, ast.Name):
                    found |= made.get(each.value.id, set())
            yield (first if isinstance(first, str) else ""), found


def calls_of(*names: str, below: str = "", keywords: bool = False) -> Any:
    """What functions of some names are called with, as far as it is written out.

    Args:
        names: The last part of each function's name.
        below: A folder; all of the sources without it.
        keywords: Whether to return the keyword arguments, a dictionary for each call,
            instead of the others, a tuple.
    """
    found = []
    for path, tree in zip(_paths(), trees(), strict=True):
        if below and not path.is_relative_to(ROOT / below):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node) in names:
                named = {each.arg: _written(each.value) for each in node.keywords}
                found.append(named if keywords else tuple(map(_written, node.args)))
    return found


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _written(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None
