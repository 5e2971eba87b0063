"""deploy/settings.sh and the scripts that read it: settings, help, and what shellcheck says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import DEPLOY, Machine

SCRIPTS = sorted(DEPLOY.glob("*.sh"))
COMMANDS = [path for path in SCRIPTS if path.name not in {"settings.sh", "certificate-hook.sh"}]
EACH = pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-certificate")]


def names(text: str) -> set[str]:
    return set(re.findall(r"^    \[([A-Z_]+)\]=", text, re.MULTILINE))


KEYS = names((DEPLOY / "settings.sh").read_text())


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_shellcheck(script: Path) -> None:
    command: list[str | Path] = [
        "shellcheck",
        "--external-sources",
        "--source-path",
        DEPLOY.parent,
        script,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_stop_at_the_first_fault(script: Path) -> None:
    if script.name != "settings.sh":
        assert "\nset -euo pipefail\n" in script.read_text()
        assert os.access(script, os.X_OK)


@EACH
def test_help(machine: Machine, script: Path) -> None:
    said = machine.deploy("--help", script=script)
    assert said.startswith(f"Usage: {script.name} ")
    assert max(map(len, said.splitlines())) <= 100
    options = set(re.findall(r"^        ([-a-z |]+)\)", script.read_text(), re.MULTILINE))
    for option in re.findall(r"--?[a-z-]+", " ".join(options)):
        assert option in said, option


@EACH
@pytest.mark.parametrize("arguments", [["--nonsense"], ["--settings"], ["-x", "y"]])
def test_wrong_usage(machine: Machine, script: Path, arguments: list[str]) -> None:
    said = machine.deploy(*arguments, script=script, status=2)
    assert said.startswith("error: ")
    assert f"{script.name} --help says what there is." in said


def test_nothing_to_do(machine: Machine) -> None:
    assert "nothing to do" in machine.deploy(status=2)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("PREFIXX=/opt", "found 'PREFIXX=/opt'"),
        ("PREFIX", "found 'PREFIX'"),
        ("KEEP=1", "the setting KEEP is 1, it has to be 2 or more"),
        ("KEEP=five", "the setting KEEP is 'five', it has to be a whole number"),
        ("READY_SECONDS=", "the setting READY_SECONDS is '', it has to be a whole number"),
        ("PREFIX=opt", "the setting PREFIX is 'opt', no plain path"),
        ("PREFIX=/opt/a b", "the setting PREFIX is '/opt/a b', no plain path"),
        ("$(touch RAN)=1", "found '$(touch RAN)=1'"),
        ("x[$(touch RAN)]=1", "found 'x[$(touch RAN)]=1'"),
    ],
)
def test_line_that_is_not_right(machine: Machine, line: str, complaint: str) -> None:
    with machine.settings.open("a") as settings:
        settings.write(f"\n# a comment\n{line}\n")
    said = machine.deploy("--list", status=1, environ={"PWD": str(machine.path)})
    assert complaint in said
    if "found" in complaint:
        number = len(machine.settings.read_text().splitlines())
        assert f"{machine.settings}:{number}: " in said
        assert set(re.findall(r"[A-Z_]{4,}", said.splitlines()[2])) == KEYS
    assert not list(machine.path.rglob("RAN"))
    assert not Path("RAN").exists()


def test_settings_are_read_and_never_run(machine: Machine) -> None:
    machine.configure(EMAIL="$(touch RAN)`touch RAN`", DOMAIN="a=b")
    machine.deploy("--list")
    assert not list(machine.path.rglob("RAN"))


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_settings_that_others_can_write_are_not_believed(machine: Machine, mode: int) -> None:
    machine.settings.chmod(mode)
    said = machine.deploy("--list", status=1)
    assert f"{machine.settings} can be written by others" in said
    assert f"mode {mode:o}" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_settings_of_somebody_else_are_not_believed(machine: Machine) -> None:
    os.chown(machine.settings, 65534, 65534)
    assert "can be written by others (owner 65534" in machine.deploy("--list", status=1)


def test_environment_wins(machine: Machine) -> None:
    machine.configure(KEEP="five")
    machine.deploy("--list", environ={"DEPLOY_KEEP": "5"})
    elsewhere = machine.settings.rename(machine.path / "elsewhere.conf")
    machine.settings.write_text("nonsense\n")
    environ = {"DEPLOY_KEEP": "5", "DEPLOY_SETTINGS": "/dev/null"}
    machine.deploy("--settings", elsewhere, "--list", environ=environ)
