"""The operator's file of rooms: read and checked, line by line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.regularfile import exposure, read_regular_file

from .name import BadNameError, room_name
from .password import BadHashError, HashedPassword, KnownPassword, Password

__all__ = ["MAX_FILE_BYTES", "ListedRoom", "RoomFile", "parse"]

MAX_FILE_BYTES = 1024 * 1024

_MODE = 0o640
_LINE = "<NAME> [max_peers=<NUMBER>] [password=<TEXT> | hash=<HASH>]"
"""In a form that the redaction of the log does not take for a password."""
_FIELD = re.compile(
    r"""(?:(?P<key>[a-z_]+)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]\S*))"""
    r"""|"(?P<quoted_name>[^"]*)"|(?P<name>[^\s"=]+))(?!\S)\s*"""
)
_NUMBER = re.compile(r"[0-9]{1,9}")

_latest: dict[bytes, dict[str, ListedRoom]] = {}
"""What was read last, by the digest of the file."""


class _BadLineError(ValueError):
    """What is wrong with one line."""


@dataclass(frozen=True, slots=True)
class ListedRoom:
    """A room that the operator has listed.

    Attributes:
        name: As `room_name` spells it.
        max_peers: How many it holds; 0 for no limit, None for the usual one.
        password: Who knows it may join; None if there is none.
    """

    name: str
    max_peers: int | None = None
    password: Password | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RoomFile:
    """What a file says.

    Attributes:
        rooms: By name.
        doubt: What is careless about the file, or "".
    """

    rooms: dict[str, ListedRoom]
    doubt: str = ""

    @classmethod
    def read(cls, path: Path) -> RoomFile:
        """Read a file.

        Raises:
            BadContentError: It cannot be read, or a line is wrong; it lists all faults.
        """
        try:
            content = read_regular_file(path, MAX_FILE_BYTES)
            rooms = _known(content, f"{path}, line")
        except OSError as error:
            raise BadContentError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadContentError(f"{path} is not UTF-8 (byte {error.start})") from None
        if not rooms:  # written half, perhaps: what it had locked would be open
            raise BadContentError(f"{path} lists no room; leave the key out if there are none")
        has_secret = any(room.password for room in rooms.values())
        return cls(rooms, str(exposure(path, _MODE) or "") if has_secret else "")


def _known(content: bytes, place: str) -> dict[str, ListedRoom]:
    """Read what a file holds: what `check` has read beside the event loop is not read again.

    A long file takes a second. A digest is kept of it, since it holds passwords.
    """
    digest = hashlib.sha256(content).digest()
    if (rooms := _latest.get(digest)) is None:
        rooms = parse(content.decode("utf-8-sig"), place)
        _latest.clear()
        _latest[digest] = rooms
    return rooms


def parse(text: str, place: str = "line") -> dict[str, ListedRoom]:
    """Read the lines of a file of rooms.

    Args:
        text: Lines ``NAME [max_peers=NUMBER] [password=TEXT | hash=HASH]``; what holds
            spaces stands in double quotes. Empty lines and lines that begin with ``#``
            or ``;`` are skipped.
        place: What a fault begins with, before the number of the line.

    Returns:
        The rooms by name.

    Raises:
        BadContentError: A line is wrong; it lists all faults.
    """
    rooms: dict[str, ListedRoom] = {}
    first_lines: dict[str, int] = {}
    faults: list[str] = []
    for number, line in _entries(text):
        try:
            room = _room(line)
        except (_BadLineError, BadNameError, BadHashError) as error:
            faults.append(f"{place} {number}: {error}")
            continue
        if (first := first_lines.setdefault(room.name, number)) != number:
            faults.append(f"{place} {number}: this room stands on line {first} already")
        rooms[room.name] = room
    if faults:
        raise BadContentError(*faults)
    return rooms


def _entries(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if (stripped := line.strip()) and stripped[0] not in "#;":
            yield number, stripped


def _room(line: str) -> ListedRoom:
    (key, name), *options = _fields(line)
    if key:
        raise _BadLineError(f"it begins with an option, but has to be {_LINE}")
    room = ListedRoom(room_name(name))
    seen: set[str] = set()
    for key, value in options:
        if key not in _OPTIONS:
            raise _BadLineError(_UNKNOWN_OPTION if key else _TWO_NAMES)
        if key in seen or {key, *seen} >= {"password", "hash"}:
            raise _BadLineError("one of max_peers, and one of password and hash are allowed")
        seen.add(key)
        room = _OPTIONS[key](room, value)
    return room


def _fields(line: str) -> list[tuple[str, str]]:
    """Keys and values; the key is empty where there is none."""
    found, position = [], 0
    while position < len(line):
        match = _FIELD.match(line, position)
        if match is None:  # the line is not shown: it may hold a password
            column = position + 1
            raise _BadLineError(f"it cannot be read from column {column} on; it has to be {_LINE}")
        given = ("quoted", "plain", "quoted_name", "name")
        value = next(match[each] for each in given if match[each] is not None)
        found.append((match["key"] or "", value))
        position = match.end()
    return found


def _with_limit(room: ListedRoom, value: str) -> ListedRoom:
    if not _NUMBER.fullmatch(value):
        raise _BadLineError("max_peers has to be a whole number; 0 is no limit")
    return replace(room, max_peers=int(value))


def _with_password(room: ListedRoom, value: str) -> ListedRoom:
    if not value:
        raise _BadLineError("the password is empty; leave it out if there is none")
    return replace(room, password=KnownPassword.of(value))


def _with_hash(room: ListedRoom, value: str) -> ListedRoom:
    return replace(room, password=HashedPassword.parse(value))


_TWO_NAMES = "two names; put a name with spaces into double quotes"
_OPTIONS: dict[str, Callable[[ListedRoom, str], ListedRoom]] = {
    "max_peers": _with_limit,
    "password": _with_password,
    "hash": _with_hash,
}
_UNKNOWN_OPTION = f"there is an option that is not known; known are {', '.join(_OPTIONS)}"
"""Which one is not said: it may be part of a password."""
