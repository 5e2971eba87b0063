"""Reads a file that is one: a pipe or a device could keep the whole server waiting."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_regular_file"]


def read_regular_file(path: Path, max_bytes: int = -1) -> bytes:
    """Read a regular file, or what a link to one leads to.

    Args:
        path: The file.
        max_bytes: No more than so many; -1 for all.

    Raises:
        OSError: It cannot be read, or is something else; nothing is waited for.
        ValueError: The path holds a NUL character.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return file.read(max_bytes)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
