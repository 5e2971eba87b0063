"""Which plugins a server has, and their life: constructed, started, stopped.

A server makes its own `PluginManager`; nothing is registered at import. The
order is

    configure()   find plugins, check every section, before any plugin's code runs
    load()        construct and register each
    check()       what each says of what its settings name: files, for example
    start()       the start hooks, in order
    collect()     what they contribute: HTTP handlers, message types, …
    stop()        the stop hooks, in reverse

A plugin that fails on the way is taken out and logged; one that is required
stops the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from tornado_webrtc.config import Config, Draft
from tornado_webrtc.discovery import FoundPlugin, Survey, survey
from tornado_webrtc.errors import PluginError, Problem
from tornado_webrtc.hooks import Doubt, Hooks, PluginContext
from tornado_webrtc.implementation import faults, guards, hook_manager, is_required
from tornado_webrtc.isolation import Isolation, plugin_logger

__all__ = [
    "Examination",
    "FoundPlugin",
    "PluginManager",
    "configure",
    "problem_of",
    "settle",
]

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


def configure(draft: Draft) -> tuple[Config, list[FoundPlugin]]:
    """Find the plugins that a configuration asks for and check all sections with theirs.

    Args:
        draft: The configuration as it was read.

    Returns:
        The configuration, and the plugins for a `PluginManager`.

    Raises:
        ConfigError: Something is wrong with a setting or a plugin; it lists all.
    """
    return settle(draft, survey(draft.plugins, draft.sections))


def settle(draft: Draft, result: Survey) -> tuple[Config, list[FoundPlugin]]:
    """Check all sections, those of the plugins that were found included.

    Args:
        draft: The configuration as it was read.
        result: What a search has brought to light.

    Returns:
        As `configure`.

    Raises:
        ConfigError: Something is wrong with a setting or a plugin; it lists all.
    """
    for problem in result.problems:
        draft.add_problem(problem)
    for plugin in result.found:
        if plugin.name != "turn":  # the shipped plugin reads the core's own section
            draft.plugin_settings(plugin.name, plugin.settings_spec)
    return draft.finish(result.names), list(result.found)


@dataclass(frozen=True, slots=True)
class Examination:
    """What plugins say of what their settings name.

    Attributes:
        problems: What is wrong, and which plugins could not say.
        doubts: What is allowed, but probably not meant.
        failures: Of the problems, those that plugins have with themselves: they raised, hung
            or returned nonsense. Nothing of them is logged yet.
    """

    problems: tuple[Problem, ...]
    doubts: tuple[Problem, ...]
    failures: tuple[PluginError, ...]


def problem_of(plugin: str, sentence: str, config: Config) -> Problem:
    """A plugin's sentence, at the key of its section with which it begins."""
    key, colon, rest = sentence.partition(": ")
    if colon and key.startswith(f"{plugin}."):
        return Problem(config.where(key), rest)
    return Problem(f"{config.path or 'configuration'}, plugin {plugin}", sentence)


