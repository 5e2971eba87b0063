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


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_fresh_machine(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    bare.conf.parent.rmdir()
    said = install(bare, *ARGUMENTS)
    advice = f"bash {SCRIPT.parent}/deploy.sh --local ZIP, or -f ZIP for one in a bucket"
    assert said.endswith(f"ready; next: {advice}\n")
    lines = bare.settings.read_text().splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [
        "BUCKET=releases-of-ours",
        "DOMAIN=call.example.org",
        "EMAIL=ops@example.org",
        "PORT=8443",
        "PUBLIC_IP=203.0.113.5/10.0.0.5",
    ]
    assert (bare.root / "releases").is_dir()
    assert mode(bare.conf.parent) == 0o750
    assert mode(bare.path / "state") == 0o700
    assert mode(bare.settings) == 0o644
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
        f"chown {USER}:{USER} {bare.path}/state",
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


def test_folders_that_are_there_stay_as_they_are(bare: Machine) -> None:
    state = bare.path / "state"
    state.mkdir()
    for folder in (bare.conf.parent, state):
        folder.chmod(0o711)
    install(bare)
    assert mode(bare.conf.parent) == mode(state) == 0o711
    assert not [call for call in bare.calls() if call.startswith("chown")]


@pytest.mark.parametrize("conf", ["/etc/server.ini", "/server.ini", "/var/lib/server.ini"])
def test_configuration_needs_a_folder_of_its_own(bare: Machine, conf: str) -> None:
    environ = {**places(bare), "DEPLOY_CONF": conf}
    said = bare.deploy(script=SCRIPT, status=1, environ=environ)
    assert f"the setting CONF is '{conf}', it has to be in a folder of its own" in said
    assert not (bare.path / "calls").exists(), "nothing was done"


def untouched(machine: Machine, *arguments: object) -> str:
    """What it says when it refuses, before it has done anything."""
    there = sorted(path.name for path in machine.conf.parent.iterdir())
    said = install(machine, *arguments, status=1)
    assert not (machine.path / "calls").exists()
    assert sorted(path.name for path in machine.conf.parent.iterdir()) == there
    return said


def test_link_in_the_place_of_the_settings(bare: Machine) -> None:
    """Root would write, and open to all, whatever it leads to."""
    victim = bare.path / "shadow"
    victim.write_text("# secret\n")
    victim.chmod(0o600)
    bare.settings.symlink_to(victim)
    assert f"error: {bare.settings} is a link" in untouched(bare, "--domain", "call.example.org")
    assert (victim.read_text(), mode(victim)) == ("# secret\n", 0o600)


def test_link_that_leads_nowhere_yet(bare: Machine) -> None:
    bare.settings.symlink_to(bare.path / "made")
    assert f"error: {bare.settings} is a link" in untouched(bare)
    assert not (bare.path / "made").exists()


@pytest.mark.parametrize("whose", ["folder", "file"])
def test_settings_where_somebody_else_can_write(bare: Machine, whose: str) -> None:
    bare.settings.write_text("KEEP=9\n")
    bare.settings.chmod(0o600)
    path = bare.settings.parent if whose == "folder" else bare.settings
    os.chown(path, 65534, 65534)
    said = untouched(bare, "--domain", "call.example.org")
    assert f"error: {path} can be written by others (owner 65534, " in said
    assert f"chown root {path} && chmod go-w {path}" in said
    assert (bare.settings.read_text(), mode(bare.settings)) == ("KEEP=9\n", 0o600)


def test_mode_of_settings_that_are_there_stays(bare: Machine) -> None:
    bare.settings.write_text("KEEP=9\n")
    bare.settings.chmod(0o600)
    install(bare, "--email", "ops@example.org")
    assert bare.settings.read_text() == "KEEP=9\nEMAIL=ops@example.org\n"
    assert mode(bare.settings) == 0o600


def test_advice_for_who_is_not_root(bare: Machine) -> None:
    """The ZIP was unpacked by a program that makes no file executable."""
    setpriv = shutil.which("setpriv")
    if not setpriv:
        pytest.skip("setpriv is not installed")
    bare.path.chmod(0o755)
    script = bare.path / "copy" / "install.sh"
    script.parent.mkdir()
    for name in ("install.sh", "settings.sh"):
        (script.parent / name).write_text((DEPLOY / name).read_text())
    command = [setpriv, "--reuid=65534", "--clear-groups", "bash", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"sudo bash {script} …" in done.stderr


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
    if manager == "dnf":
        text = (lean.path / "bin" / "aws").read_text()
        lean.program("aws", text.replace("awscli", "awscli-2"))
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 0, done.stderr
    aws = {"apt-get": "awscli", "dnf": "awscli-2"}[manager]
    wanted = ("curl", "util-linux", aws, "certbot")
    assert installed(lean) == [f"{manager} {package}" for package in wanted]
    assert lean.calls().count("apt-get update -q") == (manager == "apt-get")
    assert not [*(lean.path / "links").iterdir()]
    once = len(lean.calls())
    assert on_its_own(lean).returncode == 0
    assert not [call for call in lean.calls()[once:] if call.startswith(manager)]


@pytest.mark.parametrize("manager", ["apt-get", "dnf"])
def test_program_that_a_distribution_lacks(lean: Machine, manager: str) -> None:
    """It comes from the package index, into an environment of its own."""
    has(lean, manager, lacks="awscli" if manager == "apt-get" else "awscli-2")
    lean.settings.write_text("PIP_ARGS=--index-url http://127.0.0.1:1/simple\n")
    (lean.path / "bin" / "aws").unlink()
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 0, done.stderr
    assert installed(lean)[2:] == ["pip awscli", f"{manager} certbot"]
    assert f"installing awscli from PyPI, into {lean.root}/tools" in done.stdout
    (pip,) = [call for call in lean.calls() if call.startswith("pip ")]
    assert "--only-binary :all: awscli" in pip
    assert "--index-url http://127.0.0.1:1/simple" in pip
    assert (lean.path / "links" / "aws").readlink() == lean.root / "tools" / "bin" / "aws"


def cannot_be_installed_now(machine: Machine, package: str) -> None:
    """Let apt-get know a package, and fail to install it, as while another run has the lock."""
    text = APT.format(machine=machine.path, lacks="-")
    refusal = f'*) case $package in {package}) echo "no lock" >&2; exit 100 ;; esac\n    touch'
    machine.program("apt-get", text.replace("*) touch", refusal))


@pytest.mark.parametrize("package", ["awscli", "certbot"])
def test_package_that_cannot_be_installed_now(lean: Machine, package: str) -> None:
    """One from PyPI in its place would stay, and nobody would update it."""
    cannot_be_installed_now(lean, package)
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 1
    assert "no lock" in done.stderr
    assert f"error: the package {package} could not be installed" in done.stderr
    assert not [call for call in installed(lean) if call.startswith("pip")]
    has(lean, "apt-get")
    assert on_its_own(lean).returncode == 0
    assert not [*(lean.path / "links").iterdir()]
    tried = [call for call in lean.calls() if call.endswith(f" {package}")]
    assert [call for call in tried if "--simulate" not in call] == 2 * [
        "apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends " + package
    ]


def test_environments_that_cannot_be_installed_now(lean: Machine) -> None:
    cannot_be_installed_now(lean, "python3-venv")
    (lean.path / "bin" / "python3").unlink()
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "error: the package python3-venv could not be installed" in done.stderr
    assert "no Python 3.11" not in done.stderr


@pytest.mark.parametrize("bucket", ["", "releases-of-ours"])
def test_machine_without_an_aws_command_line(lean: Machine, bucket: str) -> None:
    """Who takes releases with --local needs none."""
    has(lean, "apt-get", lacks="awscli")
    python = (lean.path / "bin" / "python3").read_text()
    lean.program("python3", python.replace('"-m pip install "*)', '"-m pip install "*) exit 1'))
    done = on_its_own(lean, *(["--bucket", bucket] if bucket else []))
    if bucket:
        assert done.returncode == 1
        assert "error: the AWS command line is missing" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "warning: there is no AWS command line: deploy.sh takes" in done.stderr
        assert "systemctl enable tornado-webrtc" in lean.calls()


def test_certbot_that_cannot_be_had(lean: Machine) -> None:
    has(lean, "apt-get", lacks="certbot")
    python = (lean.path / "bin" / "python3").read_text()
    lean.program("python3", python.replace('"-m pip install "*)', '"-m pip install "*) exit 1'))
    done = on_its_own(lean, "--domain", "call.example.org")
    assert done.returncode == 1
    assert "error: certbot is missing, and could not be installed" in done.stderr


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
