"""`doctor` as a person runs it, with a server in a process of its own, and without one."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.quietport import quiet_port
from tests.service import Served
from tornado_webrtc.cli import main
from tornado_webrtc.scaffold import make_folder

HOST = "127.0.0.1"


def doctor(*arguments: object, conf: object = None, text: str | bytes = "") -> Result:
    env = {"TORNADO_WEBRTC_CONF": str(conf) if conf else None}
    result = CliRunner().invoke(main, ["doctor", *map(str, arguments)], env=env, input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A server's folder, with a port that is free."""
    made = make_folder(tmp_path / "server", port=quiet_port(), bind=[HOST])
    text = made.conf.read_text()
    for key, value in (("port", "0"), ("port_tcp", "0"), ("public_ip", HOST), ("bind", f"{HOST},")):
        section = text.index("[turn]")
        head, tail = text[:section], text[section:]
        lines = tail.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith((f"#{key} =", f"{key} =")))
        lines[at] = f"{key} = {value}"
        text = head + "\n".join(lines) + "\n"
    made.conf.write_text(text)
    return made.conf


def test_running_server_is_well(tmp_path: Path, conf: Path) -> None:
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        result = doctor("--conf", conf)
        assert result.exit_code == 0, result.output
        for line in (
            "ok      http ",
            "ok      signaling ",
            "ok      turn udp ",
            "ok      turn tcp ",
        ):
            assert line in result.stdout
        assert "\nno problems, " in result.stdout
        secret = (conf.parent / "secret").read_text().strip()
        assert secret not in result.output
        shown = json.loads(doctor(f"https://{HOST}:{served.port()}/", "--json").stdout)
    assert shown["level"] == "warning"
    by_subject = {each["subject"]: each for each in shown["findings"]}
    assert by_subject["turn udp"]["relayed_rtt_ms"] > 0
    assert "python" not in by_subject


def test_server_that_is_down(conf: Path) -> None:
    began = time.monotonic()
    result = doctor("--conf", conf, "--timeout", "2")
    assert time.monotonic() - began < 30
    assert result.exit_code == 1
    assert "problem http           nothing listens at https://localhost:" in result.stdout
    text = " ".join(result.stdout.split())
    assert f"start the server: tornado-webrtc --conf {conf}" in text
    assert "ok      configuration" in result.stdout
    assert "skipped turn" in result.stdout


def test_server_elsewhere_is_not_that_of_the_environment(tmp_path: Path, conf: Path) -> None:
    url = f"http://{HOST}:{quiet_port()}/"
    elsewhere = doctor(url, conf=conf)
    assert elsewhere.exit_code == 1
    assert elsewhere.stdout.startswith(f"problem http           nothing listens at {url}")
    assert "start the server" not in elsewhere.stdout
    assert "ok      configuration" in doctor(url, "--conf", conf).stdout


