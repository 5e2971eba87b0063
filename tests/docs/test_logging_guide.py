"""docs/logging.md: settings and events are all there, and its examples are valid lines."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tornado_webrtc.config import own_marks
from tornado_webrtc.config.specification import make_validator, parse_specification
from tornado_webrtc.hooks import TurnTraffic
from tornado_webrtc.hookspecs import KINDS
from tornado_webrtc.plugins.logging_json import SETTINGS
from tornado_webrtc.redaction import redact

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "logging.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (?:`(.*)`)? *\| (live|restart) \| .+ \|$", re.MULTILINE)


def test_every_setting_is_explained() -> None:
    spec, validator, mark = parse_specification(SETTINGS), make_validator(None), own_marks(SETTINGS)
    expected = []
    for name in spec.scalars:
        default = validator.get_default_value(spec[name])
        shown = ", ".join(default) if isinstance(default, tuple | list) else str(default or "")
        shown = str(default) if isinstance(default, bool) else shown
        expected.append((name, shown, mark((name,))))
    assert ROW.findall(GUIDE) == expected


def test_every_event_is_listed() -> None:
    listed = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", GUIDE, re.MULTILINE)
    events = {name for row in listed for name in re.findall(r"`(\w+)`", row)}
    assert set(KINDS["notify"]) <= events
    for field in fields(TurnTraffic):
        assert f"`{field.name}`" in GUIDE


@pytest.mark.parametrize(
    "line",
    [
        line
        for block in re.findall(r"```json\n(.*?)```", GUIDE, re.S)
        for line in block.splitlines()
    ],
)
def test_lines_are_valid(line: str) -> None:
    decoded: dict[str, Any] = json.loads(line)
    assert list(decoded)[:3] == ["time", "level", "logger"]
    assert redact(line) == line
