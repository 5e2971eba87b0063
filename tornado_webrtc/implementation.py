"""Looks over a plugin's module before anything of it is called.

pluggy lets a misspelt hook pass, and a forgotten ``@hookimpl``; a rule that is
never asked looks like one that always agrees. So everything that can be told
from the code alone is told at once.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import pluggy

from tornado_webrtc import hookspecs

__all__ = [
    "faults",
    "guards",
    "hook_manager",
    "hook_parameters",
    "implemented",
    "is_required",
    "version_of",
]

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def hook_manager() -> pluggy.PluginManager:
    """Return a new pluggy manager that knows every hook and no plugin."""
    manager = pluggy.PluginManager("tornado_webrtc")
    manager.add_hookspecs(hookspecs)
    return manager


def hook_parameters() -> Mapping[str, tuple[str, ...]]:
    """Return the parameters of every hook."""
    names = [name for kind in hookspecs.KINDS.values() for name in kind]
    return {name: tuple(inspect.signature(getattr(hookspecs, name)).parameters) for name in names}


def faults(module: ModuleType) -> list[str]:
    """Find what is wrong with a plugin.

    Args:
        module: The plugin's module or package, imported.

    Returns:
        A sentence for each fault.
    """
    found = []
    if not isinstance(settings := getattr(module, "SETTINGS", ""), str):
        found.append(f"SETTINGS is a {type(settings).__name__}, but has to be a string")
    plugin = getattr(module, "Plugin", None)
    in_module = list(_marked(module))
    if plugin is None and not in_module:
        found.append("it has neither a class Plugin nor a function marked with @hookimpl")
    elif plugin is not None and not inspect.isclass(plugin):
        found.append(f"Plugin is a {type(plugin).__name__}, but has to be a class")
    elif plugin is not None and in_module:
        found.append(f"{in_module[0][0]}() is a hook implementation outside the class Plugin")
    target = plugin if inspect.isclass(plugin) else module
    return found + list(_target_faults(target, module.__name__))


def guards(module: ModuleType) -> bool:
    """Tell whether a plugin decides who may do what, or who meets whom."""
    guarding = {"authenticate", "scope_for", *hookspecs.KINDS["permit"]}
    return not guarding.isdisjoint(implemented(module))


def implemented(module: ModuleType) -> tuple[str, ...]:
    """Name the hooks that a plugin implements, in alphabetical order."""
    target = getattr(module, "Plugin", module)
    return tuple(sorted({options.get("specname") or name for name, options in _marked(target)}))


def is_required(module: ModuleType) -> bool:
    """Tell whether a plugin says that the server does not start without it."""
    return getattr(module, "REQUIRED", False) is True


def version_of(module: ModuleType) -> str:
    """What a plugin says of its version; empty if it says nothing."""
    version = getattr(module, "__version__", "")
    return version if isinstance(version, str) else ""


def _marked(target: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """List a module's or class's hook implementations with pluggy's options."""
    manager = pluggy.PluginManager("tornado_webrtc")
    for name in dir(target):
        if (options := manager.parse_hookimpl_opts(target, name)) is not None:
            yield name, options


def _target_faults(target: type | ModuleType, module_name: str) -> Iterator[str]:
    known = hook_parameters()
    marked = dict(_marked(target))
    for name, options in marked.items():
        hook = options.get("specname") or name
        if hook in known:
            yield from _option_faults(name, options)
            yield from _function_faults(target, name, hook, known[hook])
        elif not options.get("optionalhook"):
            yield f"{name}() implements a hook that does not exist{_nearest(hook, list(known))}"
    for name in known:
        function = inspect.getattr_static(target, name, None)
        if name not in marked and _is_own_function(function, module_name):
            yield f"{name}() is named like a hook, but is not marked with @hookimpl"


def _option_faults(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    if options.get("wrapper") or options.get("hookwrapper"):
        yield f"{name}() is a hook wrapper; those are not supported"
    if options.get("tryfirst") and options.get("trylast"):
        yield f"{name}() is marked both tryfirst and trylast"


def _function_faults(
    target: object, name: str, hook: str, specified: Sequence[str]
) -> Iterator[str]:
    function: Callable[..., Any] = getattr(target, name)
    if hook in hookspecs.KINDS["register"] and inspect.iscoroutinefunction(function):
        yield f"{name}() is asynchronous, which this hook must not be"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield f"{name}() is a generator, whose code would never run"
    parameters = list(inspect.signature(function).parameters.values())
    if inspect.isclass(target) and inspect.isfunction(inspect.getattr_static(target, name)):
        if not parameters or parameters[0].name in specified:
            yield f"{name}() lacks its first parameter, self"
            return
        del parameters[0]
    for parameter in parameters:
        yield from _parameter_faults(name, parameter, specified)


def _parameter_faults(
    name: str, parameter: inspect.Parameter, specified: Sequence[str]
) -> Iterator[str]:
    optional = parameter.default is not inspect.Parameter.empty
    if parameter.kind not in _NAMED and not optional:
        yield f"{name}() has the parameter {parameter}, but can have only named ones"
    elif parameter.name not in specified and not optional:
        near = _nearest(parameter.name, specified)
        takes = f"; the hook has {', '.join(specified)}" if specified and not near else ""
        yield f"{name}() has the parameter {parameter.name}, which the hook has not{near}{takes}"


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _is_own_function(value: object, module_name: str) -> bool:
    """Tell whether something is a function of the plugin's own code."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if not inspect.isfunction(value):
        return False
    return f"{value.__module__}.".startswith(f"{module_name}.")
