"""A file with keys: read, read again when it changes; a bad change keeps what was there."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from .key import Key, UnusableKeyError

__all__ = ["MAX_FILE_BYTES", "PUBLIC_MODE", "SECRET_MODE", "KeyFile"]

MAX_FILE_BYTES = 1024 * 1024

SECRET_MODE = 0o037
"""Nobody but the owner may change it, nobody but him and his group read it."""

PUBLIC_MODE = 0o002
"""Anybody may read public keys; who can write them can sign in as anybody."""

_UNSETTLED_NS = 2_000_000_000

Parse = Callable[[bytes], tuple[Key, ...]]


class KeyFile:
    """The current keys of a file.

    Args:
        path: The file; it need not exist yet.
        parse: Makes keys of its content, or raises `UnusableKeyError`.
        log: Where changes and faults are reported, once for each; if anywhere.
        closed: The bits of the mode that should not be set.
        clock: Wall-clock nanoseconds, to be compared with the file's time.

    Attributes:
        error: Why the file as it stands cannot be used, or "". The keys are then those
            of the last version that could.
        doubt: What is careless about it, or "".
    """

    def __init__(
        self,
        path: Path,
        parse: Parse,
        log: logging.Logger | None,
        closed: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._parse = parse
        self._log = log
        self._closed = closed
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._version: tuple[int, ...] | None = None
        self._settled = False
        self.error = ""
        self.doubt = ""

    def current(self) -> tuple[Key, ...]:
        """The keys of the last version that could be used."""
        self.refresh()
        return self._keys

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        try:
            status = self._path.stat()
            version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if version != self._version or not self._settled:
                self._read(version, status)
        except (OSError, UnusableKeyError) as error:
            self._complain(error)

    def _read(self, version: tuple[int, ...], status: os.stat_result) -> None:
        """Take over what the file holds.

        One that was written a moment ago may be written once more without another time of
        change, so it is read again until that lies well in the past; or in the future, where
        somebody has put it: the next change takes it away from there.
        """
        changed = version != self._version
        self._version = version
        self._settled = abs(self._clock() - status.st_mtime_ns) > _UNSETTLED_NS
        self._keys = self._parse(_content(self._path))
        self.error = ""
        if changed:
            self._say(logging.INFO, f"keys read from {self._path}: {len(self._keys)}")
            self._look_at_mode(stat.S_IMODE(status.st_mode))

    def _look_at_mode(self, mode: int) -> None:
        self.doubt = ""
        if mode & self._closed:
            can = "read or change" if self._closed & stat.S_IROTH else "change"
            advice = f"chmod {mode & ~self._closed:o} it"
            self.doubt = f"{self._path} has the mode {mode:04o}: others can {can} it; {advice}"

    def _complain(self, error: OSError | UnusableKeyError) -> None:
        if isinstance(error, OSError):
            self._version = None
        reason = (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)
        text = f"{self._path} cannot be used: {reason}"
        if text != self.error:
            keeps = "the earlier keys hold" if self._keys else "no token is accepted"
            self._say(logging.ERROR, f"{text}; {keeps}")
        self.error = text

    def _say(self, level: int, text: str) -> None:
        if self._log is not None:
            self._log.log(level, "%s", text)


def _content(path: Path) -> bytes:
    """Read a file that is one: a pipe could keep the whole server waiting.

    Raises:
        OSError: It cannot be read, or is something else or too large.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MAX_FILE_BYTES} bytes")
    return content
