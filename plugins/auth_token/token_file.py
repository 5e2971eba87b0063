"""The file of tokens: read, checked, read again when it changes.

Only digests of tokens are kept, and no message shows a line's content: somebody
may have confused subject and token.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from tornado_webrtc.followedfile import BadContentError, FollowedFile
from tornado_webrtc.hooks import Identity
from tornado_webrtc.regularfile import exposure

__all__ = ["MIN_TOKEN_CHARACTERS", "Entry", "TokenFile", "parse"]

MIN_TOKEN_CHARACTERS = 16

_MODE = 0o640
_FIELDS = "SUBJECT TOKEN [PEER-ID-PATTERN ...]"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: who has which token.

    Attributes:
        identity: The subject and the peer ids that it may register.
        digest: SHA-256 of the token.
    """

    identity: Identity
    digest: bytes = field(repr=False)


def parse(text: str) -> tuple[Entry, ...]:
    """Read the lines of a file of tokens.

    Args:
        text: Lines ``SUBJECT TOKEN [PEER-ID-PATTERN ...]``; without a pattern a
            subject may register only the peer id that is the subject itself.
            Empty lines and lines that begin with ``#`` or ``;`` are skipped.

    Returns:
        The entries, at least one.

    Raises:
        BadContentError: A line is wrong, or there is none; it lists all faults.
    """
    entries: list[Entry] = []
    faults: list[str] = []
    first_lines: dict[tuple[str, str | bytes], int] = {}
    for number, line in enumerate(_lines(text), 1):
        fields = line.split()
        if not fields or fields[0][0] in "#;":
            continue
        if fault := _shape_fault(fields):
            faults.append(f"line {number}: {fault}")
            continue
        entry = _entry(*fields)
        faults += [f"line {number}: {fault}" for fault in _repeated(entry, number, first_lines)]
        entries.append(entry)
    if not entries and not faults:
        faults.append(f"it has no entry; a line is {_FIELDS}")
    if faults:
        raise BadContentError(*faults)
    return tuple(entries)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _shape_fault(fields: list[str]) -> str:
    if len(fields) < 2:  # noqa: PLR2004 - subject and token
        return f"it has one field, but has to be {_FIELDS}"
    if len(fields[1]) < MIN_TOKEN_CHARACTERS:
        return (
            f"the token (the second field) has {len(fields[1])} characters, "
            f"but has to have at least {MIN_TOKEN_CHARACTERS}"
        )
    return ""


def _entry(subject: str, token: str, *patterns: str) -> Entry:
    return Entry(Identity(subject, patterns or (escape(subject),)), _digest(token))


def _repeated(
    entry: Entry, number: int, first_lines: dict[tuple[str, str | bytes], int]
) -> Iterator[str]:
    keys: list[tuple[str, str | bytes]] = [
        ("subject", entry.identity.subject),
        ("token", entry.digest),
    ]
    for what, value in keys:
        if (first := first_lines.setdefault((what, value), number)) != number:
            yield f"the {what} is the same as on line {first}"


def _digest(token: str) -> bytes:
    # JSON can hold half a surrogate pair, which plain UTF-8 cannot.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class TokenFile:
    """The current entries of a file; those of the last version that could be used.

    Args:
        path: The file; it need not exist yet.
        log: Where faults are reported, once for each change.
        clock: Wall-clock nanoseconds, to be compared with the file's time.
    """

    def __init__(
        self, path: Path, log: logging.Logger, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._file = FollowedFile(path, _entries, clock)
        self._log = log

    @property
    def error(self) -> str:
        """Why the file as it stands cannot be used, or ""."""
        if not self._file.error:
            return ""
        return f"the tokens in {self._file.path} cannot be used: {self._file.error}"

    @property
    def faults(self) -> tuple[str, ...]:
        """The same, a sentence for each line."""
        where = f"the tokens in {self._file.path} cannot be used"
        return tuple(f"{where}: {each}" for each in self._file.faults)

    @property
    def doubt(self) -> str:
        """What is careless about it, or ""."""
        return str(exposure(self._file.path, _MODE) or "")

    def identify(self, token: str) -> Identity | None:
        """Find out whose token it is.

        Every entry is compared, whether one fits or not, so that the time which
        that takes says nothing about the tokens.
        """
        self.refresh()
        digest = _digest(token)
        found = None
        for entry in self._file.content or ():
            if hmac.compare_digest(entry.digest, digest):
                found = entry.identity
        return found

    def refresh(self, *, quiet: bool = False) -> None:
        """Read the file again if it has changed; keep the old entries if it is bad now.

        Args:
            quiet: Do not log what is wrong: the caller says it.
        """
        if not self._file.refresh() or (quiet and self.error):
            return
        entries = self._file.content or ()
        if self.error:
            keeps = "the earlier ones hold" if entries else "no token is accepted"
            self._log.error("%s; %s", self.error, keeps)
        else:
            self._log.info("%d tokens read from %s", len(entries), self._file.path)


def _entries(content: bytes) -> tuple[Entry, ...]:
    try:
        return parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadContentError(f"it is not UTF-8 (byte {error.start})") from None
