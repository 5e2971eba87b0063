"""Where lines go: standard output, a file that rotates by size, or one that logrotate moves.

A destination that fails says so with an exception, once for each line, and
tries again with the next.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from pathlib import Path

from tornado_webrtc.logwriter import Descriptor

__all__ = ["FollowingFile", "RotatingFile", "StandardOutput", "make_destination"]

FILE_MODE = 0o640


def make_destination(
    path: Path | None, rotation: str, max_bytes: int, backups: int
) -> logging.Handler:
    """Open what lines are written to.

    Args:
        path: A file, or None for standard output.
        rotation: ``size``, or ``external`` for a file that somebody else moves away.
        max_bytes: Size from which a file rotates.
        backups: How many older files are kept.

    Raises:
        OSError: It cannot be opened.
    """
    if path is None:
        return StandardOutput()
    if rotation == "external":
        return FollowingFile(path)
    return RotatingFile(path, maxBytes=max_bytes, backupCount=backups)


class _LineFile(logging.FileHandler):
    """What both kinds of files share: torn lines are ended, and failures are raised."""

    def _open(self) -> TextIOWrapper:
        torn = _is_torn(self.baseFilename)
        stream = open(  # noqa: SIM115 - the handler closes it
            self.baseFilename, "a", encoding="utf-8", newline="\n", opener=_open_private
        )
        if torn:
            stream.write("\n")
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Forget the stream, with what it could not write, and raise what went wrong."""
        error = sys.exception()
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        if error is not None:
            raise error


class RotatingFile(_LineFile, RotatingFileHandler):
    """A file that is renamed to NAME.1 when it is full, NAME.1 to NAME.2, and so on."""


class FollowingFile(_LineFile, WatchedFileHandler):
    """A file that is opened anew when somebody, logrotate for example, has moved it away."""


class StandardOutput(Descriptor):
    """Standard output, byte by byte and without Python's buffer.

    Raises:
        OSError: It was closed when the process began.
    """

    def __init__(self) -> None:
        if sys.__stdout__ is None:  # number 1 may be somebody's socket by now
            raise OSError("standard output is closed")
        super().__init__(sys.__stdout__.fileno())


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _is_torn(path: str) -> bool:
    """Whether a file ends within a line: the disk was full, or the machine lost power."""
    try:
        with Path(path).open("rb") as file:
            if not file.seekable() or file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False
