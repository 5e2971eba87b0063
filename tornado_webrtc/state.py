"""The state directory: what the server makes once and keeps.

It holds the generated secret and this node's id. Nothing is written before it
is asked for; files appear whole or not at all, and two servers that start at
the same moment end up with the same content.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from tornado_webrtc.errors import StateError

__all__ = ["StateDir", "write_file"]

log = logging.getLogger("tornado_webrtc.state")

_SECRET = re.compile(r"[!-~]{16,}")
_NODE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def write_file(path: Path, content: bytes, *, mode: int, overwrite: bool = False) -> None:
    """Write a file in such a way that nobody ever reads half of it.

    Args:
        path: The file; its folder exists.
        content: All of it.
        mode: Permissions, regardless of the umask.
        overwrite: Whether an existing file is replaced.

    Raises:
        FileExistsError: If the file exists and must not be replaced.
        OSError: If it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if overwrite:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a rename, it never replaces what another one made
    finally:
        draft.unlink(missing_ok=True)


class StateDir:
    """A folder of small files that are made once and kept.

    Attributes:
        path: The folder. It is created, mode 0700, with the first file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, str] = {}

    def secret(self) -> str:
        """Return the secret of this installation, made on first use (mode 0600).

        Raises:
            StateError: If it cannot be read or written, or is not usable.
        """
        return self._keep("secret", lambda: secrets.token_urlsafe(32), _SECRET, private=True)

    def node_id(self) -> str:
        """Return the name of this node among others, made on first use.

        Raises:
            StateError: If it cannot be read or written, or is not usable.
        """
        return self._keep("node_id", lambda: secrets.token_hex(8), _NODE_ID, private=False)

    def _keep(
        self, name: str, make: Callable[[], str], valid: re.Pattern[str], *, private: bool
    ) -> str:
        if name not in self._known:
            path = self.path / name
            if not path.exists():
                self._create(path, make())
            text = _read(path, private=private)
            if not valid.fullmatch(text):
                raise StateError(
                    f"{path} is empty, too short or holds characters that are not allowed; "
                    "restore it from a backup, or delete it and a new one is made"
                )
            self._known[name] = text
        return self._known[name]

    def _create(self, path: Path, text: str) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(path, f"{text}\n".encode(), mode=0o600)
        except FileExistsError:
            if not self.path.is_dir():
                raise StateError(
                    f"{self.path} is a file, but a folder is needed; "
                    "set [general] state_dir to a folder"
                ) from None
            # Another process made it in the meantime: its content counts.
        except OSError as error:
            raise StateError(
                f"cannot write {path}: {error.strerror}; give this user write access to "
                f"{self.path}, or set another [general] state_dir"
            ) from error


def _read(path: Path, *, private: bool) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().decode().strip()
    except OSError as error:
        raise StateError(
            f"cannot read {path}: {error.strerror}; give this user access to it, "
            "or set another [general] state_dir"
        ) from error
    except UnicodeDecodeError:
        return ""
    if private and mode & 0o077:
        log.warning(
            "%s can be read by other users (mode %04o); run: chmod 600 %s", path, mode, path
        )
    return text
