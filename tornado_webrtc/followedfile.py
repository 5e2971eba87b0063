"""A file that is followed: read again when it changes; a bad change keeps what was there."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from tornado_webrtc.regularfile import read_regular_file

__all__ = ["MAX_FAULTS", "MAX_FILE_BYTES", "BadContentError", "FollowedFile"]

MAX_FILE_BYTES = 256 * 1024
"""It is read in the event loop, where a larger file took too long."""

MAX_FAULTS = 20
"""More of them are counted: a file may be wrong on every line."""

_UNSETTLED_NS = 2_000_000_000

Content = TypeVar("Content")


class BadContentError(Exception):
    """What a file holds cannot be used; the message says why, and shows nothing secret.

    Attributes:
        faults: What is wrong, a sentence for each line or other part of it: the first of
            them, and how many more there are.
    """

    def __init__(self, *faults: str) -> None:
        if (more := len(faults) - MAX_FAULTS) > 0:
            faults = (*faults[:MAX_FAULTS], f"{more} more fault{'s' if more > 1 else ''}")
        super().__init__("; ".join(faults))
        self.faults = faults


class FollowedFile(Generic[Content]):
    """What a file holds, as it is now or was when it could last be used.

    Looking costs a system call as long as nothing changes; what did change is read at once,
    by whoever looks.

    Args:
        path: The file; it need not exist yet.
        parse: Makes something of what it holds, or raises `BadContentError`.
        clock: Wall-clock nanoseconds, to be compared with the file's time.

    Attributes:
        content: What `parse` made of the last version that it could; None before there is one.
        faults: Why the file as it stands cannot be used; nothing if it can.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], Content],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self.content: Content | None = None
        self.faults: tuple[str, ...] = ()
        self._parse = parse
        self._clock = clock
        self._version: tuple[int, ...] = ()
        self._settled = False
        self._digest = b""

    @property
    def error(self) -> str:
        """All faults in one sentence, or ""."""
        return "; ".join(self.faults)

    def refresh(self) -> bool:
        """Read the file again if it has changed.

        Returns:
            Whether there is something to tell: what it holds, or why it cannot be used, is
            not what it was.
        """
        before = self._digest, self.error
        try:
            self._look()
        except OSError as error:
            self._version, self._digest = (), b""
            self.faults = (error.strerror or "it cannot be read",)
        return (self._digest, self.error) != before

    def _look(self) -> None:
        """Take over what the file holds.

        One that was written a moment ago may be written once more without another time of
        change, so it is read again until that lies well in the past; or in the future, where
        somebody has put it: the next change takes it away from there.
        """
        status = self.path.stat()
        version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if version == self._version and self._settled:
            return
        found = read_regular_file(self.path, MAX_FILE_BYTES)
        settled = abs(self._clock() - status.st_mtime_ns) > _UNSETTLED_NS
        digest = hashlib.sha256(found).digest()
        if digest != self._digest:
            self._take_over(found)
        # Not before: what could not be judged, for whatever reason, is tried again.
        self._version, self._settled, self._digest = version, settled, digest

    def _take_over(self, found: bytes) -> None:
        try:
            self.content = self._parse(found)
        except BadContentError as error:
            self.faults = error.faults
        else:
            self.faults = ()
