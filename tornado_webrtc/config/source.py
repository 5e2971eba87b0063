"""What was written: the configuration file and the environment, read but not yet judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configobj import ConfigObj, ConfigObjError

from tornado_webrtc.errors import ConfigError, Problem
from tornado_webrtc.regularfile import read_regular_file

from .checks import Value
from .environment import Variable, merge, read_environment, unknown_variables
from .scanner import Fault, Key, Scan, scan

__all__ = ["Source"]

MAX_BYTES = 1048576
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_SAVE_HINT = "Save the file as UTF-8 text."
_NAME_HINT = "Check the name and the rights of the file."


@dataclass(slots=True)
class Source:
    """The text of a configuration, by section and key, and where each key stands.

    Attributes:
        path: The file; None if there is none.
        tree: The file's sections, as nested dictionaries of strings and lists.
        places: Line numbers in the file.
        faults: Lines of the file that cannot be used.
        remarks: Values that may not mean what they seem to.
        variables: What the environment sets.
        variable_problems: What is wrong with other variables of our prefix.
        variable_doubts: Variables that look like ours, and set nothing.
        set_by: The variable that set a key, for the keys of `values` so far.
    """

    path: Path | None = None
    tree: dict[str, Any] = field(default_factory=dict, repr=False)
    places: dict[Key, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    remarks: dict[Key, str] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()
    variable_problems: list[Problem] = field(default_factory=list)
    variable_doubts: list[Problem] = field(default_factory=list)
    set_by: dict[Key, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None, environ: Mapping[str, str]) -> Source:
        """Read a file and the environment.

        Args:
            path: The file, or None.
            environ: Names and values, such as ``os.environ``.

        Returns:
            All that can be used of them, and what is wrong with the rest.

        Raises:
            ConfigError: If the file cannot be read or is no text at all.
        """
        variables, problems = read_environment(environ)
        source = cls(path=path, variables=variables, variable_problems=problems)
        source.variable_doubts = unknown_variables(environ)
        if path is not None:
            found = scan(_read_text(path))
            source.tree = _tree(path, found)
            source.places, source.remarks = found.places, found.remarks
            source.faults = found.faults
        return source

    @property
    def sections(self) -> frozenset[str]:
        """The names of all sections, in the file or the environment."""
        return frozenset(self.tree) | {self._section_of(each) for each in self.variables}

    def values(self, section: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was written for a section; the environment wins over the file.

        Args:
            section: Its name.
            spec: Its specification, which knows how names are really written.

        Returns:
            Nested dictionaries of strings and lists of strings.
        """
        values = _copied(self.tree.get(section, {}))
        for key, name in merge(self.variables_of(section), values, spec).items():
            self.set_by[(section, *key)] = name
        return values

    def variables_of(self, section: str) -> tuple[Variable, ...]:
        """Return the variables that set something in a section."""
        return tuple(each for each in self.variables if self._section_of(each) == section)

    def text(self, key: Key) -> Value:
        """Return what was written for a key; empty if nothing was."""
        for variable in self.variables:
            if variable.name == self.set_by.get(key):
                return variable.value
        found: Any = self.tree
        for name in key:
            found = found.get(name, "") if isinstance(found, dict) else ""
        return "" if isinstance(found, dict) else found

    def where(self, key: Key) -> str:
        """Say where a section or key was written, or would have to be."""
        if key in self.set_by:
            return f"environment {self.set_by[key]}"
        place = [str(self.path)] if self.path else ["configuration"]
        if key in self.places:
            place.append(f"line {self.places[key]}")
        return ", ".join([*place, *_shown(key)])

    def written(self) -> dict[str, str]:
        """Say where each key stands that was written, by its ``section.key``."""
        return {".".join(key): self.where(key) for key in (*self.places, *self.set_by)}

    def where_line(self, fault: Fault) -> str:
        """Say where a line stands that cannot be used."""
        return ", ".join([str(self.path), f"line {fault.line}", *_shown(fault.key)])

    def remark(self, key: Key) -> str:
        """Return why a value may not mean what it seems to; empty if there is no doubt."""
        return "" if key in self.set_by else self.remarks.get(key, "")

    def order(self, key: Key) -> tuple[int, int]:
        """Return a sort key: the file by lines, then the environment."""
        if key in self.set_by:
            return (1, 0)
        nearest = next((key[:n] for n in range(len(key), 0, -1) if key[:n] in self.places), ())
        return (0, self.places.get(nearest, 0))

    def _section_of(self, variable: Variable) -> str:
        part = variable.parts[0]
        return next((name for name in self.tree if name.lower() == part), part)


def _shown(key: Key) -> tuple[str, ...]:
    """Write a key as ``section.key`` and a section as ``[section]``; nothing for no key."""
    if not key:
        return ()
    return (".".join(key) if len(key) > 1 else f"[{key[0]}]",)


def _read_text(path: Path) -> str:
    try:
        content = read_regular_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, f"cannot be read: {reason}", _NAME_HINT) from None
    if content.startswith(_UTF16_BOMS):
        raise _unreadable(path, "is UTF-16", _SAVE_HINT)
    content = content.removeprefix(_UTF8_BOM)
    for number, line in enumerate(content.splitlines(), 1):
        if b"\0" in line:
            raise _unreadable(path, "holds a NUL byte: this is no text", _SAVE_HINT, number)
        try:
            line.decode()
        except UnicodeDecodeError as error:
            byte = f"0x{line[error.start]:02x}"
            message = f"byte {error.start + 1} of this line ({byte}) is not UTF-8"
            raise _unreadable(path, message, _SAVE_HINT, number) from None
    return content.decode()


def _unreadable(path: Path, message: str, hint: str, line: int | None = None) -> ConfigError:
    where = f"{path}, line {line}" if line else str(path)
    return ConfigError([Problem(where, message, hint)])


def _tree(path: Path, found: Scan) -> dict[str, Any]:
    """Let ConfigObj read the lines; whatever it refuses the scanner should have found before."""
    try:
        tree: dict[str, Any] = ConfigObj(list(found.lines), interpolation=False).dict()
    except ConfigObjError as error:
        raise ConfigError(
            Problem(f"{path}, line {each.line_number}", "this line cannot be read")
            for each in getattr(error, "errors", [error])
        ) from None
    return tree


def _copied(table: Mapping[str, Any]) -> dict[str, Value | dict[str, Any]]:
    return {
        name: _copied(value) if isinstance(value, dict) else value for name, value in table.items()
    }
