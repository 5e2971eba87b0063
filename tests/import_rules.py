"""Who may import whom: the table, and a checker that reads a source tree.

A group is a module or package directly in `tornado_webrtc` ("" is the package
itself); each plugin is a group of its own. Whatever is not allowed here is a
violation, and so is a module that belongs to no group.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "tornado_webrtc"
NAMESPACE = f"{PACKAGE}.plugins"
PLUGIN = "plugins.*"

# What every part of the server may use, and the parts.
_BASIS = (
    *("", "errors", "paths", "clock", "config", "credential", "signaling"),
    *("request", "hooks", "hookspecs", "collection"),
)
_PARTS = (
    *("admin", "ban", "banfile", "bucket", "repeats", "state", "certificate", "listener", "web"),
    *("isolation", "implementation", "discovery", "pluginmanager"),
)

# What a group may import of this package at run time.
TABLE: dict[str, tuple[str, ...]] = {
    "": (),
    "errors": (),
    # Libraries: no socket, no clock, no randomness (relay: see below).
    "stun": ("errors",),
    "turn": ("stun", "errors"),
    "signaling": ("errors",),
    "relay": ("stun", "errors"),
    # What the parts stand on.
    "paths": ("errors",),
    "regularfile": (),
    "followedfile": ("regularfile",),
    "clock": (),
    "repeats": (),
    "loglevel": (),
    "config": ("paths", "regularfile", "errors"),
    "machine": ("config",),
    "credential": ("clock", "config", "errors"),
    "request": ("config", "credential", "listener", "signaling", "errors"),
    "isolation": ("errors", "repeats"),
    "collection": (),
    "hooks": (
        *("", "collection", "config", "credential", "isolation", "request", "signaling", "errors"),
    ),
    "figure": (),
    "turnspecs": ("", "hooks"),
    "hookspecs": (
        *("", "config", "credential", "hooks", "request", "signaling", "turnspecs", "errors"),
    ),
    # The parts.
    "ban": ("errors",),
    "banfile": ("ban", "state", "errors"),
    "bucket": ("clock", "errors"),
    "finding": (),
    "chain": ("errors", "finding"),
    "doubt": ("certificate", "chain", "config", "errors", "hooks", "machine", "regularfile"),
    "state": ("config", "paths", "regularfile", "errors"),
    "certificate": ("config", "machine", "paths", "regularfile", "state", "errors"),
    "listener": (*_BASIS, "bucket", "certificate", "repeats"),
    "web": (*_BASIS, "ban", "bucket", "listener", "repeats"),
    "admin": (*_BASIS, "ban", "implementation", "loglevel", "web"),
    "implementation": _BASIS,
    "discovery": (*_BASIS, "implementation", "plugins"),
    "pluginmanager": (*_BASIS, "implementation", "isolation", "discovery", "plugins"),
    "reload": (*_BASIS, "implementation", "pluginmanager", "regularfile"),
    "server": (*_BASIS, *_PARTS, "doubt", "figure", "loglevel", "regularfile", "reload"),
    # Around the server: what the command line needs.
    "redaction": (),
    "logwriter": (),
    "process": ("loglevel", "logwriter", "redaction"),
    "inventory": ("", "config", "discovery", "errors", "implementation", "pluginmanager"),
    "scaffold": ("certificate", "config", "paths", "state", "errors"),
    "skeleton": ("config", "discovery", "paths", "errors"),
    "inspection": (
        *("certificate", "config", "doubt", "errors", "hooks", "pluginmanager"),
        *("process", "reload", "server", "state", "web"),
    ),
    "doctor": (
        *("certificate", "chain", "clock", "config", "credential", "errors", "finding", "hooks"),
        *("inspection", "machine", "pluginmanager", "process", "server", "state", "stun"),
    ),
    "commands": (
        *("", "admin", "ban", "certificate", "chain", "config", "credential", "doctor"),
        *("errors", "finding"),
        *("collection", "hooks", "inspection", "inventory", "pluginmanager", "server"),
        *("skeleton", "state"),
    ),
    "cli": (
        *("", "certificate", "clock", "config", "credential", "pluginmanager", "server"),
        *("commands", "errors", "inspection", "process", "relay", "scaffold", "state"),
    ),
    "__main__": ("cli",),
    # The plugins' namespace, and any plugin.
    "plugins": ("paths",),
    PLUGIN: (
        *("", "web", "config", "errors", "hooks", "credential", "redaction", "repeats"),
        *("bucket", "followedfile", "logwriter", "machine", "regularfile"),
        *("stun", "turn", "signaling", "relay"),
    ),
}

# What it may import for annotations only, under `if TYPE_CHECKING:`.
_ANNOTATIONS = (*_BASIS, *_PARTS, "server")
ANNOTATIONS: dict[str, tuple[str, ...]] = dict.fromkeys(
    (
        *("request", "collection", "figure", "hooks", "turnspecs", "hookspecs", "server", "cli"),
        *(*_PARTS, PLUGIN),
    ),
    _ANNOTATIONS,
)

# The world outside: groups without I/O, clock and randomness, and the exceptions of one more.
_WORLD = ("asyncio", "tornado", "pluggy", "socket", "ssl", "time", "random", "secrets")
FORBIDDEN = dict.fromkeys(("stun", "turn", "signaling", "relay"), _WORLD)
EXCEPTIONS = {"relay": ("socket", "time", "tornado.ioloop")}

# Compiled modules are called _native...; only this group may import them.
NATIVE_PREFIX = "_native"
NATIVE_GROUP = "relay"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One import, or one module, that the table does not allow."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `base` is certainly a module, `base.name` perhaps."""

    line: int
    base: str
    name: str
    annotation: bool

    @property
    def target(self) -> str:
        return f"{self.base}.{self.name}" if self.name else self.base


