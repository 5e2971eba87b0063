"""deploy/install.sh: a fresh machine becomes one that can be deployed to, again and again.

Programs that would change this machine are stand-ins that note what they were called with;
files go into a folder.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.machine import DEPLOY, Machine

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("deploy-certificate"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root installs"),
]

SCRIPT = DEPLOY / "install.sh"
NOTED = """#!/bin/sh
echo "$(basename "$0") $*" >> {calls}
"""
LACKING = """#!/bin/sh
# A command that this machine gets only when its package is installed.
[ -e {installed} ] || exit 127
exec {real} "$@"
"""
USER = "user-of-tornado-webrtc"


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """A machine with a distribution's programs and nothing of ours."""
    for path in (machine.settings, machine.conf):
        path.unlink()
    note = NOTED.format(calls=machine.path / "calls")
    for name in ("useradd", "sysctl", "systemctl", "chown", "apt-get"):
        machine.program(name, note)
    return machine


def install(machine: Machine, *arguments: object, status: int = 0) -> str:
    """Run it as it would run there, but for where files go."""
    places = {
        "PREFIX": machine.root,
        "CONF": machine.conf,
        "STATE_DIR": machine.path / "state",
        "RUN_AS": USER,
        "UNIT_DIR": machine.path / "units",
        "SYSCTL_DIR": machine.path / "units",
    }
    environ = {f"DEPLOY_{key}": str(value) for key, value in places.items()}
    return machine.deploy(*arguments, script=SCRIPT, status=status, environ=environ)


ARGUMENTS = (
    *("--domain", "call.example.org", "--email", "ops@example.org", "--port", "8443"),
    *("--public-ip", "203.0.113.5/10.0.0.5", "--bucket", "releases-of-ours"),
)


def test_fresh_machine(bare: Machine) -> None:
    certbot = bare.program("certbot", "#!/bin/sh\n")
    said = install(bare, *ARGUMENTS)
    assert said.endswith(f"ready; next: {SCRIPT.parent}/deploy.sh -b BUCKET -f ZIP\n")
    lines = bare.settings.read_text().splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [
        "BUCKET=releases-of-ours",
        "DOMAIN=call.example.org",
        "EMAIL=ops@example.org",
        "PORT=8443",
        "PUBLIC_IP=203.0.113.5/10.0.0.5",
        "READY_URL=https://localhost:8443/readyz",
    ]
    assert (bare.root / "releases").is_dir()
    assert bare.conf.parent.stat().st_mode & 0o777 == 0o750
    assert bare.settings.stat().st_mode & 0o777 == 0o644
    units = bare.path / "units"
    assert {path.name for path in units.iterdir()} == {
        "tornado-webrtc.service",
        "60-tornado-webrtc.conf",
    }
    unit = (units / "tornado-webrtc.service").read_text()
    assert unit == (DEPLOY / "tornado-webrtc.service").read_text()
    home = f"--home-dir {bare.path}/state"
    assert bare.calls() == [
        f"useradd --system --user-group {home} --shell /usr/sbin/nologin {USER}",
        f"chown root:{USER} {bare.conf.parent}",
        f"sysctl --quiet --load {units}/60-tornado-webrtc.conf",
        "systemctl daemon-reload",
        "systemctl enable tornado-webrtc",
    ]
    assert certbot.exists()


