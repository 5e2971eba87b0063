"""From a file and the environment to a `Config`, in steps that plugins can join."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tornado_webrtc.errors import Problem

from .checks import nearest
from .environment import variable_name
from .model import Admin, Config, General, Plugins, Signaling, Turn
from .report import Report
from .rules import Rules
from .section import BrokenSpecificationError, SectionCheck
from .source import Source
from .specification import CORE, core_specification, make_validator, parse_specification

__all__ = ["Draft", "load"]

_NO_EFFECT = "plugins.disabled names this plugin: nothing that stands here holds"
_PLUGIN_HINT = "This is a fault of the plugin, not of the configuration."


class Draft:
    """A configuration that was read but not yet judged whole.

    The core's sections are checked when it is read. Then whoever knows the
    plugins asks for their settings, and `finish` reports everything at once.

    Attributes:
        path: The file; None if there is none.
        plugins: The section ``[plugins]``, defaults in place of what is wrong in it.
        sections: The names of all sections in the file and the environment.
    """

    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self._source = source
        self._report = Report(source)
        self._rules = Rules(source, self._report)
        self._validator = make_validator(source.path)
        self._service_state = environ.get("STATE_DIRECTORY", "")
        self._core = {name: self._check(name, core_specification()[name]) for name in CORE}
        self._plugin_settings: dict[str, Mapping[str, Any]] = {}
        self.path = source.path
        self.sections = source.sections
        self.plugins = self._rules.plugins(Plugins(**self._core["plugins"]))

    @classmethod
    def read(cls, path: Path | None, environ: Mapping[str, str] = os.environ) -> Draft:
        """Read a file and the environment.

        Args:
            path: The file; None for defaults and environment only.
            environ: Names and values of environment variables.

        Returns:
            The draft; most problems wait in it for `finish`.

        Raises:
            ConfigError: If the file cannot be read or is no text at all.
        """
        return cls(Source.read(path, environ), environ)

    @property
    def admin_socket(self) -> Path | None:
        """Where a server with this configuration has its socket, whatever else is wrong in it."""
        state_dir = self._core["general"]["state_dir"]
        found = self._rules.state_dir(state_dir, self._service_state)
        written = self._core["admin"]["socket"]
        return found / written if written else None

    def add_problem(self, problem: Problem) -> None:
        """Let `finish` report something that was found elsewhere, after everything else."""
        self._report.add(problem)

    def plugin_settings(self, name: str, spec: str) -> Mapping[str, Any]:
        """Check a plugin's own section.

        Args:
            name: The plugin, which is also the section.
            spec: Its `SETTINGS`: the text of a configspec. A plugin that is named like a
                section of the core has none, and reads that section.

        Returns:
            Each key of the specification. To be used only once `finish` has succeeded.
        """
        settings: Mapping[str, Any] = {}
        try:
            parsed = parse_specification(spec)
            if name not in CORE:
                settings = self._check(name, parsed)
            elif parsed:
                raise ValueError(f"[{name}] is a section of the core")
        except (BrokenSpecificationError, ValueError) as error:
            message = f"its SETTINGS are no valid specification: {error}"
            self.add_problem(Problem(f"plugin {name}", message, _PLUGIN_HINT))
        self._plugin_settings[name] = _frozen(settings)
        return self._plugin_settings[name]

    def finish(self, known_plugins: Iterable[str]) -> Config:
        """Judge the configuration whole; to be called once.

        Args:
            known_plugins: Every plugin that may have a section, those that do not run included.

        Returns:
            The configuration.

        Raises:
            ConfigError: With every problem that was found since `read`.
        """
        self._refuse_unknown_sections({*CORE, *self._plugin_settings, *known_plugins})
        for name in sorted(self.sections & {*self.plugins.disabled} - {*CORE}):
            self._report.warn((name,), _NO_EFFECT)
        values = self._core["general"]
        state_dir = self._rules.state_dir(values["state_dir"], self._service_state)
        general = General(
            **{
                **values,
                "html_root": self._rules.html_root(values["html_root"]),
                "state_dir": state_dir,
            }
        )
        signaling, turn = Signaling(**self._core["signaling"]), Turn(**self._core["turn"])
        admin = Admin(socket=self._rules.socket(self._core["admin"]["socket"], state_dir))
        relays = "turn" not in self.plugins.disabled
        self._rules.judge(general, signaling, turn, relays=relays)
        self._report.raise_problems()
        return Config(
            path=self.path,
            general=general,
            signaling=signaling,
            turn=turn,
            plugins=self.plugins,
            admin=admin,
            plugin_settings=MappingProxyType(self._plugin_settings),
            places=MappingProxyType(self._source.written()),
            warnings=self._report.warnings(),
        )

    def _check(self, name: str, spec: Any) -> dict[str, Any]:
        return SectionCheck(name, spec, self._source, self._report, self._validator).run()

    def _refuse_unknown_sections(self, known: set[str]) -> None:
        for name in sorted(self.sections - known):
            close = nearest(name, known)
            hint = f"Did you mean [{close}]?" if close else _sections_hint(known)
            message = "there is neither a section of the core nor a plugin of this name"
            if name in self._source.tree:
                self._report.problem((name,), message, hint)
            for variable in self._source.variables_of(name):
                right = variable_name((close, *variable.parts[1:])) if close else ""
                hint_there = f"Did you mean {right}?" if right else hint
                self._report.unknown_variable(variable, message, hint_there)


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read a configuration that has no settings for plugins.

    Args:
        path: The file; None for defaults and environment only.
        environ: Names and values of environment variables.

    Returns:
        The configuration.

    Raises:
        ConfigError: With every problem there is.
    """
    return Draft.read(path, environ).finish(())


def _sections_hint(known: Iterable[str]) -> str:
    return f"Known here: {', '.join(f'[{name}]' for name in sorted(known))}."


def _frozen(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(
        {
            name: _frozen(value) if isinstance(value, dict) else value
            for name, value in settings.items()
        }
    )
