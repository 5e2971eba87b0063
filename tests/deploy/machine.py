"""A folder that stands for a machine with systemd: the scripts run in it as they are."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.deploy.release import ROOT, Workshop
from tests.quietport import quiet_ports

DEPLOY = ROOT / "deploy"

DEFAULTS: dict[str, str] = dict(
    re.findall(
        r'^    \[([A-Z_]+)\]=(?:""|(\S+))',
        (DEPLOY / "settings.sh").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
"""The scripts' settings, in their order, and what they are if nobody says anything."""

ON_LOOPBACK = {
    "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PORT": "0",
    "TORNADO_WEBRTC__TURN__PORT_TCP": "0",
}
"""What a server is told whose configuration is made for a public address."""

SYSTEMCTL = """#!/usr/bin/env bash
# systemctl, for one service: it really starts and stops the program that the unit names.
set -eu
machine=$(dirname "$(dirname "$(readlink -f "$0")")")
pid=$(cat "$machine/pid" 2>/dev/null || true)
echo "systemctl $*" >>"$machine/calls"
stop() {
    if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
        while [ -e "/proc/$pid" ] && [ "$(cut -d' ' -f3 "/proc/$pid/stat")" != Z ]; do
            sleep 0.05
        done
    fi
    rm -f "$machine/pid"
}
case $1 in
show) echo "${pid:-0}" ;;
stop) stop ;;
reset-failed) exit 1 ;; # as for a unit that is not loaded
restart)
    stop
    echo "--- $(readlink "$machine/opt/current")" >>"$machine/log"
    since=$(wc -c <"$machine/log")
    cd /
    # A process of nobody here; what it starts with is the unit's, not the script's.
    env -i PATH="$PATH" HOME=/ setsid --fork \\
        bash -c 'echo $$ >"$1/pid"; exec "${@:2}" >>"$1/log" 2>&1' bash "$machine" EXEC_START \\
        </dev/null >/dev/null 2>&1
    for _ in $(seq 600); do
        pid=$(cat "$machine/pid" 2>/dev/null || true)
        tail -c +$((since + 1)) "$machine/log" | grep -q 'open http\\|never comes' && exit 0
        if [ -n "$pid" ] && [ ! -e "/proc/$pid" ]; then rm -f "$machine/pid"; exit 1; fi
        sleep 0.05
    done
    exit 1
    ;;
esac
"""

NOTED = """#!/bin/sh
echo "$(basename "$0") $*" >> {calls}
"""

JOURNALCTL = """#!/usr/bin/env bash
tail -n 30 "$(dirname "$(dirname "$(readlink -f "$0")")")/log"
"""

QUICK_PYTHON = """#!/usr/bin/env bash
# Python, whose environments have all that a release needs but the release.
set -eu
case $* in
"-m venv "*)
    PYTHON "$1" "$2" --without-pip "${@:3}"
    for packages in "${!#}"/lib/python*/site-packages; do echo BASE >"$packages/base.pth"; done
    ;;
*) exec PYTHON "$@" ;;
esac
"""

OLD_PYTHON = """#!/bin/sh
# Python; but it says that it is an old one, to whoever asks with `-c`.
[ "$1" != -c ] || exec {real} -c "import sys; sys.version_info = (3, 10, 9, 'final', 0); $2"
exec {real} "$@"
"""

CUT = """#!/usr/bin/env bash
# NAME; but the power goes before or after a command that is named in the environment.
line="NAME $*"
[[ -z ${NOTED-} ]] || printf '%s\n' "$line" >>"$NOTED"
[[ -z ${CUT_BEFORE-} || $line != $CUT_BEFORE ]] || kill -KILL 0
status=0
REAL "$@" || status=$?
[[ -z ${CUT_AFTER-} || $line != $CUT_AFTER ]] || kill -KILL 0
exit $status
"""

CONFIGURATION = """\
[general]
bind = 127.0.0.1,
port = {0}
state_dir = {state}
[turn]
bind = 127.0.0.1,
port = {1}
port_tcp = {2}
public_ip = 127.0.0.1
allow_peers = 127.0.0.0/8
[plugins]
required = logging_console
"""


STOP_S = 20.0


def _runs(pid: int) -> bool:
    """Whether a process is there, and not merely nobody has asked how it ended."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def running_machine(workshop: Workshop) -> "Iterator[Machine]":
    """Make a machine on which nothing was deployed yet, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        machine = Machine(Path(folder), workshop)
        try:
            yield machine
        finally:
            machine.stop()


