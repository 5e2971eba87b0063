"""What a configuration that was read again changes: what can be applied, what needs a restart.

    compare(running, written, specs)   section by section, key by key
    fingerprints(config, specs)        what the files hold that live settings name
    check_files(found, config)         what plugins that run say of what their settings name now

Nothing here touches a server; `Server.reload` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tornado_webrtc.config import CORE, Config, marks, own_marks
from tornado_webrtc.errors import ConfigError, PluginError, Problem
from tornado_webrtc.implementation import implemented
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager, problem_of
from tornado_webrtc.regularfile import read_regular_file

__all__ = ["Comparison", "ReloadReport", "check_files", "compare", "fingerprints"]

Key = tuple[str, ...]
IsLive = Callable[[Key], bool]

_ABSENT = object()

_LATER = "The server goes on with what it has had since its start; another start would fail now."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadReport:
    """What a reload did; names only, since values may be secret.

    Attributes:
        applied: What holds from now on: ``signaling.ping_s``, …
        needs_restart: What was changed in the file, but not in the process; also ``plugin NAME``
            for one that would run now, or would not run any more.
        certificate: Whether there is a new certificate.
        certificate_error: Why the certificate in the files cannot be used, so that the one in
            use stays; empty if it can.
        warnings: What is doubtful and was not before; anything about the certificate in use,
            and about secrets, each time.
    """

    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    certificate: bool = False
    certificate_error: str = ""
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"applied {', '.join(self.applied)}"] if self.applied else []
        if self.certificate:
            parts.append("a new certificate")
        if self.certificate_error:
            parts.append("the certificate cannot be used, the one before stays")
        if self.needs_restart:
            parts.append(f"a restart is needed for {', '.join(self.needs_restart)}")
        return "; ".join(parts) or "nothing changed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comes of a running configuration and one that was read again.

    Attributes:
        config: What holds from now on: what is live as it was read, all else as it is running.
        applied: The names of live settings that differ.
        needs_restart: The names of others that differ.
        doubtful: What plugins find doubtful in it.
    """

    config: Config
    applied: tuple[str, ...]
    needs_restart: tuple[str, ...]
    doubtful: tuple[Problem, ...] = ()


def compare(running: Config, written: Config, specs: Mapping[str, str]) -> Comparison:
    """Find out what changed, and what of it can be applied.

    Args:
        running: What holds at the moment.
        written: What was read.
        specs: The `SETTINGS` of every plugin that runs and goes on to, by its name.
    """
    core = marks()
    differences = _Differences()
    sections = {}
    for section in CORE:
        before, after = (_values(getattr(config, section)) for config in (running, written))
        merged = differences.merge(
            (section,), before, after, lambda key: core[".".join(key)] == "live"
        )
        sections[section] = replace(getattr(running, section), **merged)
    own = {
        plugin: differences.merge(
            (plugin,),
            running.plugin_settings.get(plugin, {}),
            written.plugin_settings.get(plugin, {}),
            _is_live_in(spec),
        )
        for plugin, spec in specs.items()
        if plugin not in CORE
    }
    plugin_settings = MappingProxyType({**running.plugin_settings, **own})
    config = replace(
        running,
        **sections,
        plugin_settings=plugin_settings,
        places=written.places,
        warnings=written.warnings,
    )
    return Comparison(config, tuple(differences.live), tuple(differences.others))


def _values(section: Any) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in fields(section)}


def _is_live_in(spec: str) -> IsLive:
    mark = own_marks(spec)
    return lambda key: mark(key[1:]) == "live"