class Imports(ast.NodeVisitor):
    """Collects the imports of one module, wherever in the file they stand."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.found: list[Import] = []
        self._package = module if is_package else module.rpartition(".")[0]
        self._annotation = False

    def visit_If(self, node: ast.If) -> None:
        outer = self._annotation
        self._annotation = outer or ast.unparse(node.test) in {
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        }
        for each in node.body:
            self.visit(each)
        self._annotation = outer
        for each in node.orelse:
            self.visit(each)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name, "")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
        for alias in node.names:
            self._add(node, base, "" if alias.name == "*" else alias.name)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func).rpartition(".")[2]
        if called in {"import_module", "__import__"} and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self._add(node, first.value, "")
        self.generic_visit(node)

    def _add(self, node: ast.stmt | ast.expr, base: str, name: str) -> None:
        self.found.append(Import(node.lineno, base, name, self._annotation))


class Tree:
    """A checkout: where its modules stand and which groups they belong to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def plugins(self) -> frozenset[str]:
        """Names of the plugins in `plugins/`, be they files or folders."""
        folder = self.root / "plugins"
        return frozenset(path.stem for path in folder.glob("*") if path.name != "__pycache__")

    def sources(self) -> Iterator[tuple[Path, str]]:
        """Yield the files that the table speaks of, with their module names."""
        for folder, prefix in ((PACKAGE, PACKAGE), ("plugins", NAMESPACE)):
            for path in sorted((self.root / folder).rglob("*.py")):
                parts = path.relative_to(self.root / folder).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                yield path, ".".join((prefix, *parts))

    def others(self) -> Iterator[tuple[Path, str]]:
        """Yield the files of which only the last paragraph of the rules speaks."""
        yield from ((path, path.stem) for path in sorted(self.root.glob("*.py")))
        for folder in ("tests", "bench", "docs"):
            yield from ((path, path.stem) for path in sorted((self.root / folder).rglob("*.py")))

    def group(self, module: str, name: str = "") -> str | None:
        """Return the group of `module.name`; of `module` when that is no module.

        Returns:
            A group's name, "plugins.NAME" for a plugin, None outside this package.
        """
        package, _, rest = module.partition(".")
        if package != PACKAGE:
            return None
        parts = [*rest.split("."), name] if rest else [name]
        if parts[0] != "plugins":
            known = rest or name in TABLE or self._is_module(name)
            return parts[0] if known else ""
        if len(parts) > 1 and parts[1] and (parts[1] in self.plugins or len(parts) > 2):
            return f"plugins.{parts[1]}"
        return "plugins"

    def _is_module(self, name: str) -> bool:
        path = self.root / PACKAGE / name
        return path.is_dir() or path.with_suffix(".py").is_file()


def check(root: Path) -> list[Violation]:
    """Check every Python file below a checkout's root against the rules.

    Returns:
        The violations, ordered by file and line; none means that all is well.
    """
    tree = Tree(root)
    found: list[Violation] = []
    for path, module in tree.sources():
        shown = path.relative_to(root).as_posix()
        importer = tree.group(module) or ""
        if _row(importer) not in TABLE:
            found.append(Violation(shown, 1, f"{module} belongs to no group of the table"))
            continue
        for each in _imports(path, module):
            found += [Violation(shown, each.line, why) for why in _reasons(tree, importer, each)]
    for path, module in tree.others():
        shown = path.relative_to(root).as_posix()
        for each in _imports(path, module):
            found += [Violation(shown, each.line, why) for why in _top_level(each)]
    return sorted(set(found))


def _imports(path: Path, module: str) -> list[Import]:
    visitor = Imports(module, path.name == "__init__.py")
    visitor.visit(ast.parse(path.read_bytes(), str(path)))
    return visitor.found


def _row(group: str) -> str:
    return PLUGIN if group.startswith("plugins.") else group


def _reasons(tree: Tree, importer: str, each: Import) -> Iterator[str]:
    yield from _top_level(each)
    yield from _outside(importer, each)
    imported = tree.group(each.base, each.name)
    if imported is None or imported == importer:
        return
    who, whom = _title(importer), _title(imported)
    if _row(imported) == PLUGIN:
        yield f"{who} imports {whom}: plugins are reached through hooks only"
        return
    allowed = TABLE[_row(importer)]
    if each.annotation:
        allowed += ANNOTATIONS.get(_row(importer), ())
    if imported not in allowed:
        names = ", ".join(sorted(map(_title, allowed))) or "nothing of this package"
        yield f"{who} imports {whom}: it may import {names}"


def _top_level(each: Import) -> Iterator[str]:
    if _within(each.target, ("plugins",)):
        yield f"{each.target} is imported by its top-level name: say {PACKAGE}.{each.target}"


def _outside(importer: str, each: Import) -> Iterator[str]:
    forbidden = FORBIDDEN.get(importer, ())
    exceptions = EXCEPTIONS.get(importer, ())
    if _within(each.target, forbidden) and not _within(each.target, exceptions):
        but = f", except {', '.join(exceptions)}" if exceptions else ""
        yield f"{importer} imports {each.target}: it has no {', '.join(forbidden)}{but}"
    native = any(part.startswith(NATIVE_PREFIX) for part in each.target.split("."))
    if native and importer != NATIVE_GROUP:
        yield f"{_title(importer)} imports {each.target}: native code is imported in relay only"


def _within(target: str, prefixes: tuple[str, ...]) -> bool:
    return any(target == prefix or target.startswith(f"{prefix}.") for prefix in prefixes)


def _title(group: str) -> str:
    return group or PACKAGE
