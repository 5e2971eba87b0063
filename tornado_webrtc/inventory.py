"""Every plugin that was found: where it comes from, what it does, whether it runs."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

from tornado_webrtc.config import Config, Draft
from tornado_webrtc.discovery import Candidate, FoundPlugin, Survey, declared, survey
from tornado_webrtc.errors import ConfigError, PluginError, Problem
from tornado_webrtc.implementation import implemented, is_required
from tornado_webrtc.pluginmanager import PluginManager, settle

__all__ = ["Entry", "Inventory", "take_inventory"]

RUNS, OFF, LEFT_OUT = "runs", "off", "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One plugin.

    Attributes:
        name: What it is called in the configuration.
        origin: ``shipped``, ``distribution NAME VERSION`` or the folder's path.
        version: What it says (``__version__``), else its distribution's; empty if it has none.
        hooks: Those that it implements.
        state: ``runs``, ``off`` or ``left out``; none runs where the server does not start.
        reason: Why it does not run; empty if it does.
        required: Whether the server does not start without it; one that is off need not start.
    """

    name: str
    origin: str
    version: str
    hooks: tuple[str, ...]
    state: str
    reason: str
    required: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of them, in the order in which they are asked.

    Attributes:
        entries: The plugins.
        problems: Everything that is wrong with the configuration, plugins included; with one
            of these the server does not start.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]


def take_inventory(path: Path | None) -> Inventory:
    """Look at all plugins as a server would; they are made, not started.

    Args:
        path: The configuration; None for defaults and environment only.

    Raises:
        ConfigError: It cannot even be read.
    """
    draft = Draft.read(path)
    result = survey(draft.plugins, draft.sections)
    try:
        config, found = settle(draft, result)
    except ConfigError as error:
        return _Looker(draft, result, {}, error.problems).inventory()
    manager, problems = _loaded(config, found)
    return _Looker(draft, result, manager.left_out, problems).inventory()


def _loaded(config: Config, found: list[FoundPlugin]) -> tuple[PluginManager, tuple[Problem, ...]]:
    manager = PluginManager(found, config, config.plugins.required)
    try:
        with _quiet():
            manager.load()
    except PluginError as error:
        return manager, (Problem(f"plugin {error.plugin}", error.reason, "it is required"),)
    return manager, ()


@contextmanager
def _quiet() -> Iterator[None]:
    """Plugins that fail are listed; they need not be logged, too."""
    logger = logging.getLogger("tornado_webrtc.plugins")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@dataclass(frozen=True, slots=True)
class _Looker:
    draft: Draft
    result: Survey
    failed: dict[str, str]
    problems: tuple[Problem, ...]

    def inventory(self) -> Inventory:
        return Inventory(tuple(map(self._entry, self.result.candidates)), self.problems)

    def _entry(self, candidate: Candidate) -> Entry:
        found = next(
            (
                each
                for each in self.result.found
                if (each.name, each.origin) == (candidate.name, candidate.origin)
            ),
            None,
        )
        state, reason = self._state(candidate, found)
        seen = _seen(candidate, found)
        return Entry(
            name=candidate.name,
            origin=candidate.origin,
            version=seen.version or candidate.version,
            hooks=seen.hooks,
            state=state,
            reason=reason,
            required=candidate.name in self.draft.plugins.required
            or (seen.required and state != OFF),
        )

    def _state(self, candidate: Candidate, found: FoundPlugin | None) -> tuple[str, str]:
        name, plugins = candidate.name, self.draft.plugins
        if name in plugins.disabled:
            return OFF, "plugins.disabled says so"
        for problem in self.result.problems:
            if problem.where == f"plugin {name}" or problem.where.startswith(f"plugin {name} ("):
                return LEFT_OUT, problem.message
        if found is None:
            return OFF, f"nobody asks for it: name it in plugins.enabled, or add [{name}]"
        if name in self.failed:
            return LEFT_OUT, self.failed[name]
        if self.problems:
            return LEFT_OUT, "the server does not start, see its problems"
        return RUNS, ""


@dataclass(frozen=True, slots=True)
class _Seen:
    hooks: tuple[str, ...] = ()
    version: str = ""
    required: bool = False


def _seen(candidate: Candidate, found: FoundPlugin | None) -> _Seen:
    """What a plugin says of itself; one that does not run is read, never imported."""
    if found is not None:
        module = found.module
        return _Seen(implemented(module), found.version, is_required(module))
    if isinstance(candidate.source, EntryPoint):
        return _Seen()
    try:
        tree = ast.parse(candidate.source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return _Seen()
    hooks = tuple(sorted(set(_marked(tree))))
    return _Seen(hooks, _declared_version(tree), declared(tree, "REQUIRED") is True)


def _marked(tree: ast.Module) -> Iterator[str]:
    """The functions in a source file that are marked with ``@hookimpl``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(called).rpartition(".")[2] == "hookimpl":
                    yield _specname(decorator) or node.name


def _specname(decorator: ast.expr) -> str:
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    values = [each.value for each in keywords if each.arg == "specname"]
    return str(values[0].value) if values and isinstance(values[0], ast.Constant) else ""


def _declared_version(tree: ast.Module) -> str:
    version = declared(tree, "__version__")
    return version if isinstance(version, str) else ""
