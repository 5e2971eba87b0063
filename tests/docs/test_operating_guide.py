"""docs/operating.md is true: all its commands run, in order, on a machine made of a folder."""

import asyncio
import base64
import configparser
import gc
import hashlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.docs.source import error_codes, said_in_sources, texts
from tests.plugins.turn.site import TurnSite
from tests.wire import WireClient, call
from tornado_webrtc.cli import main
from tornado_webrtc.commands.option import EXIT_CONFIG, EXIT_FAILED, EXIT_UNAVAILABLE
from tornado_webrtc.config import Config, marks
from tornado_webrtc.scaffold import make_folder
from tornado_webrtc.server import Server, load
from tornado_webrtc.web.connection import CloseCode

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = "call.example.org"

ENVIRONMENT = {
    "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__GENERAL__PORT": "0",
    "TORNADO_WEBRTC__TURN__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PORT": "0",
    "TORNADO_WEBRTC__TURN__PORT_TCP": "0",
    "TORNADO_WEBRTC__TURN__PUBLIC_IP": "127.0.0.1",
}
"""What a test machine has instead of a public address and of ports of its own."""


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE) if found == language]


def unit() -> configparser.ConfigParser:
    (text,) = [each for each in blocks("ini") if each.startswith("[Unit]")]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def inline(program: str) -> list[str]:
    """The commands of a program that stand in sentences and tables, each once."""
    text = BLOCK.sub("", PAGE)
    return list(dict.fromkeys(re.findall(rf"`({program} [^`]+)`", text)))


# --- the shell blocks ---------------------------------------------------------------------

RUNUSER = """#!/bin/sh
# Runs what comes after `--`, as whoever runs the test. The real user makes no folder in /var/lib.
test -d "$MACHINE/var/lib/tornado-webrtc" || exit 1
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""

RECORDED = ("useradd", "chown", "ufw", "sysctl")
"""Programs that would change the machine: here they only note that they were called."""

RECORDER = '#!/bin/sh\necho "$(basename "$0") $*" >> "$MACHINE/calls"\n'

SYSTEMCTL = """#!/bin/sh
# Starts and stops the one service as its unit says.
echo "systemctl $*" >> "$MACHINE/calls"
case $1 in enable | start | restart | stop) ;; *) exit 0 ;; esac
if [ "$1" != start ] && [ -f "$MACHINE/pid" ]; then
    pid=$(cat "$MACHINE/pid")
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    rm "$MACHINE/pid"
fi
[ "$1" = stop ] && exit 0
: > "$MACHINE/log"
# A process of its own, which nobody here has to wait for.
pid=$($EXEC_START > "$MACHINE/log" 2>&1 & echo $!)
echo "$pid" > "$MACHINE/pid"
until grep -q 'open https' "$MACHINE/log"; do
    kill -0 "$pid" || { cat "$MACHINE/log"; exit 1; }
    sleep 0.05
