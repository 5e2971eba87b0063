"""The command line: what it prints, how it exits, and that it serves until it is told to stop."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.commandline import NO_PORT, broken, greeter, run
from tests.service import DEADLINE_S, Served
from tornado_webrtc import __version__
from tornado_webrtc.certificate import CertificateStore, machine_names
from tornado_webrtc.cli import main
from tornado_webrtc.scaffold import Scaffold, make_folder

__all__ = ["broken", "greeter"]

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("turn_on_loopback")

SHIPPED = "plugins: logging_console, turn"
TOLD = f"clients are told to use: no ICE server ({NO_PORT})\n"


def set_line(conf: Path, before: str, after: str) -> None:
    text = conf.read_text()
    assert text.count(f"\n{before}\n") == 1
    conf.write_text(text.replace(f"\n{before}\n", f"\n{after}\n"))


@pytest.fixture
def made(tmp_path: Path) -> Scaffold:
    """A folder as `init` makes it, on a free port of this machine."""
    return make_folder(tmp_path / "server", port=0, bind=["127.0.0.1"])


# --- help -------------------------------------------------------------------------


def commands(
    group: click.Group = main, name: str = "tornado-webrtc"
) -> Iterator[tuple[str, click.Command]]:
    """Every command of the core that can be called, with its full name."""
    for verb, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {verb}")
        else:
            yield f"{name} {verb}", command


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command_and_every_exit_status(option: str) -> None:
    result = run(option)
    assert result.exit_code == 0
    for verb in main.commands:
        assert re.search(rf"^  {verb} +\w", result.output, re.MULTILINE)
    for status in ("0 stopped", "1 failed", "2 wrong usage", "78 wrong configuration"):
        assert status in result.output
    assert "--conf FILE" in result.output


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=str)
def test_command_explains_itself_its_options_and_where_to_read_on(
    name: str, command: click.Command
) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"
    result = run(*name.split()[1:], "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: {name} ")
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    assert any(name in document.read_text(encoding="utf-8") for document in documents)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str) -> None:
    result = run(option)
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"tornado-webrtc {re.escape(__version__)} \(Python 3\.\S+, Tornado \d\S+\)\n",
        result.output,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["--conf"],
        ["frobnicate"],
        ["init"],
        ["init", "a", "b"],
        ["init", "a", "--port", "65536"],
        ["cert", "frobnicate"],
        ["cert", "make", "only-one"],
        ["check", "a", "b"],
        ["check", "a", "--conf", "b"],
        ["--conf", "b", "check", "a"],
    ],
)
def test_wrong_usage_exits_2_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert list(tmp_path.iterdir()) == []


# --- init -------------------------------------------------------------------------


def test_init_makes_a_folder_and_says_what_is_next(tmp_path: Path) -> None:
    folder = tmp_path / "my-server"
    result = run("init", folder, "--domain", "rtc.example.org", "--port", 443, "--bind", "::1")
    assert (result.exit_code, result.stderr) == (0, "")
    for name in ("server.ini", "secret", "certs/cert.pem"):
        assert f"{folder / name}: " in result.stdout
    assert "rtc.example.org" in result.stdout
    assert result.stdout.endswith(f"Serve with: tornado-webrtc --conf {folder / 'server.ini'}\n")
    text = (folder / "server.ini").read_text()
    for line in ("domain = rtc.example.org", "port = 443", "bind = ::1,"):
        assert f"\n{line}\n" in text
    assert (folder / "secret").read_text().strip() not in result.output
    assert run("check", "--conf", folder / "server.ini").exit_code == 0


def test_init_without_tls(tmp_path: Path) -> None:
    result = run("init", tmp_path / "a", "--no-tls", "--bind", "127.0.0.1", "--bind", "::1")
    assert result.exit_code == 0
    assert "certificate" not in result.stdout
    assert "\nbind = 127.0.0.1, ::1\n" in (tmp_path / "a" / "server.ini").read_text()
    assert not (tmp_path / "a" / "certs").exists()


def test_init_never_overwrites(made: Scaffold) -> None:
    before = made.conf.read_bytes()
    result = run("init", made.conf.parent)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "server.ini, secret, cert.pem, key.pem already" in result.stderr
    assert "configuration" not in result.stderr
    assert made.conf.read_bytes() == before


def test_init_refuses_a_domain_in_the_words_of_check(tmp_path: Path) -> None:
    result = run("init", tmp_path / "a", "--domain", "https://x")
    assert (result.exit_code, result.stdout) == (78, "")
    words = "general.domain: found 'https://x'; allowed is a host name or an IP address"
    assert words in result.stderr
    assert not (tmp_path / "a").exists()
    (tmp_path / "server.ini").write_text("[general]\ndomain = https://x\n")
    assert words in run("check", tmp_path / "server.ini").stderr


# --- check ------------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False])
def test_check_takes_conf_before_or_after_itself(made: Scaffold, before: bool) -> None:
    conf = ["--conf", made.conf]
    result = run(*conf, "check") if before else run("check", *conf)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{made.conf}: no problems, 0 warnings; {SHIPPED}\n{TOLD}"


def test_check_takes_conf_from_the_environment(
    made: Scaffold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORNADO_WEBRTC_CONF", str(made.conf))
    assert run("check").stdout.startswith(f"{made.conf}: no problems")


def test_check_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNADO_WEBRTC__GENERAL__BIND", "127.0.0.1,")
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout.startswith("defaults and environment: no problems, ")


def test_check_names_the_plugins(greeter: Path) -> None:
    assert run("check", "--conf", greeter).stdout.endswith(f"{SHIPPED}, greeter\n{TOLD}")


def test_check_counts_and_explains_warnings(made: Scaffold) -> None:
    set_line(made.conf, "#html_root =", "html_root = nowhere")
    result = run("check", "--conf", made.conf)
    assert result.exit_code == 0
    assert result.stdout == f"{made.conf}: no problems, 1 warning; {SHIPPED}\n{TOLD}"
    assert re.match(rf"warning: {re.escape(str(made.conf))}, line \d+, ", result.stderr)
    assert "nowhere" in result.stderr


def test_check_lists_every_problem_at_once(broken: Path) -> None:
    result = run("check", "--conf", broken)
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.startswith("tornado-webrtc: 2 problems in the configuration:\n\n")
    assert f"{broken}, line 2, general.port: " in result.stderr
    assert "many" in result.stderr
    assert f"{broken}, line 3, [signalling]: " in result.stderr
    assert "Did you mean [signaling]?" in result.stderr


@pytest.mark.parametrize("command", [[], ["check"]])
def test_file_that_is_not_there_exits_78(tmp_path: Path, command: list[str]) -> None:
    result = run("--conf", tmp_path / "missing.ini", *command)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "1 problem in" in result.stderr
    assert "missing.ini" in result.stderr


def test_file_that_may_not_be_read_is_a_fault_of_the_configuration(
    unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = unprivileged / "server.ini"
    conf.touch(mode=0o200)
    monkeypatch.setattr(os, "access", lambda *_: False)  # it would ask for the user who began
    result = run("--conf", conf, "check")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "server.ini: cannot be read: Permission denied" in result.stderr


def test_check_loads_the_certificate(made: Scaffold) -> None:
    assert made.key is not None
    made.key.write_text("no key")
    result = run("check", "--conf", made.conf)
    assert result.exit_code == 78
    assert re.search(
        rf"{re.escape(str(made.conf))}, line \d+, general\.cert: .* holds no PEM private key",
        result.stderr,
    )


def test_check_reports_a_plugin_that_cannot_be_imported(greeter: Path) -> None:
    (greeter.parent / "plugins" / "greeter.py").write_text("import nothing_of_that_name\n")
    result = run("check", "--conf", greeter)
    assert result.exit_code == 78
    assert "greeter.py, line 1" in result.stderr


# --- cert make ----------------------------------------------------------------------


def test_cert_make(tmp_path: Path) -> None:
    cert, key = tmp_path / "new" / "cert.pem", tmp_path / "new" / "key.pem"
    result = run("cert", "make", cert, key, "rtc.example.org", "192.0.2.1")
    assert result.exit_code == 0
    assert result.stdout == (
        f"{cert}: a development certificate, for rtc.example.org, 192.0.2.1\n"
        f"{key}: its key; keep it\n"
    )
    store = CertificateStore(cert, key)
    assert "rtc.example.org" in store.certificate.subject.rfc4514_string()
    assert key.stat().st_mode & 0o777 == 0o600


def test_cert_make_for_this_machine(tmp_path: Path) -> None:
    result = run("cert", "make", tmp_path / "cert.pem", tmp_path / "key.pem")
    assert result.exit_code == 0
    assert ", ".join(machine_names()) in result.stdout


def test_cert_make_replaces_only_by_force(tmp_path: Path) -> None:
    arguments = ["cert", "make", tmp_path / "cert.pem", tmp_path / "key.pem", "localhost"]
    run(*arguments)
    before = (tmp_path / "key.pem").read_bytes()
    result = run(*arguments)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (tmp_path / "key.pem").read_bytes() == before
    assert run(*arguments, "--force").exit_code == 0
    assert (tmp_path / "key.pem").read_bytes() != before


def test_cert_make_with_a_bad_name_exits_1(tmp_path: Path) -> None:
    result = run("cert", "make", tmp_path / "cert.pem", tmp_path / "key.pem", "no host")
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


# --- serving ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_server_serves_until_it_is_told_to_stop(
    tmp_path: Path, made: Scaffold, number: signal.Signals, event_loop: str
) -> None:
    if event_loop == "uvloop":
        pytest.importorskip("uvloop")
    set_line(made.conf, "#event_loop = auto", f"event_loop = {event_loop}")
    with Served(tmp_path, ["--conf", made.conf]) as served:
        assert served.heard() == "READY=1"
        with socket.create_connection(("127.0.0.1", served.port()), DEADLINE_S) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"This port speaks HTTPS" in client.recv(4096)
        served.process.send_signal(signal.SIGHUP)
        assert served.heard().startswith("RELOADING=1\n")
        assert served.heard() == "READY=1"
        served.process.send_signal(number)
        assert served.heard() == "STOPPING=1"
        assert served.exit_code() == 0
    assert f"tornado-webrtc {__version__}, configuration {made.conf}" in served.log
    assert SHIPPED in served.log
    assert re.search(r"INFO +open https://localhost:\d+/$", served.log, re.M)
    assert served.log.endswith("INFO    stopped\n")
    assert made.secret.read_text().strip() not in served.log
    warnings = [line for line in served.log.splitlines() if "WARNING" in line]
    of_the_system = re.compile("receive buffer|files may be open")
    assert all(of_the_system.search(line) for line in warnings), warnings
    assert "ERROR" not in served.log


def test_certificate_is_read_again_on_sighup(tmp_path: Path, made: Scaffold) -> None:
    with Served(tmp_path, ["--conf", made.conf]) as served:
        assert served.heard() == "READY=1"
        run("cert", "make", made.cert, made.key, "renewed.example", "--force")
        served.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + DEADLINE_S
        while "new certificate from" not in served.log:
            assert time.monotonic() < deadline, served.log
            time.sleep(0.02)
        served.process.send_signal(signal.SIGTERM)
        assert served.exit_code() == 0


def test_port_that_is_taken_exits_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        made = make_folder(tmp_path / "server", port=port, bind=["127.0.0.1"], tls=False)
        with Served(tmp_path, ["--conf", made.conf]) as served:
            assert served.exit_code() == 1
    assert re.search(rf"^tornado-webrtc: .*{port} is in use", served.log, re.M)
    assert "Traceback" not in served.log


def test_broken_configuration_exits_78(tmp_path: Path, broken: Path) -> None:
    with Served(tmp_path, ["--conf", broken]) as served:
        assert served.exit_code() == 78
    assert served.log.startswith("tornado-webrtc: 2 problems in the configuration:")
    assert "Traceback" not in served.log


@pytest.mark.parametrize("name", ["key", "secret", "state"])
def test_file_that_cannot_be_used_exits_78_and_check_says_the_same(
    tmp_path: Path, made: Scaffold, name: str
) -> None:
    if name == "state":
        (tmp_path / "state").touch()
        set_line(made.conf, "#state_dir =", f"state_dir = {tmp_path / 'state'}")
    else:
        path = made.key if name == "key" else made.secret
        assert path is not None
        path.write_text("\n")
    with Served(tmp_path, ["--conf", made.conf]) as served:
        assert served.exit_code() == 78
    said = run("check", "--conf", made.conf)
    assert said.exit_code == 78
    assert said.stderr.startswith("tornado-webrtc: 1 problem in the configuration:")
    assert said.stderr in served.log
    assert "Traceback" not in served.log


def test_uvloop_that_is_asked_for_but_missing_exits_1(tmp_path: Path, made: Scaffold) -> None:
    set_line(made.conf, "#event_loop = auto", "event_loop = uvloop")
    code = "import sys; sys.modules['uvloop'] = None\nfrom tornado_webrtc.cli import main\nmain()"
    with Served(tmp_path, ["--conf", made.conf], code) as served:
        assert served.exit_code() == 1
    assert "uvloop is not installed; run: pip install" in served.log
    assert "Traceback" not in served.log


def test_warnings_of_the_configuration_are_logged(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nbind = 127.0.0.1,\nport = 0\nhtml_root = nowhere\n")
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        served.process.send_signal(signal.SIGTERM)
        assert served.exit_code() == 0
    assert re.search(rf"WARNING {re.escape(str(conf))}, line 4, general.html_root", served.log)
    assert "plain HTTP: browsers give a page camera and microphone only on" in served.log


def test_plain_http_behind_a_proxy_is_nothing_to_speak_of(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nbind = 127.0.0.1,\nport = 0\ntrusted_proxies = 127.0.0.1,\n")
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.heard() == "READY=1"
        served.process.send_signal(signal.SIGTERM)
        assert served.exit_code() == 0
    assert "plain HTTP" not in served.log
