"""Checks one section: its shape first, then every value against its specification."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from configobj import ConfigObj
from configobj.validate import VdtParamError, VdtUnknownCheckError

from .checks import CheckError, Value, nearest
from .environment import variable_name
from .report import Report
from .scanner import Key
from .source import Source
from .specification import CORE, MANY, core_specification

__all__ = ["BrokenSpecificationError", "SectionCheck"]

_CHECK_NAME = re.compile(r"\w*")
_SECRET_NAME = re.compile(r"secret|password|passphrase|token|dsn|credential", re.IGNORECASE)
_ANY_TEXT = ("", "force_list", "pass", "string")
_SHOWN_LENGTH = 80
_NEVER_NAMES = (*MANY, "DEFAULT")  # ConfigObj would leave these unchecked


class BrokenSpecificationError(Exception):
    """A specification names an unknown check, or one that its own default does not pass."""


@dataclass(frozen=True, slots=True)
class SectionCheck:
    """A section on its way from what was written to values.

    Attributes:
        name: The section.
        spec: Its specification.
        source: What was written.
        report: Takes the problems.
        validator: Knows the checks that the specification names.
    """

    name: str
    spec: Any
    source: Source
    report: Report
    validator: Any

    def run(self) -> dict[str, Any]:
        """Check the section.

        Returns:
            Every key of the specification, converted; where something is wrong, its default.

        Raises:
            BrokenSpecificationError: If the specification itself is at fault.
        """
        written = self.source.values(self.name, self.spec)
        self._check_shape(written, self.spec, (self.name,))
        values = ConfigObj(written, interpolation=False)
        values.configspec = self.spec
        try:
            result = values.validate(self.validator, preserve_errors=True)
        except (TypeError, ValueError) as error:
            raise BrokenSpecificationError(str(error)) from error
        if isinstance(result, dict):
            self._check_result(result, values, written, (self.name,))
        return _plain(values)

    def _check_shape(self, table: dict[str, Any], spec: Any, key: Key) -> None:
        """Take out what `validate` cannot judge: unknown names, sections for keys, keys for them.

        A sub-section where a key is expected would make `validate` raise AttributeError.
        """
        for name, value in list(table.items()):
            here = (*key, name)
            if problem := _misplaced(name, value, spec):
                del table[name]
                hint = self._hint(here, spec, is_section=isinstance(value, dict))
                self.report.problem(here, problem, hint)
            elif isinstance(value, dict):
                self._check_shape(value, _below(spec, name), here)

    def _hint(self, key: Key, spec: Any, *, is_section: bool) -> str:
        *outer, name = key
        if name in _known(spec):
            return ""
        elsewhere = None if is_section else _section_of(name)
        close = nearest(name, _known(spec))
        if elsewhere and (outer[0] in CORE or not close):
            return f"It belongs in [{elsewhere}]."
        if close:
            variable = variable_name((*outer, close))
            return f"Did you mean {variable if key in self.source.set_by else close}?"
        return f"Known here: {', '.join(_known(spec)) or 'nothing'}."

    def _check_result(
        self, result: Mapping[str, Any], values: Any, written: Mapping[str, Any], key: Key
    ) -> None:
        spec = values.configspec
        for name, outcome in result.items():
            here = (*key, name)
            if isinstance(outcome, dict):
                self._check_result(outcome, values[name], written.get(name, {}), here)
            elif outcome is False:
                kind = "section" if name in values.sections else "key"
                self.report.problem(here, f"this {kind} is missing; it has no default")
            elif isinstance(outcome, Exception):
                check = str(spec.get(name) or _many(spec))
                self._explain(here, check, written.get(name), outcome)
                if name in values.default_values:
                    values[name] = values.default_values[name]

    def _explain(self, key: Key, check: str, value: Value | None, error: Exception) -> None:
        if value is None or isinstance(error, VdtParamError | VdtUnknownCheckError):
            raise BrokenSpecificationError(f"{key[-1]} = {check}: {error}")
        hidden = _is_secret(key[-1], check)
        cause = error.__cause__
        if isinstance(cause, CheckError):
            found = "a value that is not shown here" if hidden else _shown(cause.found or value)
            message, hint = f"found {found}; allowed is {cause.allowed}", cause.hint
        else:
            message, hint = "this value is not allowed" if hidden else str(error), ""
        self.report.problem(key, message, hint or self.source.remark(key))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ConfigObj's sections into dictionaries; its own `dict()` would rebuild tuples."""
    return {
        name: _plain(value) if isinstance(value, dict) else value for name, value in values.items()
    }


def _misplaced(name: str, value: object, spec: Any) -> str:
    """Say what is wrong with the place of a name; empty if nothing is."""
    is_section = isinstance(value, dict)
    if name in _NEVER_NAMES:
        return "this name cannot be used"
    if name in spec.scalars:
        return f"this is a section; a key is expected: {name} = ..." if is_section else ""
    if name in spec.sections:
        return "" if is_section else f"this is a key; a section is expected: [[{name}]]"
    is_allowed = _below(spec, name) is not None if is_section else bool(_many(spec))
    return "" if is_allowed else f"this {'section' if is_section else 'key'} is not known"


def _section_of(name: str) -> str | None:
    """Return the core's section that has a key of this name; None if there is none."""
    return next((each for each in CORE if name in core_specification()[each].scalars), None)


def _below(spec: Any, name: str) -> Any:
    """Return the specification of a sub-section; None if there is none."""
    found = spec.get(name, spec.get(MANY[0]))
    return found if isinstance(found, dict) else None


def _many(spec: Any) -> str:
    """Return the check of keys with any name; empty if there is none."""
    return next((spec[name] for name in MANY if name in spec.scalars), "")


def _known(spec: Any) -> Iterator[str]:
    return (name for name in spec if name not in MANY)


def _is_secret(name: str, check: str) -> bool:
    match = _CHECK_NAME.match(check)
    kind = match[0] if match else ""
    return kind.startswith("secret") or (kind in _ANY_TEXT and bool(_SECRET_NAME.search(name)))


def _shown(value: Value) -> str:
    """Quote a value for a message; only for values that are no secret."""
    if not value:
        return "nothing"
    text = value if isinstance(value, str) else ", ".join(value)
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}...")