done
sed -n 's/.*listening on https:.*:\\([0-9]*\\)$/\\1/p' "$MACHINE/log" > "$MACHINE/port"
tr '\\0' ' ' < "/proc/$pid/cmdline" >> "$MACHINE/ran"
echo >> "$MACHINE/ran"
"""

FROM_CHECKOUT = f"""
import sys
sys.path[:0] = {[str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]!r}
from tornado_webrtc.cli import main
"""


def make_wheel(folder: Path, version: str) -> None:
    """Make a wheel that runs this checkout, whatever its version says."""
    folder.mkdir(exist_ok=True)
    info = f"tornado_webrtc-{version}.dist-info"
    content = {
        "tornado_webrtc_from_checkout.py": FROM_CHECKOUT,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tornado-webrtc\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": (
            "[console_scripts]\ntornado-webrtc = tornado_webrtc_from_checkout:main\n"
        ),
    }
    record = ""
    path = folder / f"tornado_webrtc-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


@dataclass
class Machine:
    """A folder that stands for a machine: `/etc`, `/opt`, `/root` and `/var` are in it."""

    path: Path

    def prepare(self) -> None:
        """Put there what the guide supposes."""
        for folder in ("bin", "etc/sysctl.d", "opt", "var/lib"):
            (self.path / folder).mkdir(parents=True)
        for version in ("0.1.0", "0.2.0"):
            make_wheel(self.path / "root", version)
        self._program("python3", f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        self._program("systemctl", SYSTEMCTL)
        self._program("runuser", RUNUSER)
        for name in RECORDED:
            self._program(name, RECORDER)

    def _program(self, name: str, text: str) -> None:
        path = self.path / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def here(self, text: str) -> str:
        """What the guide says, for this machine."""
        text = re.sub(r"(?<![\w.~])/(etc|opt|root|var)/", rf"{self.path}/\1/", text)
        text = text.replace(" -C / ", f" -C {self.path} ")
        text = text.replace(f"https://{NAME}/", f"https://localhost:$(cat {self.path}/port)/")
        return text.replace(NAME, "localhost")

    def script(self) -> str:
        """The guide's shell blocks in order, and between them the file that it has edited."""
        lines = ["set -eu"]
        for language, text in BLOCK.findall(PAGE):
            if language == "sh":
                lines += [self.here(line) for line in text.splitlines()]
            elif language == "console":
                lines += [self.here(line.removeprefix("# ")) for line in text.splitlines()]
            elif language == "ini" and not text.startswith("[Unit]"):
                conf = self.path / "etc" / "tornado-webrtc" / "server.ini"
                lines.append(f"cat > {conf} <<'END'\n{self.here(text)}END")
        return "\n".join(lines)

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run all of them in one shell."""
        own = {
            "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}",
            "MACHINE": str(self.path),
            "EXEC_START": self.here(unit()["Service"]["ExecStart"]),
            "CURL_CA_BUNDLE": str(self.path / "etc/tornado-webrtc/certs/cert.pem"),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = ["sh", "-x", "-c", self.script()]
        return subprocess.run(
            command,
            env={**inherited, **ENVIRONMENT, **own},
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self) -> None:
        """End the service, if it was left running."""
        pid = self.path / "pid"
        if pid.exists():
            with suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)

    def lines(self, name: str) -> list[str]:
        """What the stand-ins wrote down."""
        return (self.path / name).read_text().splitlines()


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not tmp_path: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        made = Machine(Path(folder))
        made.prepare()
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_shell_block_runs_in_order(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (machine.path / "var/lib/tornado-webrtc/secret").exists()
    calls = machine.lines("calls")
    assert {each.split()[0] for each in calls} == {*RECORDED, "systemctl"}
    assert "systemctl enable --now tornado-webrtc" in calls
    versions = [re.findall(r"releases/([\d.]+)/bin/python", line) for line in ran(machine)]
    assert versions == [["0.1.0"], ["0.2.0"], ["0.1.0"]]
    assert (machine.path / "etc/sysctl.d/60-tornado-webrtc.conf").read_text() == (
        "net.core.rmem_max=4194304\n"
    )
    check_archive(machine.path / "root" / "tornado-webrtc.tar.gz")


def ran(machine: Machine) -> list[str]:
    """The command lines of the server, one for each start."""
    return machine.lines("ran")


def check_archive(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
    assert {
        "etc/tornado-webrtc/server.ini",
        "etc/tornado-webrtc/secret",
        "var/lib/tornado-webrtc/node_id",
    } <= names
    assert not [name for name in names if name.endswith(".sock")]


def test_configuration_of_the_first_hour_is_what_init_makes_and_two_keys(tmp_path: Path) -> None:
    (written,) = [each for each in blocks("ini") if not each.startswith("[Unit]")]
    made = make_folder(tmp_path / "made", domain=NAME, port=443).conf.read_text()
    set_by_init = {line for line in made.splitlines() if re.match(r"\w+ =", line)}
    added = {line for line in written.splitlines() if re.match(r"\w+ =", line)} - set_by_init
    assert {line.split()[0] for line in added} == {"state_dir", "public_ip"}


# --- the unit, the firewall ---------------------------------------------------------------


def test_unit_is_the_one_that_is_deployed() -> None:
    (text,) = [each for each in blocks("ini") if each.startswith("[Unit]")]
    assert text == (ROOT / "deploy" / "tornado-webrtc.service").read_text(encoding="utf-8")


def test_unit_agrees_with_the_program() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["ExecStart"].split()[1:] == ["--conf", "/etc/tornado-webrtc/server.ini"]
    assert service["RestartPreventExitStatus"] == str(EXIT_CONFIG)
    assert int(service["TimeoutStopSec"]) >= Config().general.drain_s + 15
    assert f"state_dir = /var/lib/{service['StateDirectory']}\n" in PAGE
    assert service["LogsDirectory"] == service["StateDirectory"]
    program = service["ExecStart"].split()[0]
    conf = service["ExecStart"].partition(" ")[2]
    assert f"runuser -u {service['User']} -- {program} check {conf}\n" in PAGE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    (text,) = [each for each in blocks("ini") if each.startswith("[Unit]")]
    path = tmp_path / "tornado-webrtc.service"
    path.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if path.name in line]
    assert complaints == []


def ports(text: str) -> set[str]:
    return set(re.findall(r"\b\d{2,5}(?:[-:]\d{2,5})?\b", text.replace("0.0.0.0", "")))


def test_every_firewall_opens_the_same_ports() -> None:
    turn = Config().turn
    relay = str(turn.relay_ports)
    tcp, udp = {"80", "443", str(turn.port_tcp)}, {str(turn.port), relay}
    (rules,) = blocks("nft")
    for protocol, expected in (("tcp", tcp), ("udp", udp)):
        (set_of_nft,) = re.findall(rf"{protocol} dport \{{(.*?)\}}", rules)
        assert ports(set_of_nft) == expected
        (ufw,) = re.findall(rf"(?m)^ufw allow proto {protocol} to any port (\S+)$", PAGE)
        assert {each.replace(":", "-") for each in ufw.split(",")} == expected
        group = re.findall(rf"(?m)^\| {protocol.upper()} \| ([\d-]+) \|$", PAGE)
        assert set(group) == expected
        table = re.findall(rf"(?m)^\| {protocol.upper()} ([\d-]+) \|", PAGE)
        assert set(table) == expected


@pytest.mark.skipif(shutil.which("nft") is None, reason="nftables is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="nft asks the kernel, which only root may")
def test_nft_accepts_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.nft"
    path.write_text(blocks("nft")[0])
    command = ["nft", "--check", "--file", str(path)]
    subprocess.run(command, check=True)


# --- commands in sentences and tables -----------------------------------------------------


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server with TLS, and Alice and Bob in a call that is relayed; Mallory is banned."""
    clients_answer_no_pings = {"TORNADO_WEBRTC__SIGNALING__PING_S": "0"}
    for name, value in (ENVIRONMENT | clients_answer_no_pings).items():
        monkeypatch.setenv(name, value)
    conf = make_folder(tmp_path / "made", domain="localhost").conf
    monkeypatch.setenv("TORNADO_WEBRTC_CONF", str(conf))
    server = Server(*load(conf))
    await server.start()
    server.ban("peer", "mallory", reason="spam")
    with ExitStack() as stack:
        try:
            async with (
                await WireClient.connect(server.port, tls=True) as alice,
                await WireClient.connect(server.port, tls=True) as bob,
            ):
                await alice.register("alice")
                await bob.register("bob")
                await call(alice, bob)
                site = TurnSite(server, stack)
                client = await site.udp(credential=site.credential("alice", server.secrets[0]))
                await client.allocate()
                yield server
        finally:
            await server.stop()