class _Differences:
    """Collects the names of settings that differ, in the order of their sections."""

    def __init__(self) -> None:
        self.live: list[str] = []
        self.others: list[str] = []

    def merge(
        self, section: Key, before: Mapping[str, Any], after: Mapping[str, Any], is_live: IsLive
    ) -> Mapping[str, Any]:
        """Return a section as it holds from now on."""
        merged = {}
        for name in dict.fromkeys((*before, *after)):
            old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
            value = self._merged((*section, name), old, new, is_live)
            if value is not _ABSENT:
                merged[name] = value
        return MappingProxyType(merged)

    def _merged(self, key: Key, before: Any, after: Any, is_live: IsLive) -> Any:
        if isinstance(before, Mapping) or isinstance(after, Mapping):
            merged = self.merge(key, _table(before), _table(after), is_live)
            return merged if merged or after is not _ABSENT else _ABSENT
        if before == after:
            return before
        if is_live(key):
            self.live.append(".".join(key))
            return after
        self.others.append(".".join(key))
        return before


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def fingerprints(config: Config, specs: Mapping[str, str]) -> dict[str, bytes]:
    """Digest the files that live settings name, so that changed content is noticed.

    Args:
        config: The configuration.
        specs: The `SETTINGS` of every plugin that runs, by its name.

    Returns:
        A digest for each ``section.key`` that names a file which can be read.
    """
    core = marks()
    named: list[tuple[str, Path]] = []
    for section in CORE:
        for name, value in _values(getattr(config, section)).items():
            key = f"{section}.{name}"
            if isinstance(value, Path) and core[key] == "live":
                named.append((key, value))
    for plugin, spec in specs.items():
        is_live = _is_live_in(spec)
        for path, value in _leaves((plugin,), config.plugin_settings.get(plugin, {})):
            if isinstance(value, str) and value and is_live(path):
                named.append((".".join(path), config.resolve(value)))
    digests = {key: _digest(file) for key, file in named}
    return {key: digest for key, digest in digests.items() if digest is not None}


def _leaves(key: Key, table: Mapping[str, Any]) -> Iterator[tuple[Key, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves((*key, name), value)
        else:
            yield (*key, name), value


def _digest(path: Path) -> bytes | None:
    """None if there is no such file: the text may well be something else than a path."""
    try:
        return hashlib.sha256(read_regular_file(path)).digest()
    except (OSError, ValueError):
        return None


async def check_files(
    found: Iterable[FoundPlugin], config: Config, needs_restart: Collection[str] = ()
) -> tuple[Problem, ...]:
    """Let plugins look at the files that their settings name, as ``tornado-webrtc check`` does.

    What a setting names that needs a restart, the process has had since its start. That it could
    not be had now, an address behind a name for example, is no reason to leave a secret in force
    that has to go: it is a warning.

    Args:
        found: The plugins that run. Those with a hook `check` are constructed once more.
        config: What is going to hold.
        needs_restart: Settings, as ``section.key``, that are written otherwise than they hold:
            what is wrong with the value that is replaced at the next start is not told.

    Returns:
        What they find doubtful.

    Raises:
        ConfigError: With everything else that they found wrong.
    """
    asked: Sequence[FoundPlugin] = [each for each in found if "check" in implemented(each.module)]
    try:
        plugins = PluginManager(asked, config, [each.name for each in asked])
        plugins.load()
    except PluginError as error:
        raise ConfigError([problem_of(error.plugin, error.reason, config)]) from error
    examination = await plugins.check()
    settled = _settled({each.name: each.settings_spec for each in asked}, config)
    problems = [each for each in examination.problems if each.where not in settled]
    if problems:
        raise ConfigError(problems)
    replaced = {config.where(key) for key in needs_restart}
    later = (
        replace(each, hint=_LATER) for each in examination.problems if each.where not in replaced
    )
    return (*examination.doubts, *later)


def _settled(specs: Mapping[str, str], config: Config) -> set[str]:
    """The places of settings that are as they were at the start."""
    keys = [key for key, mark in marks().items() if mark != "live"]
    for plugin, spec in specs.items():
        is_live = _is_live_in(spec)
        written = _leaves((plugin,), config.plugin_settings.get(plugin, {}))
        keys += [".".join(key) for key, _ in written if not is_live(key)]
    return {config.where(key) for key in keys}