def test_server_that_nobody_can_find(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nport = 0\n")
    result = doctor("--conf", conf)
    assert result.exit_code == 0
    assert "warning http           where the server listens cannot be known" in result.stdout


def test_turn_that_is_kept_from_the_examination(tmp_path: Path, conf: Path) -> None:
    text = conf.read_text().replace("#api_access = open", "api_access = auth")
    conf.write_text(text.replace("\nport = 0\n", f"\nport = {quiet_port()}\n"))
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        elsewhere = doctor(f"https://{HOST}:{served.port()}/", conf=conf)
        here = doctor(conf=conf)
    assert (elsewhere.exit_code, here.exit_code) == (1, 0)
    assert "problem credentials    /api/turn refuses: " in elsewhere.stdout
    assert "made one with the configured secret" in " ".join(here.stdout.split())


ROOMS = "[rooms]\nfile = rooms\nlobby = no\n"


def test_server_that_wants_a_room(
    tmp_path: Path, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf.write_text(f"{conf.read_text()}\n{ROOMS}")
    words = "\ufeffsesame\r\nmore\n"  # as some editors write it
    for name, text in (("rooms", "standup\nvault password=sesame\n"), ("word", words)):
        (conf.parent / name).write_text(text)
        (conf.parent / name).chmod(0o600)
    vault = ["--conf", conf, "--room", "vault"]
    word = ["--room-password-file", conf.parent / "word"]
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        lobby = doctor("--conf", conf)
        standup = doctor("--conf", conf, "--room", "standup")
        locked = doctor(*vault)
        from_file = doctor(*vault, *word)
        from_stdin = doctor(*vault, "--room-password-file", "-", text=words)
        wrong = doctor(*vault, "--room-password-file", "-", text="other\n")
        monkeypatch.setenv("TORNADO_WEBRTC_ROOM_PASSWORD", "sesame")
        from_environment = doctor(*vault)
        not_for_the_lobby = doctor("--conf", conf)
    for result in (standup, from_file, from_stdin, from_environment):
        assert result.exit_code == 0, result.output
        assert "ok      signaling" in result.stdout
    for result in (lobby, locked, not_for_the_lobby):
        assert result.exit_code == 0, result.output
        assert "warning signaling" in result.stdout
    assert "(room-needed)" in lobby.stdout
    assert wrong.exit_code == 1
    assert "problem signaling" in wrong.stdout
    assert "ok      password       sent: the certificate is the configured one" in wrong.stdout
    assert "password       " not in not_for_the_lobby.stdout
    assert "sesame" not in "".join(each.output for each in (from_file, from_stdin, wrong))
    assert "sesame" not in served.log


@pytest.mark.parametrize(
    ("arguments", "text", "why"),
    [
        (["--room-password-file", "-"], "x\n", "name it with --room"),
        (["--room", "a", "--room-password-file", "-"], "\n", "the first line is empty"),
        (["--room", "a", "--room-password-file", "nowhere"], "", "cannot be read: No such file"),
        (["--room", "a", "--room-password-file", "bytes"], "", "cannot be read: it is not UTF-8"),
        (["--room", "a", "--room-password-file", "-"], b"\xff\n", "- cannot be read: it is not"),
    ],
)
def test_password_that_is_not_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    text: str | bytes,
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    result = doctor("turn:h", *arguments, text=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr


def test_wrong_configuration(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nport = many\n")
    result = doctor("--conf", conf)
    assert result.exit_code == 1
    assert "problem configuration" in result.stdout
    assert "skipped http" in result.stdout


def test_turn_server_alone() -> None:
    result = doctor(f"turn:{HOST}:{quiet_port()}", "--user", "a", "--password", "b")
    assert result.exit_code == 1
    assert result.stdout.startswith("problem turn udp")
    assert result.stdout.endswith("\n1 problem, no warnings, 0 ok\n")


def test_turn_server_alone_needs_a_user() -> None:
    result = doctor(f"turn:{HOST}:{quiet_port()}")
    assert result.exit_code == 1
    assert "there is no credential for it" in result.stdout
    assert "-> give --user and --password\n" in result.stdout


@pytest.mark.parametrize("asked", [[], ["--insecure"]])
def test_token_is_for_whom_can_be_trusted(tmp_path: Path, conf: Path, asked: list[str]) -> None:
    token = "token-of-a-good-length"
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        url = f"https://{HOST}:{served.port()}/"
        own = doctor("--conf", conf, "--token", token)
        other = doctor(url, "--token", token, *asked)
    assert "token          sent: the certificate is the configured one" in own.stdout
    assert ("token          not sent: the certificate" in other.stdout) is not bool(asked)
    assert ("token          sent, as --insecure asks" in other.stdout) is bool(asked)
    assert token not in own.output + other.output


@pytest.mark.parametrize("target", ["turn:h:0", "turn:" + "x" * 300, "x" * 300, "h:0"])
def test_place_that_nobody_can_have(target: str) -> None:
    result = doctor(target)
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr) < 200


def test_target_that_makes_no_sense() -> None:
    result = doctor("ftp://example.org")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is neither a URL" in result.stderr
    assert doctor("--timeout", "0").exit_code == 2
