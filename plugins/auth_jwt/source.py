"""Where keys come from: the settings, files, a URL; all of them are asked in one way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from tornado_webrtc.hooks import Doubt

from .jwks import read_key_set
from .key import Key, NoKeysError, keys_of_pem, keys_of_secrets, looks_guessable
from .key_file import PUBLIC_MODE, SECRET_MODE, KeyFile
from .remote_keys import RemoteKeys
from .settings import GUESSABLE, Finding, Settings, secrets_of

__all__ = ["FileKeys", "KeySource", "RemoteSource", "SecretKeys", "make_source"]


class KeySource(Protocol):
    """Has keys, now or in a moment."""

    async def examine(self) -> list[Finding]:
        """Look whether keys can be had, and say what is wrong or doubtful."""

    def open(self) -> None:
        """Begin whatever goes on beside the requests."""

    async def close(self) -> None:
        """End it."""

    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        """The keys, those with this name among them if there are any.

        Raises:
            NoKeysError: None can be had at the moment.
        """

    @property
    def counters(self) -> Mapping[str, int]:
        """How often what happened."""


class FileKeys:
    """Public keys in a file: PEM, or a key set.

    Args:
        key: The setting that names it.
        file: The file.
    """

    counters: Mapping[str, int] = {}

    def __init__(self, key: str, file: KeyFile) -> None:
        self._key = key
        self._file = file

    def open(self) -> None:
        """Read it, so that the log tells of it."""
        self._file.refresh()

    async def close(self) -> None:
        """Nothing is open."""

    async def examine(self) -> list[Finding]:
        """Read it."""
        return _of_file(self._key, self._file)

    async def keys(self, _kid: str | None) -> tuple[Key, ...]:
        """The keys of the last version that could be used."""
        return _some(self._file.current(), self._file)


class SecretKeys:
    """Shared secrets from the settings and a file.

    Args:
        written: Those of the settings.
        file: The file, if there is one.
    """

    counters: Mapping[str, int] = {}

    def __init__(self, written: tuple[Key, ...], file: KeyFile | None) -> None:
        self._written = written
        self._file = file

    def open(self) -> None:
        """Read the file, so that the log tells of it."""
        if self._file is not None:
            self._file.refresh()

    async def close(self) -> None:
        """Nothing is open."""

    async def examine(self) -> list[Finding]:
        """Read the file; what stands in the settings is looked at with them."""
        if self._file is None:
            return []
        found = _of_file("secret_file", self._file)
        materials = (key.material for key in self._file.current())
        if any(isinstance(each, bytes) and looks_guessable(each) for each in materials):
            found.append(("secret_file", GUESSABLE))
        return found

    async def keys(self, _kid: str | None) -> tuple[Key, ...]:
        """All secrets: none of them has a name."""
        return _some((*self._written, *(self._file.current() if self._file else ())), self._file)


class RemoteSource:
    """A key set at a URL.

    Args:
        remote: The set.
    """

    def __init__(self, remote: RemoteKeys) -> None:
        self._remote = remote
        self.open = remote.open
        self.close = remote.close
        self.keys = remote.keys

    def inherit(self, older: RemoteSource) -> None:
        """Go on with the set that another one has from the same place."""
        self._remote.inherit(older._remote)

    @property
    def counters(self) -> Mapping[str, int]:
        """How often it was fetched, and failed to be."""
        return self._remote.counters

    async def examine(self) -> list[Finding]:
        """Fetch it. That it is not there for the moment is no fault of the configuration."""
        if fault := await self._remote.ca_fault():
            return [("jwks_ca_file", fault)]
        await self._remote.fetch()
        said = [self._remote.error] if self._remote.error else self._remote.skipped
        return [("jwks", Doubt(each)) for each in said]


def make_source(
    settings: Settings, log: logging.Logger | None, now: Callable[[], float] = time.monotonic
) -> KeySource:
    """Make the source that settings name; `settings_faults` finds nothing wrong with them.

    Args:
        settings: The settings.
        log: Where it says what changed, if anywhere.
        now: Monotonic seconds.
    """
    algorithms = settings.algorithms
    if settings.jwks_url:
        remote = RemoteKeys(
            settings.jwks_url,
            lambda content: read_key_set(content, algorithms),
            settings.jwks_timing,
            log,
            settings.jwks_ca_file,
            now,
        )
        return RemoteSource(remote)
    if settings.jwks_file:
        file = KeyFile(
            settings.jwks_file,
            lambda content: read_key_set(content, algorithms).usable(),
            log,
            PUBLIC_MODE,
        )
        return FileKeys("jwks", file)
    if settings.key_file:
        file = KeyFile(
            settings.key_file, lambda content: keys_of_pem(content, algorithms), log, PUBLIC_MODE
        )
        return FileKeys("key_file", file)
    secret_file = None
    if settings.secret_file:
        secret_file = KeyFile(
            settings.secret_file,
            lambda content: keys_of_secrets(secrets_of(content), algorithms),
            log,
            SECRET_MODE,
        )
    return SecretKeys(keys_of_secrets(settings.secrets, algorithms), secret_file)


def _some(keys: tuple[Key, ...], file: KeyFile | None) -> tuple[Key, ...]:
    if not keys:
        raise NoKeysError(file.error if file and file.error else "there is no key")
    return keys


def _of_file(key: str, file: KeyFile) -> list[Finding]:
    file.refresh()
    if file.faults:
        return [(key, each) for each in file.faults]
    return [(key, Doubt(file.doubt))] if file.doubt else []