class PluginManager:
    """The plugins of one server.

    Args:
        found: What was found of them.
        config: The whole configuration.
        required: The names of those that have to start.
        serves: Whether a server runs, or is about to: a command has none that could be blocked.

    Attributes:
        hooks: Asks them.
        left_out: The plugins with which something is wrong, and what.
    """

    def __init__(
        self,
        found: Sequence[FoundPlugin],
        config: Config,
        required: Collection[str],
        *,
        serves: bool = True,
    ) -> None:
        self._found = tuple(found)
        self._config = config
        self._required = {*required, *(each.name for each in found if is_required(each.module))}
        self._pluggy = hook_manager()
        self._isolation = Isolation(START_TIMEOUT_S, serves=serves)
        self._loaded = False
        self._started: list[str] = []
        self.hooks = Hooks(self._pluggy, serves=serves)
        self.left_out: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The plugins that run, in the order in which they were registered."""
        return tuple(name for name, _ in self._pluggy.list_name_plugin())

    def running(self) -> tuple[FoundPlugin, ...]:
        """Where those that run come from, in the same order."""
        found = {each.name: each for each in self._found}
        return tuple(found[name] for name in self.names)

    def load(self) -> None:
        """Construct and register every plugin; a second call changes nothing.

        Raises:
            PluginError: A required plugin failed; none is registered then.
        """
        if self._loaded:
            return
        try:
            for found in self._found:
                try:
                    self._register(found)
                except PluginError as error:
                    self._report(error)
            self._loaded = True
        finally:
            if not self._loaded:
                self._unregister_all()

    async def check(self) -> Examination:
        """Let the plugins that are loaded look at what their settings name; started or not."""
        sentences, failures = await self.hooks.examine()
        problems: list[Problem] = []
        doubts: list[Problem] = []
        for plugin, sentence in sentences:
            found = doubts if isinstance(sentence, Doubt) else problems
            found.append(problem_of(plugin, sentence, self._config))
        failed = [problem_of(each.plugin, each.reason, self._config) for each in failures]
        return Examination((*problems, *failed), tuple(doubts), tuple(failures))

    async def start(self, server: object) -> None:
        """Load the plugins and call their start hooks, one after the other.

        Args:
            server: The server, for the hooks.

        Raises:
            PluginError: A required plugin failed; those that had been started
                are stopped again.
        """
        self.load()
        try:
            for name in self.names:
                try:
                    await self.hooks.ask_plugin(
                        name, "start", timeout_s=START_TIMEOUT_S, server=server
                    )
                    self._started.append(name)
                except PluginError as error:
                    await self.leave_out(error, server)
        except BaseException:
            await self.stop(server)
            raise

    async def collect(self, *hooks: str, server: object) -> dict[str, list[tuple[str, Any]]]:
        """Collect what the plugins contribute; one that fails contributes nothing at all.

        Args:
            *hooks: Register hooks that take the server.
            server: The server, for the hooks.

        Returns:
            For each hook, pairs of plugin name and contribution.

        Raises:
            PluginError: A required plugin failed; every plugin has been stopped.
        """
        collected = {}
        for hook in hooks:
            failures: list[PluginError] = []
            collected[hook] = self.hooks.collect(hook, on_failure=failures.append, server=server)
            for error in failures:
                await self._leave_out_or_stop(error, server)
        names = self.names
        return {
            hook: [(name, contribution) for name, contribution in pairs if name in names]
            for hook, pairs in collected.items()
        }

    async def leave_out(self, error: PluginError, server: object) -> None:
        """Take out a plugin with which something is wrong.

        Args:
            error: The plugin's name and what is wrong.
            server: The server, for the plugin's stop hook.

        Raises:
            PluginError: The plugin is required.
        """
        self._report(error)
        await self._stop_one(error.plugin, server)

    async def stop(self, server: object) -> None:
        """Call the stop hooks in reverse order and forget all plugins.

        A plugin that fails is logged. Pending notifications are waited for.

        Args:
            server: The server, for the hooks.
        """
        for name in reversed(self.names):
            await self._stop_one(name, server)
        await self.hooks.settle()
        self._loaded = False

    def _register(self, found: FoundPlugin) -> None:
        if reasons := faults(found.module):
            raise PluginError(found.name, "; ".join(reasons))
        plugin: object = found.module
        if (plugin_class := getattr(found.module, "Plugin", None)) is not None:
            plugin = self._isolation.call(
                found.name, "Plugin()", plugin_class, self._context(found)
            )
        try:
            self._pluggy.register(plugin, found.name)
            self._pluggy.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self._unregister(found.name)
            raise PluginError(found.name, str(error)) from error

    def _context(self, found: FoundPlugin) -> PluginContext:
        settings = self._config.plugin_settings.get(found.name, {})
        return PluginContext(found.name, settings, self._config, plugin_logger(found.name))

    def _report(self, error: PluginError) -> None:
        """Log that a plugin is left out, or raise if it is required."""
        self.left_out[error.plugin] = error.reason
        if error.plugin in self._required:
            raise error
        text = "plugin %s is left out: %s"
        modules = [found.module for found in self._found if found.name == error.plugin]
        if any(guards(module) for module in modules):
            text += "; the server goes on without its rules (plugins.required would stop it)"
        plugin_logger(error.plugin).error(text, error.plugin, error.reason)

    async def _leave_out_or_stop(self, error: PluginError, server: object) -> None:
        try:
            await self.leave_out(error, server)
        except BaseException:
            await self.stop(server)
            raise

    async def _stop_one(self, name: str, server: object) -> None:
        try:
            if name in self._started:
                self._started.remove(name)
                await self.hooks.ask_plugin(name, "stop", timeout_s=STOP_TIMEOUT_S, server=server)
        except PluginError:
            return  # logged; there is nothing else to be done about it
        finally:
            self._unregister(name)

    def _unregister(self, name: str) -> None:
        if self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)

    def _unregister_all(self) -> None:
        for name in self.names:
            self._unregister(name)
