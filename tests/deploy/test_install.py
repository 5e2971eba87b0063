"""deploy/install.sh: a fresh machine becomes one that can be deployed to, again and again.

Programs that would change this machine are stand-ins that note what they were called with;
files go into a folder.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.deploy.machine import DEPLOY, Machine

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("deploy-certificate"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root installs"),
]

SCRIPT = DEPLOY / "install.sh"
USER = "user-of-tornado-webrtc"


@pytest.fixture
def bare(bare: Machine) -> Machine:
    """A machine with a distribution's programs, all of which note that they were called."""
    bare.note("systemctl", "chown")
    return bare


def places(machine: Machine) -> dict[str, str]:
    """Where files go that would go elsewhere."""
    settings = {
        "PREFIX": machine.root,
        "CONF": machine.conf,
        "STATE_DIR": machine.path / "state",
        "RUN_AS": USER,
        "UNIT_DIR": machine.path / "units",
        "SYSCTL_DIR": machine.path / "units",
        "LINKS": machine.path / "links",
    }
    return {f"DEPLOY_{key}": str(value) for key, value in settings.items()}


def install(machine: Machine, *arguments: object, status: int = 0) -> str:
    """Run it as it would run there, but for where files go."""
    return machine.deploy(*arguments, script=SCRIPT, status=status, environ=places(machine))


ARGUMENTS = (
    *("--domain", "call.example.org", "--email", "ops@example.org", "--port", "8443"),
    *("--public-ip", "203.0.113.5/10.0.0.5", "--bucket", "releases-of-ours"),
)


def test_fresh_machine(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    said = install(bare, *ARGUMENTS)
    advice = f"{SCRIPT.parent}/deploy.sh --local ZIP, or -f ZIP for one in a bucket"
    assert said.endswith(f"ready; next: {advice}\n")
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
        "tornado-webrtc-certificate.service",
        "tornado-webrtc-certificate.timer",
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
        "systemctl daemon-reload",
        "systemctl enable --now tornado-webrtc-certificate.timer",
    ]


def test_timer_has_the_settings(bare: Machine) -> None:
    """Certificates are renewed with CERTBOT and LETSENCRYPT, wherever those are."""
    bare.program("certbot", "#!/bin/sh\n")
    environ = {**places(bare), "DEPLOY_SERVICE": "calls"}
    bare.deploy("--domain", "call.example.org", script=SCRIPT, environ=environ)
    text = (bare.path / "units" / "calls-certificate.service").read_text()
    script = f"{bare.root}/current/deploy/certificate.sh"
    assert f"ExecStart={script} --renew --settings {bare.settings}\n" in text
    assert f"ConditionPathExists={script}\n" in text
    assert "After=network-online.target calls.service\n" in text
    assert (bare.path / "units" / "calls-certificate.timer").exists()
    assert bare.calls()[-1] == "systemctl enable --now calls-certificate.timer"


def test_without_a_name_there_is_no_timer(bare: Machine) -> None:
    install(bare)
    assert not [call for call in bare.calls() if "timer" in call]


