"""Finds plugins, decides which of them run, and imports those.

Shipped plugins, entry points of installed distributions and operators' folders
are searched, in this order. Whatever is wrong becomes a `Problem` that names
plugin, file and line; the other plugins are found all the same.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import keyword
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import tornado_webrtc.plugins
from tornado_webrtc import __version__
from tornado_webrtc.config import Plugins
from tornado_webrtc.errors import Problem
from tornado_webrtc.implementation import faults, version_of
from tornado_webrtc.paths import shipped_plugins_dir

__all__ = [
    "ENTRY_POINTS",
    "RESERVED",
    "Candidate",
    "FoundPlugin",
    "Survey",
    "declared",
    "survey",
]

ENTRY_POINTS = "tornado_webrtc"

_SECTIONS = ("general", "signaling", "turn", "plugins", "admin")
_PARTS = ("listener", "server")

RESERVED = {
    **{name: f"[{name}] is a section of the server itself" for name in _SECTIONS},
    **dict.fromkeys(_PARTS, "the server shows figures of its own under it"),
}
"""The names that no plugin can have, and why."""

_SHIPPED = "shipped"
_NAMESPACE = tornado_webrtc.plugins


@dataclass(frozen=True, slots=True)
class FoundPlugin:
    """A plugin that runs, imported but not yet constructed.

    Attributes:
        name: What it is called in the configuration.
        module: Its module or package.
        origin: ``shipped``, ``distribution NAME VERSION`` or the folder's path.
        settings_spec: Its `SETTINGS`, the specification of its section.
        version: What it says (``__version__``), else its distribution's; empty if it has none.
    """

    name: str
    module: ModuleType
    origin: str
    settings_spec: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a search has brought to light.

    Attributes:
        found: The plugins that run, in the order in which they are registered.
        problems: What has to be put right.
        names: Every plugin that exists, whether it runs or not.
        candidates: The places where those were found, in order.
    """

    found: tuple[FoundPlugin, ...]
    problems: tuple[Problem, ...]
    names: frozenset[str]
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a plugin was found.

    Attributes:
        name: What it is called in the configuration.
        origin: As that of a `FoundPlugin`.
        source: Its file, or the entry point that names it.
    """

    name: str
    origin: str
    source: Path | EntryPoint

    @property
    def place(self) -> str:
        """Where a person has to look."""
        if isinstance(self.source, Path):
            return str(self.source)
        return f"{self.origin} (entry point {self.source.value})"

    @property
    def version(self) -> str:
        """The version of the distribution that it came with; empty if it came with none."""
        if isinstance(self.source, EntryPoint):
            return self.source.dist.version if self.source.dist else ""
        return __version__ if self.origin == _SHIPPED else ""


def survey(plugins: Plugins, sections: Collection[str]) -> Survey:
    """Find all plugins and import those that run.

    Args:
        plugins: The ``[plugins]`` section.
        sections: The names of all sections that the configuration has.

    Returns:
        The plugins and the problems.
    """
    problems: list[Problem] = []
    existing = _candidates(plugins.path, problems)
    candidates = [each for each in existing if _named_well(each, problems)]
    names = frozenset(candidate.name for candidate in candidates)
    problems += _unknown_names(plugins, names)
    active = [
        each for each in _without_clashes(candidates, problems) if _runs(each, plugins, sections)
    ]
    found = [plugin for each in active if (plugin := _found(each, problems)) is not None]
    return Survey(tuple(found), tuple(problems), names, tuple(candidates))


def _candidates(folders: Sequence[Path], problems: list[Problem]) -> Iterator[Candidate]:
    shipped = shipped_plugins_dir() or Path(str(_NAMESPACE.__file__)).parent
    yield from _in_folder(shipped, _SHIPPED, problems)
    for entry in dict.fromkeys(entry_points(group=ENTRY_POINTS)):
        yield Candidate(entry.name, _distribution(entry), entry)
    seen = {shipped.resolve()}
    for folder in folders:
        if folder.resolve() not in seen:
            seen.add(folder.resolve())
            tornado_webrtc.plugins.add_folder(folder)
            yield from _in_folder(folder.resolve(), str(folder), problems)


def _in_folder(folder: Path, origin: str, problems: list[Problem]) -> Iterator[Candidate]:
    """Find ``NAME.py`` and ``NAME/__init__.py``; a leading ``_`` or ``.`` hides a name."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        message = f"the folder {origin} cannot be read: {error.strerror}"
        hint = "make the folder, or take it out of plugins.path"
        problems.append(Problem("plugins.path", message, hint))
        return
    for entry in entries:
        if entry.name.startswith(("_", ".")):
            continue
        if entry.is_dir():
            if (entry / "__init__.py").is_file():
                yield Candidate(entry.name, origin, entry / "__init__.py")
        elif entry.suffix == ".py":
            yield Candidate(entry.stem, origin, entry)


def _distribution(entry: EntryPoint) -> str:
    if entry.dist is None:
        return "an unknown distribution"
    return f"distribution {entry.dist.name} {entry.dist.version}"


def _named_well(candidate: Candidate, problems: list[Problem]) -> bool:
    name = candidate.name
    if not name.isidentifier() or keyword.iskeyword(name):
        message = f"{name!r} cannot be the name of a plugin"
        hint = "use letters, digits and underscores only, and a letter first"
    elif name in RESERVED and (name, candidate.origin) != ("turn", _SHIPPED):
        message = f"the name {name!r} is reserved: {RESERVED[name]}"
        hint = "give the plugin another name"
    else:
        return True
    problems.append(Problem(f"plugin {name} ({candidate.place})", message, hint))
    return False


