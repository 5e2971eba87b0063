"""What a room may be called: one spelling for each name, and nothing that cannot be seen."""

from __future__ import annotations

import unicodedata

__all__ = ["MAX_NAME_LENGTH", "BadNameError", "room_name"]

MAX_NAME_LENGTH = 128
"""Characters, as for a peer's id."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Invisible, but Persian, Indian scripts and emoji cannot be written without them."""


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
    if any(unicodedata.category(each) in _UNSEEN and each not in _JOINERS for each in name):
        raise BadNameError("A room's name must not hold control characters or invisible ones.")
    return name


_TOO_LONG = f"A room's name must have at most {MAX_NAME_LENGTH} characters."
