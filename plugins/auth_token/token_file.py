"""The file of tokens: read, checked, read again when it changes.

Only digests of tokens are kept, and no message shows a line's content: somebody
may have confused subject and token.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from tornado_webrtc.hooks import Identity

__all__ = ["MIN_TOKEN_CHARACTERS", "BadTokenFileError", "Entry", "TokenFile", "parse"]

MIN_TOKEN_CHARACTERS = 16

_OPEN_MODE = 0o037
_UNSETTLED_NS = 2_000_000_000
_FIELDS = "SUBJECT TOKEN [PEER-ID-PATTERN ...]"


class BadTokenFileError(Exception):
    """The file cannot be used; the message says why, line by line."""


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
        BadTokenFileError: A line is wrong, or there is none; it lists all faults.
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
        raise BadTokenFileError("; ".join(faults))
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
    """The current entries of a file.

    Args:
        path: The file; it need not exist yet.
        log: Where faults and a careless mode are reported, once for each change.
        clock: Wall-clock nanoseconds, to be compared with the file's time.

    Attributes:
        error: Why the file as it stands cannot be used, or "". The entries are
            then those of the last version that could.
    """

    def __init__(
        self, path: Path, log: logging.Logger, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self._entries: tuple[Entry, ...] = ()
        self._version: tuple[int, ...] | None = None
        self._settled = False
        self.error = ""

    def identify(self, token: str) -> Identity | None:
        """Find out whose token it is.

        Every entry is compared, whether one fits or not, so that the time which
        that takes says nothing about the tokens.
        """
        self.refresh()
        digest = _digest(token)
        found = None
        for entry in self._entries:
            if hmac.compare_digest(entry.digest, digest):
                found = entry.identity
        return found

    def refresh(self, *, quiet: bool = False) -> None:
        """Read the file again if it has changed; keep the old entries if it is bad now.

        Args:
            quiet: Do not log what is wrong: the caller says it.
        """
        try:
            status = self._path.stat()
            version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if version == self._version and self._settled:
                return
            self._read(version, status)
        except (OSError, UnicodeDecodeError, BadTokenFileError) as error:
            self._complain(error, quiet=quiet)

    def _read(self, version: tuple[int, ...], status: os.stat_result) -> None:
        """Take over the file's content.

        A file that was written a moment ago may change once more without a new
        time of change, so it is read again until its time lies well in the past.
        """
        if not stat.S_ISREG(status.st_mode):  # a pipe could keep the whole server waiting
            raise BadTokenFileError("it is no regular file")
        changed = version != self._version
        self._version = version
        self._settled = self._clock() - status.st_mtime_ns > _UNSETTLED_NS
        self._entries = parse(self._path.read_bytes().decode("utf-8-sig"))
        self.error = ""
        if changed:
            self._log.info("%d tokens read from %s", len(self._entries), self._path)
            self._warn_of_mode(stat.S_IMODE(status.st_mode))

    def _warn_of_mode(self, mode: int) -> None:
        if mode & _OPEN_MODE:
            text = "%s has the mode %04o: others can read or change the tokens; chmod 600 it"
            self._log.warning(text, self._path, mode)

    def _complain(self, error: Exception, *, quiet: bool) -> None:
        if isinstance(error, OSError):
            self._version = None
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, UnicodeDecodeError):
            reason = f"it is not UTF-8 (byte {error.start})"
        text = f"the tokens in {self._path} cannot be used: {reason}"
        if text != self.error and not quiet:
            keeps = "the earlier ones hold" if self._entries else "no token is accepted"
            self._log.error("%s; %s", text, keeps)
        self.error = text
