"""A plugin's section as the server hands it over, and what the plugin finds in it."""

from collections.abc import Iterable
from typing import Any

from tornado_webrtc.config.specification import (
    Mark,
    make_validator,
    own_marks,
    parse_specification,
)
from tornado_webrtc.hooks import Doubt


def section(specification: str, **written: Any) -> dict[str, Any]:
    """What the server makes of what is written; the rest are defaults."""
    spec, validator = parse_specification(specification), make_validator(None)
    return {
        name: validator.check(spec[name], written.get(name), missing=name not in written)
        for name in spec.scalars
    }


def marks(specification: str) -> set[Mark]:
    """Whether keys are live or need a restart."""
    mark = own_marks(specification)
    return {mark((name,)) for name in parse_specification(specification).scalars}


def said(findings: Iterable[tuple[str, str]]) -> list[tuple[str, bool, str]]:
    """Findings as key, whether it is only doubtful, and text."""
    return [(key, isinstance(text, Doubt), text) for key, text in findings]
