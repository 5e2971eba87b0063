"""docs/logging.md: settings and events are all there, and its examples are valid lines."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite
from tests.wire import call, until
from tornado_webrtc.hooks import TurnTraffic
from tornado_webrtc.hookspecs import KINDS
from tornado_webrtc.implementation import implemented
from tornado_webrtc.logwriter import CLOSE_S, MAX_WAITING_BYTES, REPORT_S
from tornado_webrtc.plugins import logging_json
from tornado_webrtc.plugins.logging_json.line import MAX_LINE_BYTES
from tornado_webrtc.redaction import redact
from tornado_webrtc.web.application import MAX_LOGGED_METHOD, MAX_LOGGED_PATH
from tornado_webrtc.web.refusal import BURST, INTERVAL_S

__all__ = ["site"]

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "logging.md").read_text()


async def test_line_of_a_call_has_the_fields_that_are_shown(site: PluginSite) -> None:
    await site.start("[logging_json]\nfile = log.json\n")
    alice, bob = await site.join("alice"), await site.join("bob")
    await call(alice, bob)
    await alice.send("bye", {"session_id": "alice-bob", "from": "alice"})
    await until(lambda: '"session_ended"' in (site.folder / "log.json").read_text())
    (shown,) = re.findall(r'^\{.*"event":"session_ended".*\}$', GUIDE, re.MULTILINE)
    (written,) = (
        line
        for line in (site.folder / "log.json").read_text().splitlines()
        if '"session_ended"' in line
    )
    assert list(json.loads(shown)) == list(json.loads(written))


def test_numbers() -> None:
    for sentence in (
        f"Up to {MAX_WAITING_BYTES >> 20} MB wait",
        f"slow that {MAX_WAITING_BYTES >> 20} MB wait",
        f"No line is longer than {MAX_LINE_BYTES >> 10} kB",
        f"a path that is longer than {MAX_LOGGED_PATH} characters",
        f"a method longer than {MAX_LOGGED_METHOD},",
    ):
        assert sentence in GUIDE, sentence
    assert "waits no longer than four seconds" in GUIDE
    assert 2 * CLOSE_S == 4, "the console is flushed, then closed"
    assert "the first ten are logged, then ten a minute at most" in GUIDE
    assert (BURST, 60 / INTERVAL_S) == (10, 10)
    assert "then at most once a minute" in GUIDE
    assert REPORT_S == 60


def test_every_event_is_listed() -> None:
    listed = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", GUIDE, re.MULTILINE)
    events = {name for row in listed for name in re.findall(r"`(\w+)`", row)}
    told = set(KINDS["notify"]) & set(implemented(logging_json))
    assert told >= {"peer_joined", "session_ended", "channel_bound", "server_draining"}
    assert told <= events
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
