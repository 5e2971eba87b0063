"""Rules in order: the first that fits, the default, the file, what is wrong with it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tornado_webrtc.config import Config
from tornado_webrtc.isolation import BLOCKED_S
from tornado_webrtc.plugins.routing_rules.rule import Party
from tornado_webrtc.plugins.routing_rules.rule_list import (
    MAX_FILE_BYTES,
    MAX_RULES,
    BadRulesError,
    RuleList,
)

ROUNDS = 5

FILE = """\ufeff# Who may call whom.
; support calls back

deny   * -> support-*   # not even each other\r
allow support-* -> *
"""


def read(folder: Path, *rules: str, file: str = "", default: str = "allow") -> RuleList:
    settings = {"rules": rules, "file": file, "default": default, "reason": "no"}
    return RuleList.read(settings, Config(path=folder / "server.ini"))


def decided(rules: RuleList, caller: str, callee: str) -> str:
    return str(rules.decide(Party(caller), Party(callee)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").write_text(FILE)
    return tmp_path


def test_first_rule_decides(folder: Path) -> None:
    rules = read(folder, "allow boss -> *", file="rules", default="deny")
    place = f"{folder}/rules, line"
    assert decided(rules, "boss", "support-1") == "allowed by rules, entry 1: allow boss -> *"
    denied = f"denied by {place} 4: deny * -> support-*"
    assert decided(rules, "support-2", "support-1") == denied
    assert decided(rules, "support-2", "a") == f"allowed by {place} 5: allow support-* -> *"
    assert decided(rules, "a", "b") == "denied by default: no rule fits"


@pytest.mark.parametrize(("default", "allowed"), [("allow", True), ("deny", False)])
def test_default(tmp_path: Path, default: str, allowed: bool) -> None:
    decision = read(tmp_path, default=default).decide(Party("a"), Party("b"))
    assert (decision.allowed, decision.rule) == (allowed, None)
    assert str(decision).endswith("by default: no rule fits")


def test_decision_depends_on_everything_that_rules_look_at(tmp_path: Path) -> None:
    rules = read(tmp_path, "deny user:eve -> *", "deny room:red -> *", "deny ip:192.0.2.1 -> *")
    parties = [Party("a"), Party("a", user="eve"), Party("a", "red"), Party("a", ip="192.0.2.1")]
    for _ in range(2):
        assert [rules.decide(each, Party("b")).allowed for each in parties] == [True, *[False] * 3]


def test_as_many_rules_as_are_allowed(tmp_path: Path) -> None:
    lines = [f"deny caller-{n}-* user:u{n} -> callee-{n}" for n in range(MAX_RULES)]
    (tmp_path / "rules").write_text("\n".join(lines))
    rules = read(tmp_path, file="rules")
    assert len(rules.rules) == MAX_RULES
    last = MAX_RULES - 1
    decision = rules.decide(Party(f"caller-{last}-x", user=f"u{last}"), Party(f"callee-{last}"))
    assert decision.rule is rules.rules[-1]
    with pytest.raises(BadRulesError, match=f"there are {MAX_RULES + 1} rules, at most"):
        read(tmp_path, "allow a -> b", file="rules")


def cost_s(step: Callable[[int], object]) -> float:
    """CPU seconds of a step at its best: others use the processor, too, and its caches."""
    costs = []
    for number in range(ROUNDS):
        since = time.thread_time()
        step(number)
        costs.append(time.thread_time() - since)
    return min(costs)


def test_the_longest_list_holds_nobody_up(tmp_path: Path) -> None:
    """Neither a reload, which follows `check`, nor a call that nobody has made before."""
    costly = "deny a?b[c]{0} room:r* user:*x{0} ip:10.0.0.0/8 -> e?f[g]{0} user:u?{0}"
    (tmp_path / "rules").write_text("\n".join(costly.format(n) for n in range(MAX_RULES)))
    rules = read(tmp_path, file="rules")
    assert cost_s(lambda _: read(tmp_path, file="rules")) < BLOCKED_S
    strangers = [Party(f"eve-{number}", user="eve") for number in range(ROUNDS)]
    assert cost_s(lambda number: rules.decide(strangers[number], Party("ann"))) < BLOCKED_S / 20
    assert rules.decide(strangers[0], Party("ann")).rule is None


def test_faults_of_the_section(tmp_path: Path) -> None:
    with pytest.raises(BadRulesError) as raised:
        read(tmp_path, "allow a -> b", "allow a", "deny b")
    assert raised.value.key == "rules"
    assert str(raised.value).startswith("rules, entry 2: one ->")
    assert "; rules, entry 3: one ->" in str(raised.value)


def test_faults_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("# x\nallow a -> b\npermit\n")
    with pytest.raises(BadRulesError) as raised:
        read(tmp_path, file="rules")
    assert raised.value.key == "file"
    assert str(raised.value).startswith(f"{tmp_path}/rules, line 3: it begins with 'permit'")


def test_many_faults(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("x\n" * 1000)
    with pytest.raises(BadRulesError, match=r"line 20: .*; 980 more faults$"):
        read(tmp_path, file="rules")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff")
    (tmp_path / "long").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    for name, fault in (
        ("nowhere", "cannot be read: No such file"),
        ("pipe", "cannot be read: it is no regular file"),
        ("bytes", r"is not UTF-8 \(byte 0\)"),
        ("long", "cannot be read: it has more than 262144 bytes"),
    ):
        with pytest.raises(BadRulesError, match=f"/{name} {fault}"):
            read(tmp_path, file=name)


@pytest.mark.parametrize(
    ("rules", "default", "doubts"),
    [
        ([], "allow", ["there are no rules: everything is allowed"]),
        ([], "deny", ["there are no rules: nobody can call anybody"]),
        (["deny a -> b"], "allow", []),
        (["deny a -> b", "allow * -> *"], "allow", []),
        (
            ["allow * -> *", "deny a -> b", "deny * -> *", "deny c -> d"],
            "allow",
            ["rules, entry 1, fits every call: no rule behind it ever decides"],
        ),
    ],
)
def test_doubts(tmp_path: Path, rules: list[str], default: str, doubts: list[str]) -> None:
    assert list(read(tmp_path, *rules, default=default).doubts()) == doubts


@pytest.mark.parametrize("text", ["", "# allow a -> b\n"])
def test_file_without_rules_is_no_file(tmp_path: Path, text: str) -> None:
    """One that was written half must not allow what it had denied."""
    (tmp_path / "rules").write_text(text)
    with pytest.raises(BadRulesError, match="rules holds no rule; leave the key out") as raised:
        read(tmp_path, "deny a -> b", file="rules")
    assert raised.value.key == "file"