class Machine:
    """A machine.

    Args:
        path: The folder; its name is short, since a socket's path has at most 107 bytes.
        workshop: Where environments come from.

    Attributes:
        root: What is /opt/tornado-webrtc elsewhere.
        conf: The server's configuration.
        settings: The file that deploy.sh is told by.
    """

    def __init__(self, path: Path, workshop: Workshop) -> None:
        self.path = path
        self.root = path / "opt"
        self.conf = path / "etc" / "server.ini"
        self.settings = path / "etc" / "deploy.conf"
        self.port, *turn = quiet_ports(3)
        self.turn_udp = turn[0]
        for folder in ("bin", "etc", "units"):
            (path / folder).mkdir()
        state = path / "state"
        self.conf.write_text(CONFIGURATION.format(self.port, *turn, state=state))
        start = f"{self.root}/current/bin/tornado-webrtc --conf {self.conf}"
        self.program("systemctl", SYSTEMCTL.replace("EXEC_START", start))
        self.program("journalctl", JOURNALCTL)
        quick = QUICK_PYTHON.replace("BASE", shlex.quote(str(workshop.base)))
        self.program("quick-python", quick.replace("PYTHON", shlex.quote(sys.executable)))
        self.configure(
            PREFIX=self.root,
            CONF=self.conf,
            RUN_AS="",
            STATE_DIR=state,
            READY_URL=f"http://127.0.0.1:{self.port}/readyz",
            READY_SECONDS=30,
            SETTLE_SECONDS=0,
            PYTHON=path / "bin" / "quick-python",
            SYSTEMCTL=path / "bin" / "systemctl",
            JOURNALCTL=path / "bin" / "journalctl",
            LETSENCRYPT=path / "letsencrypt",
            UNIT_DIR=path / "units",
            SYSCTL_DIR=path / "units",
            BUCKET="releases-of-ours",
        )

    def program(self, name: str, text: str) -> Path:
        """Put a program into the machine's PATH."""
        path = self.path / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def configure(self, **settings: object) -> None:
        """Write settings into deploy.conf; those that are there stay, unless they are named."""
        old = {}
        if self.settings.exists():
            lines = self.settings.read_text().splitlines()
            old = dict(line.split("=", 1) for line in lines)
        all_of_them = {**old, **settings}
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in all_of_them.items()))

    def note(self, *names: str) -> None:
        """Let programs do nothing but note that they were called, see `calls`."""
        for name in names:
            self.program(name, NOTED.format(calls=self.path / "calls"))

    def serve_on_loopback(self) -> None:
        """Let the service be started with `ON_LOOPBACK`."""
        variables = " ".join(f"{key}={value}" for key, value in ON_LOOPBACK.items())
        text = (self.path / "bin" / "systemctl").read_text()
        self.program("systemctl", text.replace("HOME=/", f"HOME=/ {variables}"))

    def can_lose_power(self, *names: str) -> None:
        """Let programs be those during which the power goes, see `deploy`'s environment."""
        for name in names:
            own = self.path / "bin" / name
            real = shutil.which(name)
            if own.exists():
                own = own.rename(own.with_name(f"real-{name}"))
                real = str(own)
            assert real
            text = CUT.replace("REAL", shlex.quote(real)).replace("NAME", name)
            self.program(name, text)

    def environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """What scripts are run with."""
        own = {
            "PATH": f"{self.path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DEPLOY_SETTINGS": str(self.settings),
            "PIP_NO_INDEX": "1",
        }
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return {**kept, **own, **(environ or {})}

    def start(
        self,
        *arguments: object,
        script: Path = DEPLOY / "deploy.sh",
        environ: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start a script, in a process group of its own."""
        return subprocess.Popen(
            [str(script), *map(str, arguments)],
            env=self.environment(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deploy(
        self,
        *arguments: object,
        status: int = 0,
        script: Path = DEPLOY / "deploy.sh",
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a script to its end, and return what it says."""
        process = self.start(*arguments, script=script, environ=environ)
        try:
            said, _ = process.communicate(timeout=100)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == status, f"{said}\n{self.log()}"
        return said

    def boot(self) -> None:
        """Start the service, as the machine does."""
        subprocess.run([self.path / "bin" / "systemctl", "restart", "x"], check=True)

    def stop(self) -> None:
        """End the service at once, if it runs."""
        pid = self.pid()
        with suppress(FileNotFoundError, ProcessLookupError):
            if pid and _runs(pid):
                os.kill(pid, signal.SIGKILL)
                deadline = time.monotonic() + STOP_S
                while _runs(pid):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)

    def pid(self) -> int:
        """The server's process."""
        path = self.path / "pid"
        return int(path.read_text()) if path.exists() else 0

    def log(self) -> str:
        """What the server has written."""
        path = self.path / "log"
        return path.read_text() if path.exists() else ""

    def calls(self) -> list[str]:
        """What the service manager was told to do."""
        lines = (self.path / "calls").read_text().splitlines()
        return [line for line in lines if not line.startswith("systemctl show")]

    def releases(self) -> list[str]:
        """The releases, the oldest first."""
        folder = self.root / "releases"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def current(self) -> str:
        """The release that `current` leads to; empty without one."""
        link = self.root / "current"
        return link.readlink().name if link.is_symlink() else ""

    def listed(self) -> dict[str, str]:
        """What `--list` says of each release; the one that runs has a star."""
        found = {}
        for line in self.deploy("--list").splitlines():
            star = "*" if line.startswith("* ") else ""
            name, verdict = line[2:].split()
            found[name] = verdict + star
        return found

    def verdicts(self) -> dict[str, str]:
        """The same of each version; of several releases with one, the newest counts."""
        newest_last = reversed(self.listed().items())
        return {name.partition("-v")[2]: verdict for name, verdict in newest_last}

    def leftovers(self) -> set[str]:
        """What is there besides releases, the link to one, and the lock."""
        found = {path.name for path in self.root.iterdir()} - {"releases", "current", ".lock"}
        return found | {name for name in self.releases() if name.startswith(".")}

    def ready(self) -> bool:
        """Whether a server takes clients."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def serving(self) -> str:
        """The version of the server that takes clients now; empty if none does."""
        if not self.ready():
            return ""
        program = self.root / "current" / "bin" / "tornado-webrtc"
        said = self.run(program, "status", "--json", "--conf", self.conf)
        status = json.loads(said)
        assert status["pid"] == self.pid()
        return str(status["version"])

    def run(self, *command: object) -> str:
        """Run a program there, and return what it prints."""
        return subprocess.run(
            list(map(str, command)),
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
