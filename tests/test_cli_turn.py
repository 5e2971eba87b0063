"""What `check` and `credentials` say about TURN."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commandline import NO_PORT, run


@pytest.fixture
def turned(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration of TURN."""

    def write(text: str) -> Path:
        conf = tmp_path / "turn.ini"
        conf.write_text(f"[general]\nbind = 127.0.0.1,\n[turn]\n{text}\n")
        return conf

    return write


def test_check_refuses_a_name_that_nobody_knows(turned: Callable[[str], Path]) -> None:
    conf = turned("public_ip = turn.invalid")
    result = run("check", conf)
    assert (result.exit_code, result.stdout) == (78, "")
    assert f"{conf}, line 4, turn.public_ip: turn.invalid cannot be looked up" in result.stderr


@pytest.mark.parametrize(
    ("text", "warning", "told"),
    [
        ("public_ip = 8.8.8.8/192.0.2.99", "line 4, turn.public_ip: 192.0.2.99 is no ", "8.8.8.8"),
        (
            "bind = 127.0.0.1\npublic_ip = 8.8.8.8/127.0.0.2",
            "line 4, turn.bind: clients are told 8.8.8.8, but nothing listens on 127.0.0.2",
            "8.8.8.8",
        ),
        (
            "bind = ::1\npublic_ip = 8.8.8.8/127.0.0.1",
            "line 4, turn.bind: clients are not told 8.8.8.8",
            "no ICE server (see above)",
        ),
        ("public_ip = 127.0.0.1", "line 4, turn.public_ip: clients are told to", "127.0.0.1"),
    ],
)
def test_check_warns_once_of_each_address(
    turned: Callable[[str], Path], text: str, warning: str, told: str
) -> None:
    conf = turned(text)
    result = run("check", conf)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {conf}, {warning}")
    assert result.stderr.count("warning: ") == 1
    assert told in result.stdout.splitlines()[-1]


# --- credentials ----------------------------------------------------------------------


def test_credentials_say_where_to_use_them(turned: Callable[[str], Path]) -> None:
    conf = turned("public_ip = 8.8.8.8/127.0.0.1\nsecret = 0123456789abcdef")
    result = run("credentials", "--conf", conf, "alice")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.search(
        r"^username  \d+:alice\npassword  \S+\nvalid for 86400 s$", result.stdout, re.M
    )
    assert "\nserver    turn:8.8.8.8:19302?transport=udp\n" in result.stdout


def test_credentials_without_a_configuration_name_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: Callable[[str], Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    made, again = run("credentials", "alice"), run("credentials", "alice")
    assert made.stderr.startswith("the secret is that of state/secret, which was made just now\n")
    assert again.stderr.startswith("the secret is that of state/secret\n")
    assert all("with --conf." in result.stderr for result in (made, again))
    conf = turned("public_ip = 8.8.8.8/127.0.0.1")
    assert run("credentials", "--conf", conf, "alice").stderr == ""
    (tmp_path / "state" / "secret").unlink()
    told = f"the secret is that of {tmp_path}/state/secret, which was made just now\n"
    assert run("credentials", "--conf", conf, "alice").stderr == told


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("port = 0\nport_tcp =", NO_PORT),
        ("[plugins]\ndisabled = turn", "no plugin that runs has one, and turn.uris names none"),
        ("bind = ::1\npublic_ip = 8.8.8.8/127.0.0.1", "`tornado-webrtc check` says why"),
    ],
)
def test_credentials_without_a_server_say_so(
    turned: Callable[[str], Path], text: str, reason: str, options: list[str]
) -> None:
    conf = turned(f"secret = 0123456789abcdef\n{text}")
    result = run("credentials", *options, "--conf", conf, "alice")
    assert result.exit_code == 0
    assert result.stderr == f"clients are told of no server to use it with: {reason}\n"
    assert "alice" in result.stdout or options
