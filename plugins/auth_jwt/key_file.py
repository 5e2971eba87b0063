"""A file with keys: read, read again when it changes; a bad change keeps what was there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from tornado_webrtc.followedfile import FollowedFile
from tornado_webrtc.regularfile import exposure

from .key import Key

__all__ = ["PUBLIC_MODE", "SECRET_MODE", "KeyFile"]

SECRET_MODE = 0o640
"""Nobody but the owner may change it, nobody but him and his group read it."""

PUBLIC_MODE = 0o664
"""Anybody may read public keys; who can write them can sign in as anybody."""

Parse = Callable[[bytes], tuple[Key, ...]]


class KeyFile:
    """The current keys of a file.

    Args:
        path: The file; it need not exist yet.
        parse: Makes keys of its content, or raises `UnusableKeyError`.
        log: Where changes and faults are reported, once for each; if anywhere.
        allowed: The most open mode that it may have.
        clock: Wall-clock nanoseconds, to be compared with the file's time.
    """

    def __init__(
        self,
        path: Path,
        parse: Parse,
        log: logging.Logger | None,
        allowed: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._file = FollowedFile(path, parse, clock)
        self._log = log
        self._allowed = allowed

    @property
    def error(self) -> str:
        """Why the file as it stands cannot be used, or ""."""
        return f"{self._file.path} cannot be used: {self._file.error}" if self._file.error else ""

    @property
    def faults(self) -> tuple[str, ...]:
        """The same, a sentence for each key or line."""
        return tuple(f"{self._file.path} cannot be used: {each}" for each in self._file.faults)

    @property
    def doubt(self) -> str:
        """What is careless about it, or ""."""
        return str(exposure(self._file.path, self._allowed) or "")

    def current(self) -> tuple[Key, ...]:
        """The keys of the last version that could be used."""
        self.refresh()
        return self._file.content or ()

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        if not self._file.refresh() or self._log is None:
            return
        keys = self._file.content or ()
        if self.error:
            keeps = "the earlier keys hold" if keys else "no token is accepted"
            self._log.error("%s; %s", self.error, keeps)
        else:
            self._log.info("keys read from %s: %d", self._file.path, len(keys))
