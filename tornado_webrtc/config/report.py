"""Collects what is wrong or doubtful, with the place of each."""

from __future__ import annotations

from tornado_webrtc.errors import ConfigError, Problem

from .environment import Variable
from .scanner import Key
from .source import Source

__all__ = ["Report"]

_IN_ENVIRONMENT = (1, 0)
_AFTER_ALL = (2, 0)

_Entry = tuple[tuple[int, int], Problem]


class Report:
    """Problems and warnings about a source, each with the place where to look."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems: list[_Entry] = [
            ((0, fault.line), Problem(source.where_line(fault), fault.message, fault.hint))
            for fault in source.faults
        ]
        self._problems += [(_IN_ENVIRONMENT, problem) for problem in source.variable_problems]
        self._warnings: list[_Entry] = [
            (_IN_ENVIRONMENT, doubt) for doubt in source.variable_doubts
        ]
        self._wrong: set[Key] = set()

    def problem(self, key: Key, message: str, hint: str = "") -> None:
        """Note that a key, or what it leads to, cannot be used."""
        self._wrong.add(key)
        where = self._source.where(key)
        self._problems.append((self._source.order(key), Problem(where, message, hint)))

    def warn(self, key: Key, message: str, hint: str = "") -> None:
        """Note that a key can be used but may not do what was meant."""
        where = self._source.where(key)
        self._warnings.append((self._source.order(key), Problem(where, message, hint)))

    def unknown_variable(self, variable: Variable, message: str, hint: str) -> None:
        """Note that a variable sets something in a section that is not known."""
        problem = Problem(f"environment {variable.name}", message, hint)
        self._problems.append((_IN_ENVIRONMENT, problem))

    def add(self, problem: Problem) -> None:
        """Note a problem that was found elsewhere; it is listed after all others."""
        self._problems.append((_AFTER_ALL, problem))

    def is_wrong(self, *key: str) -> bool:
        """Tell whether there is a problem with a key already."""
        return key in self._wrong

    def warnings(self) -> tuple[Problem, ...]:
        """Return the warnings in file order, those about single values included."""
        remarks = [
            (self._source.order(key), Problem(self._source.where(key), remark))
            for key, remark in self._source.remarks.items()
            if key not in self._wrong and key not in self._source.set_by
        ]
        return _in_order([*self._warnings, *remarks])

    def raise_problems(self) -> None:
        """End here if there is any problem.

        Raises:
            ConfigError: With all problems, in file order.
        """
        if self._problems:
            raise ConfigError(_in_order(self._problems))


def _in_order(entries: list[_Entry]) -> tuple[Problem, ...]:
    return tuple(problem for _, problem in sorted(entries, key=lambda entry: entry[0]))