def run(command: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    gc.collect()  # a socket that was left open is reported here, not in some later test
    return result.exit_code, result.output


async def test_commands_in_the_text_work(served: Server) -> None:
    commands = inline("tornado-webrtc")
    asked = "cert check credentials doctor kick log-level plugins reload status unban"
    assert {each.split()[1] for each in commands} == set(asked.split())
    commands.sort(key=lambda each: each.split()[1] in {"kick", "unban"})  # the others look for them
    for command in commands:
        here = command.replace(f"https://{NAME}/", f"https://localhost:{served.port}/")
        status, output = await asyncio.to_thread(run, here)
        assert status == 0, f"{command}\n{output}"
    assert not list(served.bans)
    assert [peer.id for peer in served.hub.peers()] == ["bob"]


def test_other_programs_are_asked_about_our_unit() -> None:
    commands = [*inline("systemctl"), *inline("journalctl")]
    assert len(commands) >= 3
    for command in commands:
        assert len(command.split()) == 2 or "tornado-webrtc" in command.split(), command


# --- what it says of the code -------------------------------------------------------------


def section(title: str) -> str:
    _, _, text = PAGE.partition(f"\n{title}\n")
    assert text, title
    level = title.partition(" ")[0]
    return re.split(rf"(?m)^{level[:-1]}#? ", text)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_symptom_has_a_cause_a_way_to_tell_and_a_remedy() -> None:
    table = rows(section("## Troubleshooting by symptom").partition("### ")[0])
    assert len(table) >= 20
    for row in table:
        assert len(row) == 4, row
        assert all(row), row


def test_symptoms_name_codes_that_exist() -> None:
    symptoms = " ".join(row[0] for row in rows(section("## Troubleshooting by symptom")))
    closes = {int(code) for code in re.findall(r"close code (\d+)", symptoms)}
    assert closes >= {4401, 4403, 4409, 4429, 1012}
    assert closes <= {value for name, value in vars(CloseCode).items() if name.isupper()}
    turn = {int(code) for code in re.findall(r"TURN error (\d+)", symptoms)}
    assert turn >= {401, 437, 486, 508}
    assert turn <= error_codes()
    statuses = {int(code) for code in re.findall(r"\(status (\d+)\)", symptoms)}
    assert statuses == {EXIT_FAILED, EXIT_UNAVAILABLE, EXIT_CONFIG}


def logged() -> list[str]:
    """What the page says is in the log."""
    lines = [row[0] for row in rows(section("### Lines in the log"))]
    table = section("## Troubleshooting by symptom").partition("### ")[0]
    for cell in re.findall(r"log: ((?:`[^`]+`(?:, | and an? [a-z ]+)?)+)", table):
        lines += re.findall(r"`[^`]+`", cell)
    return list(dict.fromkeys(line.strip("`") for line in lines))


@pytest.mark.parametrize("line", logged())
def test_lines_of_the_log_are_those_of_the_code(line: str) -> None:
    assert said_in_sources(line), line


def test_levels_of_the_lines_are_known() -> None:
    for line, level, meaning in rows(section("### Lines in the log")):
        assert level in {"INFO", "WARNING", "ERROR"}, line
        assert meaning


def test_counters_and_fields_exist() -> None:
    known = texts()
    text = section("## Health and alarms") + section("## Troubleshooting by symptom")
    names = set(re.findall(r"`((?:refused|closed|error)\.[a-z-]+)`", text))
    assert names >= {"refused.limit", "closed.too-slow", "error.not-authenticated"}
    for name in names:
        kind, _, code = name.partition(".")
        assert name in known or (kind == "error" and code in known), name
    for code in re.findall(r"`error-(\d+)`", text):
        assert int(code) in error_codes()
    for name in ("certificate", "plugins_left_out", "bans_stored", "gauges", "counters"):
        assert f"{name}" in text
        assert name in known


def test_keys_exist() -> None:
    names = {key.partition(".")[2] for key in marks()} | {*marks()}
    table = section("## The network")
    for key in re.findall(r"\| `([a-z_.]+)`", table):
        assert key in names, key
    text = "\n".join(line for line in BLOCK.sub("", PAGE).splitlines())
    mentioned = set(re.findall(r"`((?:general|signaling|turn|plugins|admin)\.[a-z_]+)`", text))
    assert mentioned - names == {"admin.sock"}
    plain = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))
    others = {"auth_jwt", "auth_token", "plugins_left_out", "bans_stored", "stop_grace_period"}
    assert plain - names - others == set()


def test_numbers() -> None:
    config = Config()
    assert f"{config.turn.relay_ports.last - config.turn.relay_ports.first + 1} as it comes" in PAGE
    assert f"`drain_s` is {config.general.drain_s:g}" in PAGE
    ping_s = config.signaling.ping_s
    assert f"gone after {ping_s:g} to {2 * ping_s:g} s" in PAGE


async def test_state_dir_holds_what_the_table_says(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nport = 0\nbind = 127.0.0.1,\n[plugins]\ndisabled = turn\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TORNADO_WEBRTC_CONF", raising=False)
        server = Server(*load(conf))
    await server.start()
    try:
        server.ban("peer", "mallory")
        assert await server.bans_stored()
        found = {path.name for path in server.config.general.state_dir.iterdir()}
    finally:
        await server.stop()
    assert found == {row[0].strip("`") for row in rows(section("## Backups"))}