def test_once_more(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    install(bare, *ARGUMENTS)
    with bare.settings.open("a") as settings:
        settings.write("KEEP=9\n")
    before = bare.settings.read_text()
    install(bare, *ARGUMENTS)
    assert bare.settings.read_text() == before
    said = install(bare, "--domain", "another.example.org")
    assert bare.settings.read_text() == before, "what is there stays"
    assert "says DOMAIN=call.example.org, and that stays; edit it for DOMAIN=another" in said


def test_last_line_without_an_end(bare: Machine) -> None:
    bare.settings.write_text("KEEP=9")
    install(bare, "--email", "ops@example.org")
    assert bare.settings.read_text() == "KEEP=9\nEMAIL=ops@example.org\n"


def test_user_that_is_there(bare: Machine) -> None:
    bare.program("id", "#!/bin/sh\n")
    install(bare)
    assert not [call for call in bare.calls() if call.startswith("useradd")]
    assert re.fullmatch(r"#.*\n", bare.settings.read_text())


def only(machine: Machine, *names: str) -> None:
    """Let a machine have no programs but its own, those of every system, and some more."""
    basis = (
        "awk bash basename cat chmod cut dirname env grep install id ln mkdir mv printf realpath"
    )
    for name in [*basis.split(), "sed", "sh", "sort", "stat", "tail", "touch", "tr", *names]:
        if not (machine.path / "bin" / name).exists():
            real = shutil.which(name)
            assert real, name
            (machine.path / "bin" / name).symlink_to(real)


def on_its_own(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it where there are no programs but those of `only`."""
    path = f"{machine.path / 'bin'}:{machine.path / 'links'}"
    environ = {**machine.environment(places(machine)), "PATH": path}
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, str(SCRIPT), *arguments], env=environ, capture_output=True, text=True, check=False
    )


APT = """#!/bin/sh
# Has every package but some; what is installed is there as a file.
echo "apt-get $*" >> {machine}/calls
for package; do :; done
case "$* " in
*" {lacks} "*) exit 100 ;;
update*) ;;
*--simulate*) ;;
*) touch "{machine}/installed-$package" ;;
esac
"""
DNF = """#!/bin/sh
echo "dnf $*" >> {machine}/calls
for package; do :; done
case "$* " in
*" {lacks} "*) exit 1 ;;
list*) ;;
*) touch "{machine}/installed-$package" ;;
esac
"""
BEHIND = """#!/bin/sh
# A program that is there when its package is.
[ -e {machine}/installed-{package} ] || exit 127
exec {real} "$@"
"""
PYTHON = """#!/bin/sh
# Python, whose environments and package index are folders here.
case $* in
"-m venv "*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
"-m pip --version") [ "${{0##*/}}" = python ] ;;
"-m pip install "*)
    echo "pip $*" >> {machine}/calls
    for package; do :; done
    program=${{0%/*}}/${{package%cli}}
    printf '#!/bin/sh\\n' > "$program"
    chmod +x "$program"
    ;;
*) exec {real} "$@" ;;
esac
"""


@pytest.fixture
def lean(bare: Machine) -> Machine:
    """A machine without curl, runuser, aws and certbot, and with no package manager yet."""
    (bare.path / "bin" / "apt-get").unlink()
    (bare.path / "links").mkdir()
    only(bare, "cp")
    real = os.path.realpath(sys.executable)
    bare.program("python3", PYTHON.format(machine=bare.path, real=real))
    for name, package in {"curl": "curl", "runuser": "util-linux", "certbot": "certbot"}.items():
        bare.program(name, BEHIND.format(machine=bare.path, package=package, real="/bin/true"))
    bare.program("aws", BEHIND.format(machine=bare.path, package="awscli", real="/bin/true"))
    return bare


def has(machine: Machine, manager: str, lacks: str = "-") -> None:
    """Let a machine have a package manager, and one that lacks a package."""
    text = APT if manager == "apt-get" else DNF
    machine.program(manager, text.format(machine=machine.path, lacks=lacks))


def installed(machine: Machine) -> list[str]:
    """What the package manager and the package index were told to install."""
    asked = [call for call in machine.calls() if " install " in f"{call} "]
    return [f"{call.split()[0]} {call.split()[-1]}" for call in asked if "--simulate" not in call]


@pytest.mark.parametrize("manager", ["apt-get", "dnf"])
def test_programs_come_from_the_distribution(lean: Machine, manager: str) -> None:
    has(lean, manager)
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 0, done.stderr
    wanted = ("curl", "util-linux", "awscli", "certbot")
    assert installed(lean) == [f"{manager} {package}" for package in wanted]
    assert lean.calls().count("apt-get update -q") == (manager == "apt-get")
    assert not [*(lean.path / "links").iterdir()]
    once = len(lean.calls())
    assert on_its_own(lean).returncode == 0
    assert not [call for call in lean.calls()[once:] if call.startswith(manager)]


@pytest.mark.parametrize("manager", ["apt-get", "dnf"])
def test_program_that_a_distribution_lacks(lean: Machine, manager: str) -> None:
    """It comes from the package index, into an environment of its own."""
    has(lean, manager, lacks="awscli")
    (lean.path / "bin" / "aws").unlink()
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 0, done.stderr
    assert installed(lean)[2:] == ["pip awscli", f"{manager} certbot"]
    assert f"installing awscli from PyPI, into {lean.root}/tools" in done.stdout
    (pip,) = [call for call in lean.calls() if call.startswith("pip ")]
    assert "--only-binary :all: awscli" in pip
    assert (lean.path / "links" / "aws").readlink() == lean.root / "tools" / "bin" / "aws"


def test_link_that_leads_nowhere(lean: Machine) -> None:
    """An environment that was taken away, or whose Python was, is made anew."""
    for name in ("aws", "certbot"):
        (lean.path / "bin" / name).unlink()
    assert on_its_own(lean, "--domain", "call.example.org").returncode == 1, "there is no curl"
    for name in ("curl", "runuser"):
        lean.program(name, "#!/bin/sh\n")
    for _ in range(2):
        done = on_its_own(lean)
        assert done.returncode == 0, done.stderr
        for name in ("aws", "certbot"):
            assert os.access(lean.path / "links" / name, os.X_OK)
        shutil.rmtree(lean.root / "tools")
    assert installed(lean) == ["pip awscli", "pip certbot"] * 2


def test_certbot_that_the_settings_name_is_somebody_elses(lean: Machine) -> None:
    has(lean, "apt-get")
    lean.settings.write_text(f"CERTBOT={lean.path}/certbot\n")
    assert on_its_own(lean, "--domain", "call.example.org").returncode == 0
    assert "apt-get certbot" not in installed(lean)


@pytest.mark.parametrize(
    ("manager", "package", "python"),
    [("apt-get", "python3-venv", "python3"), ("dnf", "python3.11", "python3.11")],
)
def test_python_comes_from_the_distribution(
    lean: Machine, manager: str, package: str, python: str
) -> None:
    has(lean, manager)
    (lean.path / "bin" / "python3").unlink()
    real = os.path.realpath(sys.executable)
    lean.program(python, BEHIND.format(machine=lean.path, package=package, real=real))
    done = on_its_own(lean)
    assert done.returncode == 0, done.stderr
    assert f"{manager} {package}" in installed(lean)
    assert (f"PYTHON={python}\n" in lean.settings.read_text()) == (python != "python3")


def test_no_python_is_new_enough(lean: Machine) -> None:
    has(lean, "apt-get")
    (lean.path / "bin" / "python3").unlink()
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "this system has no Python 3.11 or newer" in done.stderr
    assert installed(lean)[-1] == "apt-get python3-venv"


def test_program_that_cannot_be_had(lean: Machine) -> None:
    has(lean, "apt-get", lacks="curl")
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "error: curl is missing, and could not be installed" in done.stderr


@pytest.mark.parametrize("value", ["a b", "$(id)", "-x", "a;b"])
def test_value_that_cannot_be_right(bare: Machine, value: str) -> None:
    said = install(bare, "--domain", value, status=2)
    assert f"'{value}' cannot be right" in said
    assert not bare.settings.exists()
