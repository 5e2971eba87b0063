"""deploy/install.sh: where the programs come from that a machine does not have."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.machine import OLD_PYTHON, Machine
from tests.deploy.test_install import SCRIPT, places

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("deploy-certificate"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root installs"),
]


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
    bare.note("systemctl", "chown")
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


def test_package_that_dnf_cannot_install_now(lean: Machine) -> None:
    text = DNF.format(machine=lean.path, lacks="-")
    lean.program("dnf", text.replace("*) touch", '*) echo "no lock" >&2; exit 1; touch'))
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "no lock" in done.stderr
    assert "error: the package curl could not be installed" in done.stderr


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


def wheel(folder: Path, name: str) -> None:
    """Make a package with a program of its name that does nothing."""
    info = f"{name}-1.0.dist-info"
    content = {
        f"{name}_.py": "def main():\n    pass\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}_:main\n",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in content))


def test_environment_whose_python_is_gone(lean: Machine, tmp_path: Path) -> None:
    """As after an upgrade of the distribution: with a real Python and a real pip."""
    wheel(tmp_path, "certbot")
    for name in ("curl", "runuser", "aws"):
        lean.program(name, "#!/bin/sh\n")
    for name in ("certbot", "python3"):
        (lean.path / "bin" / name).unlink()
    (lean.path / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
    lean.settings.write_text(f"PIP_ARGS=--no-index --find-links {tmp_path}\n")
    python = lean.root / "tools" / "bin" / "python"
    for _ in range(2):
        done = on_its_own(lean, "--domain", "call.example.org")
        assert done.returncode == 0, done.stderr
        assert subprocess.run([lean.path / "links" / "certbot"], check=False).returncode == 0
        python.unlink()
        python.symlink_to("/usr/bin/python3.0")


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


def test_python_that_makes_no_environments_yet(lean: Machine) -> None:
    """Debian has that in a package of its own."""
    has(lean, "apt-get")
    text = (lean.path / "bin" / "python3").read_text()
    lacks = f"*ensurepip*) [ -e {lean.path}/installed-python3-venv ] || exit 1; exec"
    lean.program("python3", text.replace("*) exec", lacks, 1))
    done = on_its_own(lean)
    assert done.returncode == 0, done.stderr
    assert "apt-get python3-venv" in installed(lean)


@pytest.mark.parametrize("there", ["none", "an old one"])
def test_no_python_is_new_enough(lean: Machine, there: str) -> None:
    has(lean, "apt-get")
    (lean.path / "bin" / "python3").unlink()
    if there == "an old one":
        lean.program("python3", OLD_PYTHON.format(real=os.path.realpath(sys.executable)))
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "this system has no Python 3.11 or newer" in done.stderr
    assert installed(lean)[-1] == "apt-get python3-venv"


def test_program_that_cannot_be_had(lean: Machine) -> None:
    has(lean, "apt-get", lacks="curl")
    done = on_its_own(lean)
    assert done.returncode == 1
    assert "error: curl is missing, and could not be installed" in done.stderr
