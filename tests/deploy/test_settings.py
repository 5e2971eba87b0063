"""deploy/settings.sh and the scripts that read it: settings, help, and what shellcheck says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import Good
from tests.deploy.machine import DEFAULTS, DEPLOY, Machine

SCRIPTS = sorted(DEPLOY.glob("*.sh"))
COMMANDS = [path for path in SCRIPTS if path.name not in {"settings.sh", "certificate-hook.sh"}]
EACH = pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-certificate")]


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
        ("PREFIX=/", "the setting PREFIX is '/', no plain path"),
        ("CONF=/etc/a b/server.ini", "the setting CONF is '/etc/a b/server.ini', no plain path"),
        ("CONF=/etc/own.ini", "is '/etc/own.ini', it has to be in a folder of its own"),
        ("CONF=/usr/local/etc/own.ini", "it has to be in a folder of its own"),
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
        assert set(re.findall(r"[A-Z_]{4,}", said.splitlines()[2])) == {*DEFAULTS}
    assert not list(machine.path.rglob("RAN"))
    assert not Path("RAN").exists()


def test_settings_are_read_and_never_run(machine: Machine) -> None:
    machine.configure(EMAIL="$(touch RAN)`touch RAN`", DOMAIN="a=b")
    machine.deploy("--list")
    assert not list(machine.path.rglob("RAN"))


@EACH
def test_it_finds_itself(script: Path) -> None:
    """Where CDPATH is exported, `cd` says where it went, and may go elsewhere."""
    environ = {**os.environ, "CDPATH": f"{DEPLOY.parent}:/tmp"}
    command = [f"{DEPLOY.name}/{script.name}", "--help"]
    done = subprocess.run(
        command, cwd=DEPLOY.parent, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_numbers_are_decimal(machine: Machine, good: Good) -> None:
    """Bash takes 08 for a number to the base of eight, which it is not."""
    machine.configure(READY_SECONDS="090", SETTLE_SECONDS="00", KEEP="08")
    machine.deploy("--local", good("1.0.0"))
    assert machine.verdicts() == {"1.0.0": "good*"}


@pytest.mark.parametrize("way", ["--settings", "DEPLOY_SETTINGS"])
def test_file_that_is_named_and_missing(machine: Machine, way: str) -> None:
    path = machine.path / "nowhere.conf"
    arguments = ("--settings", path) if way == "--settings" else ()
    environ = {} if arguments else {way: str(path)}
    said = machine.deploy("--list", *arguments, status=1, environ=environ)
    assert f"error: there is no {path}\n" in said
    assert f"install.sh --settings {path} makes it." in said


@pytest.mark.parametrize("name", ["a b.conf", "a|b.conf", "$(id).conf"])
def test_file_whose_name_others_would_take_for_more(machine: Machine, name: str) -> None:
    path = machine.settings.rename(machine.path / name)
    said = machine.deploy("--list", "--settings", path, status=1)
    assert f"the settings are in '{path}', no plain path" in said


def test_folder_of_the_file_does_not_matter(machine: Machine, good: Good) -> None:
    """What is handed on to other scripts, to a hook and to a unit is the whole path."""
    machine.configure(DOMAIN="localhost", CERTBOT="false")
    path = os.path.relpath(machine.settings)
    said = machine.deploy("--settings", path, "--local", good("1.0.0"))
    assert "the certificate is that of a proxy: it is left alone" in said
    machine.conf.write_text("[general]\ncert = tls/fullchain.pem\nchallenge_dir = acme\n")
    machine.deploy("--settings", path, script=DEPLOY / "certificate.sh", status=1)
    hook = machine.path / "letsencrypt" / "renewal-hooks" / "deploy" / "tornado-webrtc"
    assert f"\nsettings={machine.settings}\n" in hook.read_text()


def test_program_that_only_links_has(machine: Machine, good: Good) -> None:
    """What install.sh puts there is found, whatever PATH sudo or a timer has."""
    links = machine.path / "links"
    links.mkdir()
    (machine.path / "bin" / "journalctl").rename(links / "its-log")
    machine.configure(LINKS=links, JOURNALCTL="its-log", READY_SECONDS=1)
    machine.configure(READY_URL="http://127.0.0.1:1/readyz")
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert "open http" in said, "the end of the log"


def test_programs_of_root_are_found_without_its_path(machine: Machine) -> None:
    """`su` without `-` leaves the PATH of who calls it, on Debian without these folders."""
    machine.configure(LINKS=machine.path / "links")
    script = f". {DEPLOY}/settings.sh; read_settings; echo $PATH"
    environ = machine.environment({"PATH": "/usr/local/bin:/usr/bin:/bin"})
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "-c", script], env=environ, capture_output=True, text=True, check=True
    )
    said = done.stdout.strip().split(":")
    assert said[3:] == ["/usr/sbin", "/sbin", str(machine.path / "links")]


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


def test_link_to_settings(machine: Machine) -> None:
    """What it leads to is looked at: links have no rights of their own."""
    link = machine.path / "link.conf"
    link.symlink_to(machine.settings)
    assert machine.deploy("--list", "--settings", link) == ""
    machine.settings.chmod(0o666)
    assert f"{link} can be written by others" in machine.deploy(
        "--list", "--settings", link, status=1
    )


def test_environment_wins(machine: Machine) -> None:
    machine.configure(KEEP="five")
    machine.deploy("--list", environ={"DEPLOY_KEEP": "5"})
    elsewhere = machine.settings.rename(machine.path / "elsewhere.conf")
    machine.settings.write_text("nonsense\n")
    environ = {"DEPLOY_KEEP": "5", "DEPLOY_SETTINGS": "/dev/null"}
    machine.deploy("--settings", elsewhere, "--list", environ=environ)
