"""The state directory: what the server makes once and keeps.

It holds the generated secret, this node's id and the bans. Nothing is written before it
is asked for; files appear whole or not at all, and two servers that start at
the same moment end up with the same content.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from tornado_webrtc.errors import StateError
from tornado_webrtc.regularfile import exposure

__all__ = ["StateDir", "write_file"]

log = logging.getLogger("tornado_webrtc.state")

_SECRET = re.compile(r"[!-~]{16,}")
_NODE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEPT = ("secret", "node_id", "bans.json")
_HINT = "give this user access to it, or set another [general] state_dir"


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

    def check(self) -> None:
        """Say whether this user can use it; nothing is made, and nothing is read.

        Raises:
            StateError: If something in it cannot be read, or nothing can be written.
        """
        folder = self.path
        while not _may(folder, os.F_OK) and folder != folder.parent:
            folder = folder.parent
        if folder == self.path and not folder.is_dir():
            raise StateError(_no_folder(self.path))
        if not (folder.is_dir() and _may(folder, os.R_OK | os.W_OK | os.X_OK)):
            raise StateError(f"cannot write to {self.path}; {_ask_for_access(self.path)}")
        for path in (self.path / name for name in _KEPT):
            if _may(path, os.F_OK) and not _may(path, os.R_OK):
                raise StateError(f"cannot read {path}; {_HINT}")

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

    def load(self, name: str) -> bytes | None:
        """Return what was stored under a name; None if nothing ever was.

        Raises:
            StateError: If it cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(_unreadable(self.path / name, error)) from error

    def store(self, name: str, content: bytes) -> None:
        """Store something under a name (mode 0600), in place of what was there.

        Raises:
            StateError: If it cannot be written; what was there is there still.
        """
        self._create(self.path / name, content, overwrite=True)

    def remove_drafts(self, name: str) -> None:
        """Remove what a process that was killed while it stored something has left of it."""
        for draft in self.path.glob(f".{name}.*"):
            with contextlib.suppress(OSError):
                draft.unlink()

    def _keep(
        self, name: str, make: Callable[[], str], valid: re.Pattern[str], *, private: bool
    ) -> str:
        if name not in self._known:
            path = self.path / name
            if not path.exists():
                self._create(path, f"{make()}\n".encode())
            text = _read(path, private=private)
            if not valid.fullmatch(text):
                raise StateError(
                    f"{path} is empty, too short or holds characters that are not allowed; "
                    "restore it from a backup, or delete it and a new one is made"
                )
            self._known[name] = text
        return self._known[name]

    def _create(self, path: Path, content: bytes, *, overwrite: bool = False) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(path, content, mode=0o600, overwrite=overwrite)
        except FileExistsError:
            if not self.path.is_dir():
                raise StateError(_no_folder(self.path)) from None
            # Another process made it in the meantime: its content counts.
        except OSError as error:
            raise StateError(
                f"cannot write {path}: {error.strerror}; {_ask_for_access(self.path)}"
            ) from error


def _read(path: Path, *, private: bool) -> str:
    try:
        with path.open("rb") as file:
            text = file.read().decode().strip()
    except OSError as error:
        raise StateError(_unreadable(path, error)) from error
    except UnicodeDecodeError:
        return ""
    if private and (open_to := exposure(path)):
        log.warning("%s", open_to)
    return text


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read {path}: {error.strerror}; {_HINT}"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _no_folder(path: Path) -> str:
    return f"{path} is a file, but a folder is needed; set [general] state_dir to a folder"


def _ask_for_access(path: Path) -> str:
    return f"give this user write access to {path}, or set another [general] state_dir"