def _unknown_names(plugins: Plugins, names: Collection[str]) -> Iterator[Problem]:
    for key in ("enabled", "disabled", "required"):
        for name in getattr(plugins, key):
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {sorted(names)}"
                yield Problem(f"plugins.{key}", f"there is no plugin named {name!r}", hint)


def _without_clashes(
    candidates: Sequence[Candidate], problems: list[Problem]
) -> Iterator[Candidate]:
    for candidate in candidates:
        namesakes = [each for each in candidates if each.name == candidate.name]
        if len(namesakes) == 1:
            yield candidate
        elif candidate is namesakes[0]:
            places = " and ".join(each.place for each in namesakes)
            message = f"there are {len(namesakes)} plugins of this name: {places}"
            problems.append(Problem(f"plugin {candidate.name}", message, "rename or remove one"))


def _runs(candidate: Candidate, plugins: Plugins, sections: Collection[str]) -> bool:
    name = candidate.name
    if name in plugins.disabled:
        return False
    if candidate.origin != _SHIPPED or name in {*plugins.enabled, *plugins.required, *sections}:
        return True
    return isinstance(candidate.source, Path) and _enabled_by_default(candidate.source)


def _enabled_by_default(file: Path) -> bool:
    """Tell whether a module says ``ENABLED_BY_DEFAULT = True``, without importing it.

    A plugin that does not run may need distributions that are not installed.
    One that is not even Python counts as enabled: its import will say why.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return True
    return declared(tree, "ENABLED_BY_DEFAULT") is True


def declared(tree: ast.Module, name: str) -> object:
    """Read what a module says of itself, such as ``REQUIRED = True``, without importing it.

    Args:
        tree: Its source, parsed.
        name: The name, assigned at the top level.

    Returns:
        The value, if it is a constant; None if the module says nothing that can be read.
    """
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(target)], value=ast.Constant(value))
                | ast.AnnAssign(target=ast.Name(target), value=ast.Constant(value))
            ) if target == name:
                return value
    return None


def _found(candidate: Candidate, problems: list[Problem]) -> FoundPlugin | None:
    """Import a plugin and look it over; None and a problem if it is no good."""
    name = candidate.name
    try:
        module = _import(candidate)
    except (Exception, SystemExit) as error:  # whatever a stranger's code may raise
        problems.append(_import_problem(candidate, error))
        return None
    reasons = faults(module)
    problems += [Problem(f"plugin {name} ({candidate.place})", reason) for reason in reasons]
    if reasons:
        return None
    settings = getattr(module, "SETTINGS", "")
    version = version_of(module) or candidate.version
    return FoundPlugin(name, module, candidate.origin, settings, version)


def _import(candidate: Candidate) -> ModuleType:
    if isinstance(candidate.source, Path):
        return _import_file(candidate.name, candidate.source)
    if candidate.source.attr:
        found = f"{candidate.source.value!r} names an object"
        raise ImportError(f"the entry point has to name a module, but {found}")
    return importlib.import_module(candidate.source.module)


def _import_file(name: str, file: Path) -> ModuleType:
    """Import a file as ``tornado_webrtc.plugins.NAME``, whatever else has that name.

    Python knows one module per name, and several servers in one process may have
    different plugins of one name. The second gets a name that no ``import``
    statement can reach; imports relative to it find its own files.
    """
    module_name = f"{_NAMESPACE.__name__}.{name}"
    if (module := sys.modules.get(module_name)) is not None:
        if _is_from(module, file):
            return module
        module_name += "@" + hashlib.sha256(bytes(file.resolve())).hexdigest()[:16]
        if (module := sys.modules.get(module_name)) is not None:
            return module
    return _execute(module_name, file)


def _is_from(module: ModuleType, file: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve() == file.resolve()


def _execute(module_name: str, file: Path) -> ModuleType:
    folders = [str(file.parent)] if _is_package(file) else None
    spec = importlib.util.spec_from_file_location(
        module_name, file, submodule_search_locations=folders
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for known in [known for known in sys.modules if f"{known}.".startswith(f"{module_name}.")]:
            del sys.modules[known]
        raise
    setattr(_NAMESPACE, module_name.rpartition(".")[2], module)
    return module


def _import_problem(candidate: Candidate, error: BaseException) -> Problem:
    file, line = _guilty_line(candidate, error)
    place = f"{file}, line {line}" if line else candidate.place
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    hint = f"repair it, or name {candidate.name} in plugins.disabled"
    if isinstance(error, ModuleNotFoundError):
        hint = f"install what provides {error.name!r}, or name {candidate.name} in plugins.disabled"
    message = f"cannot be imported: {type(error).__name__}: {reason}"
    return Problem(f"plugin {candidate.name} ({place})", message, hint)


def _guilty_line(candidate: Candidate, error: BaseException) -> tuple[str, int | None]:
    """Return the innermost line of the plugin itself that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_in(candidate.source, frame.filename)
    ]
    return frames[-1] if frames else (candidate.place, None)


def _is_in(source: Path | EntryPoint, filename: str) -> bool:
    if isinstance(source, EntryPoint):
        return filename != __file__ and not filename.startswith("<") and not _is_importlib(filename)
    return Path(filename).is_relative_to(source.parent if _is_package(source) else source)


def _is_importlib(filename: str) -> bool:
    return "importlib" in Path(filename).parts


def _is_package(file: Path) -> bool:
    return file.name == "__init__.py"