def test_once_more(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    install(bare, *ARGUMENTS)
    with bare.settings.open("a") as settings:
        settings.write("KEEP=9\n")
    before = bare.settings.read_text()
    install(bare, *ARGUMENTS)
    assert bare.settings.read_text() == before
    install(bare, "--domain", "another.example.org")
    assert bare.settings.read_text() == before, "what is there stays"


def test_user_that_is_there(bare: Machine) -> None:
    bare.program("id", "#!/bin/sh\n")
    install(bare)
    assert not [call for call in bare.calls() if call.startswith("useradd")]
    assert re.fullmatch(r"#.*\n", bare.settings.read_text())


def only(machine: Machine, *names: str) -> None:
    """Let a machine have no programs but its own, those of every system, and some more."""
    basis = "awk bash basename cat chmod cut dirname env grep install id ln mkdir mv printf"
    for name in [*basis.split(), "sed", "sh", "sort", "stat", "tail", "touch", "tr", *names]:
        if not (machine.path / "bin" / name).exists():
            real = shutil.which(name)
            assert real, name
            (machine.path / "bin" / name).symlink_to(real)


def on_its_own(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {
        **machine.environment(),
        "PATH": f"{machine.path / 'bin'}:{machine.path / 'links'}",
        "DEPLOY_LINKS": str(machine.path / "links"),
        "DEPLOY_PREFIX": str(machine.root),
        "DEPLOY_CONF": str(machine.conf),
        "DEPLOY_RUN_AS": USER,
        "DEPLOY_UNIT_DIR": str(machine.path / "units"),
        "DEPLOY_SYSCTL_DIR": str(machine.path / "units"),
    }
    command = ["bash", str(SCRIPT), *arguments]
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, *command[1:]], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("manager", "expected", "python"),
    [
        (
            "apt-get",
            "install -q -y --no-install-recommends curl util-linux python3-venv",
            "python3",
        ),
        ("dnf", "install -q -y curl util-linux python3.11", "python3.11"),
    ],
)
def test_packages_of_a_distribution(
    bare: Machine, manager: str, expected: str, python: str
) -> None:
    (bare.path / "bin" / "apt-get").unlink()
    calls, installed = bare.path / "calls", bare.path / "installed"
    bare.program(
        manager,
        f'#!/bin/sh\necho "{manager} $*" >> {calls}\n[ "$1" = update ] || touch {installed}\n',
    )
    only(bare)
    real = os.path.realpath(sys.executable)
    bare.program(python, LACKING.format(installed=installed, real=real))
    bare.program("aws", "#!/bin/sh\n")
    done = on_its_own(bare)
    assert done.returncode == 0, done.stderr
    asked = [call for call in bare.calls() if call.startswith(manager)]
    updated = ["apt-get update -q"] if manager == "apt-get" else []
    assert asked == [*updated, f"{manager} {expected}"]
    written = f"PYTHON={python}\n" in bare.settings.read_text()
    assert written == (python != "python3")


def test_no_python_is_new_enough(bare: Machine) -> None:
    only(bare)
    for name in ("curl", "runuser", "aws"):
        bare.program(name, "#!/bin/sh\n")
    done = on_its_own(bare)
    assert done.returncode == 1
    assert "this system has no Python 3.11 or newer" in done.stderr
    assert "apt-get install -q -y --no-install-recommends python3-venv" in bare.calls()


def test_programs_that_a_distribution_lacks(bare: Machine) -> None:
    """They come from the package index, into an environment of their own."""
    only(bare)
    (bare.path / "links").mkdir()
    for name in ("curl", "runuser"):
        bare.program(name, "#!/bin/sh\n")
    real = os.path.realpath(sys.executable)
    bare.program(
        "python3",
        f"""#!/bin/sh
case $* in
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip "*) echo "pip $*" >> {bare.path}/calls; touch "${{0%/*}}/aws" "${{0%/*}}/certbot" ;;
*) exec {real} "$@" ;;
esac
""",
    )
    (bare.path / "bin" / "cp").symlink_to(shutil.which("cp") or "")
    done = on_its_own(bare, "--domain", "call.example.org")
    assert done.returncode == 0, done.stderr
    assert [call.split()[-1] for call in bare.calls() if call.startswith("pip ")] == [
        "awscli",
        "certbot",
    ]
    for name in ("aws", "certbot"):
        link = bare.path / "links" / name
        assert link.readlink() == bare.root / "tools" / "bin" / name
    assert "systemctl enable --now certbot-renew.timer" in bare.calls()
    assert (bare.path / "units" / "certbot-renew.timer").exists()


@pytest.mark.parametrize("value", ["a b", "$(id)", "-x", "a;b"])
def test_value_that_cannot_be_right(bare: Machine, value: str) -> None:
    said = install(bare, "--domain", value, status=2)
    assert f"'{value}' cannot be right" in said
    assert not bare.settings.exists()


@pytest.mark.parametrize("name", ["certbot-renew.timer", "certbot-renew.service"])
def test_systemd_accepts_the_timer(tmp_path: Path, name: str) -> None:
    for path in DEPLOY.glob("certbot-renew.*"):
        text = path.read_text().replace("/usr/local/bin/certbot", "/bin/true")
        (tmp_path / path.name).write_text(text)
    command: list[str | Path] = ["systemd-analyze", "verify", "--man=no", tmp_path / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "certbot" in line] == []
