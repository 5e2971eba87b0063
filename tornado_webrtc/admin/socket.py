"""The Unix socket: private from its first moment, and never taken from a server that lives."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from tornado_webrtc.errors import ListenError

__all__ = ["AdminSocket"]

PRIVATE_UMASK = 0o177
BACKLOG = 16
CONNECT_TIMEOUT_S = 2.0

_ELSEWHERE = "set another [admin] socket"


class AdminSocket:
    """A listening Unix socket.

    Args:
        path: Where. What a dead server left there is replaced; the folder is made if it
            is missing.

    Attributes:
        path: Where it is.
        socket: Listens, and does not block.

    Raises:
        ListenError: It cannot be had; the message says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.setblocking(False)
            self._listen()
        except OSError as error:
            self.socket.close()
            raise _explained(error, path) from error
        except BaseException:
            self.socket.close()
            raise

    def _listen(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self.path):
            _remove_stale(self.path)
            with _umask(PRIVATE_UMASK):
                self.socket.bind(str(self.path))
            self.socket.listen(BACKLOG)
            self._identity = _identity(self.path)

    def close(self) -> None:
        """Listen no more, and remove the file, unless it is another server's by now."""
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._identity:
                self.path.unlink()
        self.socket.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let no other server look, remove and bind at a path meanwhile.

    The lock is on a file beside it that only its user can open: whoever may read a
    folder could hold a lock on the folder itself, and nobody would ever start.
    """
    lock = path.with_name(f"{path.name}.lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(lock, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; anything else stays.

    Raises:
        ListenError: A server lives there, or it is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is no socket; move it away, or {_ELSEWHERE}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            pass  # it listens, though it does not answer
    raise ListenError(
        f"another server listens on {path}; stop it, or give this one a [general] state_dir "
        f"of its own, or {_ELSEWHERE}"
    )


def _explained(error: OSError, path: Path) -> ListenError:
    where = f"cannot listen on {path}"
    if error.errno is None or error.errno == errno.ENAMETOOLONG:
        return ListenError(f"{where}: the path is too long for a socket; {_ELSEWHERE}")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return ListenError(f"{where}: this user may not write there; {_ELSEWHERE}")
    if error.errno == errno.EWOULDBLOCK:
        return ListenError(f"{where}: another server is just starting there; {_ELSEWHERE}")
    return ListenError(f"{where}: {error.strerror}; {_ELSEWHERE}")
