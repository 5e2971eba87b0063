"""`tornado-webrtc routing-rules test`: which rule decides, without a server."""

from pathlib import Path

import pytest
from click.testing import Result

from tests.commandline import run

CONF = """
[routing_rules]
rules = deny * -> support-*, deny user:eve@* -> *, allow room:desk -> *
file = rules
default = deny
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "server.ini").write_text(CONF)
    (tmp_path / "rules").write_text(
        "deny * -> ip:2001:db8::/32\nallow ip:192.0.2.0/24 -> user:bob\n"
    )
    return tmp_path / "server.ini"


def tried(conf: Path, *arguments: str) -> Result:
    return run("--conf", conf, "routing-rules", "test", *arguments)


@pytest.mark.parametrize(
    ("arguments", "allowed", "why"),
    [
        (("ann", "support-1"), False, "rules, entry 1: deny * -> support-*"),
        (("ann", "ben", "--room", "desk"), True, "rules, entry 3: allow room:desk -> *"),
        (("e", "ben", "--user", "eve@x", "--room", "desk"), False, "rules, entry 2: deny user:"),
        (("ann", "ben", "--callee-ip", "2001:db8::1"), False, "line 1: deny * -> ip:2001:db8::/32"),
        (("a", "b", "--ip", "192.0.2.1", "--callee-user", "bob"), True, "line 2: allow ip:"),
        (("ann", "ben"), False, "default: no rule fits"),
    ],
)
def test_decision(conf: Path, arguments: tuple[str, ...], allowed: bool, why: str) -> None:
    result = tried(conf, *arguments)
    assert (result.exit_code, result.stderr) == (0 if allowed else 1, "")
    assert result.stdout.startswith("allowed by " if allowed else "denied by ")
    assert why in result.stdout


def test_bad_rules(conf: Path) -> None:
    (conf.parent / "rules").write_text("# all\nallow everything\n")
    result = tried(conf, "a", "b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: routing_rules.file: ")
    assert "rules, line 2: one ->" in result.stderr


def test_only_with_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "server.ini").write_text("")
    assert tried(tmp_path / "server.ini", "a", "b").exit_code == 2
