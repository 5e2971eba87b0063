"""What a room may be called: one spelling for each name, and nothing that cannot be seen."""

from __future__ import annotations

import unicodedata

__all__ = ["MAX_NAME_LENGTH", "BadNameError", "room_name"]

MAX_NAME_LENGTH = 128
"""Characters, as for a peer's id."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
).union(map(chr, range(0xE0100, 0xE01F0)))
"""Marks, letters and a symbol that look like nothing, or like a space."""

_NON_JOINER, _JOINER = "\u200c", "\u200d"
_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
_KEYCAP = "\u20e3"
_VIRAMA = 9
_LETTER_SYMBOL = "\u2139"
"""The one emoji that Unicode takes for a letter."""


class BadNameError(ValueError):
    """A room cannot be called so; the message is a sentence that says why."""


def room_name(text: str) -> str:
    """Give a room's name its one spelling.

    White space around it is left out, and what Unicode can write in several ways is
    written in one (Normalization Form C). Upper and lower case differ, as in a peer's id.

    Args:
        text: What a client, or the operator's file, calls the room.

    Raises:
        BadNameError: It is empty or too long, or holds characters that nobody sees.
    """
    if len(text) > 4 * MAX_NAME_LENGTH:  # normalizing takes time
        raise BadNameError(_TOO_LONG)
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise BadNameError("A room's name must not be empty.")
    if len(name) > MAX_NAME_LENGTH:
        raise BadNameError(_TOO_LONG)
    if not all(map(_shows, f" {name}", name, f"{name[1:]} ")):
        raise BadNameError("A room's name must not hold control characters or invisible ones.")
    return name


def _shows(before: str, each: str, behind: str) -> bool:
    """Tell whether one sees that a character is there, between these two."""
    if each in {_NON_JOINER, _JOINER}:
        return _joins(before, each, behind)
    if each in _VARIATIONS:
        return _is_symbol(before) or behind == _KEYCAP
    return unicodedata.category(each) not in _UNSEEN and each not in _BLANK


def _joins(before: str, each: str, behind: str) -> bool:
    """Tell whether a joiner changes the characters beside it.

    In Indian and Arabic scripts that is where RFC 5892 appendix A allows it ("If
    Canonical_Combining_Class(Before(cp)) .eq. Virama Then True"); between symbols it
    makes one emoji of them.
    """
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if each == _NON_JOINER:
        return _is_joined(before) and _is_joined(behind)
    return (before in _VARIATIONS or _is_symbol(before)) and _is_symbol(behind)


def _is_joined(character: str) -> bool:
    """Tell whether it is an Arabic letter, or a like one, or a mark above one."""
    return unicodedata.bidirectional(character) in {"AL", "NSM"}


def _is_symbol(character: str) -> bool:
    """Tell whether it may be an emoji: a symbol, or a mark such as U+203C, beyond ASCII."""
    if character == _LETTER_SYMBOL:
        return True
    return not character.isascii() and unicodedata.category(character)[0] in "SP"


_TOO_LONG = f"A room's name must have at most {MAX_NAME_LENGTH} characters."
