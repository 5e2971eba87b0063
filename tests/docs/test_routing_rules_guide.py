"""docs/routing-rules.md: its configurations, rules and commands do what the page says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite, seen
from tests.wire import call
from tornado_webrtc.config import Config
from tornado_webrtc.plugins.routing_rules.rule import Party, Rule
from tornado_webrtc.plugins.routing_rules.rule_list import MAX_FILE_BYTES, MAX_RULES, RuleList

__all__ = ["site"]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "routing-rules.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


FIRST, SECOND = blocks("ini")
(FILE,) = blocks("text")
COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tornado_webrtc", *shlex.split(line)[1:]]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=50, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


async def test_first_configuration(site: PluginSite) -> None:
    await site.start(FIRST)
    ann, ben = await site.join("ann"), await site.join("ben")
    support = await site.join("support-1")
    await seen(ann, "ann", "ben", "support-1")
    await seen(ben, "ann", "ben", "support-1")
    await call(support, ann)
    await call(ann, ben)
    await ben.send("offer", {"to": "support-1", "session_id": "ben-support-1"})
    answers = await ben.settled()
    assert [each["type"] for each in answers] == ["error", "bye"]
    assert answers[0]["data"]["code"] == "call-not-allowed"
    assert await support.settled() == []


async def test_second_configuration(site: PluginSite) -> None:
    await site.start(SECOND, rules=FILE)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    await ann.send("offer", {"to": "support-1", "session_id": "x"})
    assert (await ann.settled())[0]["data"]["reason"] == "This desk calls you."
    await call(support, ann)


@pytest.mark.parametrize(
    ("caller", "callee", "allowed"),
    [
        (Party("support-1"), Party("x"), True),
        (Party("x", user="alice@example.org"), Party("y"), True),
        (Party("desk-1", "sales"), Party("customer-9", "sales"), True),
        (Party("desk-1", "tech"), Party("customer-9", "tech"), False),
        (Party("x", ip="10.1.2.3"), Party("y", ip="10.3.2.1"), True),
        (Party("x", ip="10.1.2.3"), Party("y", ip="192.0.2.1"), False),
    ],
)
def test_rules_of_the_file(tmp_path: Path, caller: Party, callee: Party, allowed: bool) -> None:
    (tmp_path / "rules").write_text(FILE)
    settings = {"rules": (), "file": "rules", "default": "deny"}
    rules = RuleList.read(settings, Config(path=tmp_path / "server.ini"))
    assert rules.decide(caller, callee).allowed is allowed
    assert list(rules.doubts()) == []


def test_commands(site: PluginSite) -> None:
    check, denied, allowed = COMMANDS
    site.write(FIRST)
    assert "no problems, 0 warnings" in run(check, site.folder).stdout
    result = run(denied, site.folder)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == "denied by rules, entry 2: deny * -> support-*\n"
    site.write(SECOND, rules=FILE)
    result = run(allowed, site.folder)
    assert result.returncode == 0
    assert result.stdout.endswith("line 3: allow user:alice@* -> *\n")
    shown = run(f"{denied} --help", site.folder).stdout
    assert {*re.findall(r"`(--callee-[a-z]+)`", GUIDE)} == {"--callee-user", "--callee-ip"}
    assert {*re.findall(r"--callee-[a-z]+", shown)} == {"--callee-user", "--callee-ip"}


def test_conditions_of_the_table() -> None:
    rows = re.findall(r"^\| (`\S+`(?:, or `\S+`)?) \| \S", GUIDE, re.MULTILINE)
    written = [each for row in rows for each in re.findall(r"`(\S+)`", row)]
    kinds = {each.partition(":")[0] for each in written if ":" in each}
    assert kinds == {"id", "user", "room", "scope", "ip"}
    for each in written:
        if not re.fullmatch(r"[a-z]+", each):  # a key of the section
            Rule.parse(f"deny {each} -> {each}", "the page")


def test_numbers() -> None:
    limits = f"{MAX_RULES:,} rules, in a file of at most {MAX_FILE_BYTES >> 10} kB"
    assert limits in FLAT
