"""Files that an operator names: read if they are files, and looked at for whom they are open to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

__all__ = ["Exposure", "exposure", "read_regular_file"]

_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
"""What others can do with a file that is read: to execute it is nothing."""

_READERS = stat.S_IRGRP | stat.S_IROTH


def read_regular_file(path: Path, max_bytes: int | None = None) -> bytes:
    """Read a regular file, or what a link to one leads to: a pipe could keep everybody waiting.

    Args:
        path: The file.
        max_bytes: How large it may be; None for any size.

    Raises:
        OSError: It cannot be read, is something else or too large; nothing is waited for.
        ValueError: The path holds a NUL character.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if max_bytes is None:
            return file.read()
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes", str(path))
    return content


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class Exposure(NamedTuple):
    """A file is open to others.

    Attributes:
        message: What they can do with it.
        advice: The command that ends it.
    """

    message: str
    advice: str

    def __str__(self) -> str:
        return ": ".join(self)


def exposure(path: Path, allowed: int = 0o600) -> Exposure | None:
    """Look whether other users of this machine can use a file.

    Args:
        path: The file, or a link to it.
        allowed: The most open mode that is in order.

    Returns:
        What they can do; None if they cannot, or if there is no file.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return None
    closed = _OTHERS & ~allowed
    if not mode & closed:
        return None
    verb = "use" if closed & _READERS else "change"
    message = f"other users of this machine can {verb} {path} (mode {mode:04o})"
    return Exposure(message, f"chmod {mode & allowed:o} {path}")
