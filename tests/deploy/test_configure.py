"""deploy/configure.sh: the first configuration, made with the first release."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import Good
from tests.deploy.machine import DEPLOY, ON_LOOPBACK, Machine

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-certificate")]
SCRIPT = DEPLOY / "configure.sh"

USER = "daemon"
"""A user that every machine has, with a group of the same name; not root."""

RUNUSER = """#!/bin/sh
# Another user, who may read all the same: the libraries are in a folder of root's. It writes
# nothing but what that user may write.
while [ "$1" != -- ]; do shift; done
shift
exec setpriv --reuid=daemon --regid=daemon --clear-groups \\
    --inh-caps=+dac_read_search --ambient-caps=+dac_read_search -- "$@"
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_first_deployment_makes_the_configuration(fresh: Machine, good: Good) -> None:
    said = fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    assert f"{fresh.conf} is made, for localhost\n" in said
    assert "a development certificate is made" in said
    assert "there is no new certificate" not in said, "none was asked for"
    assert "serves" in said
    assert fresh.verdicts() == {"1.0.0": "good*"}
    lines = {line for line in fresh.conf.read_text().splitlines() if re.match(r"\w+ =", line)}
    assert lines == {
        "domain = localhost",
        f"port = {fresh.port}",
        "cert = tls/fullchain.pem",
        "key = tls/privkey.pem",
        f"redirect_port = {fresh.turn_udp}",
        "challenge_dir = acme",
        f"state_dir = {fresh.path}/state",
        "public_ip = 203.0.113.5/127.0.0.1",
        "secret_file = secret",
    }
    folder = fresh.conf.parent
    found = {path.name for path in folder.iterdir()}
    assert found == {"acme", "deploy.conf", "secret", "server.ini", "tls"}
    assert mode(folder / "secret") == 0o600
    assert mode(folder / "tls" / "privkey.pem") == 0o600
    assert mode(folder / "tls") == 0o750
    assert mode(folder / "acme") == 0o755
    assert mode(fresh.conf) == 0o640


def can_be_another() -> bool:
    """Whether the stand-in for runuser works here, which needs a right that containers take."""
    command = ["sh", "-c", RUNUSER, "runuser", "--", "true"]
    known = shutil.which("setpriv") and os.geteuid() == 0
    return bool(known) and not subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.skipif(not can_be_another(), reason="nobody can be another user here")
def test_service_that_runs_as_a_user_of_its_own(bare: Machine, good: Good) -> None:
    """The configuration is checked as that user before systemd has made its folder."""
    bare.path.chmod(0o755)
    bare.conf.parent.rmdir()
    bare.program("runuser", RUNUSER)
    bare.serve_on_loopback()
    state = bare.path / "var" / "state"
    places = {
        "PREFIX": bare.root,
        "CONF": bare.conf,
        "STATE_DIR": state,
        "RUN_AS": USER,
        "UNIT_DIR": bare.path / "units",
        "SYSCTL_DIR": bare.path / "units",
        "PYTHON": bare.path / "bin" / "quick-python",
        "SETTLE_SECONDS": 0,
        "HTTP_PORT": bare.turn_udp,
        "CERTBOT": "false",
    }
    environ = ON_LOOPBACK | {f"DEPLOY_{key}": str(value) for key, value in places.items()}
    arguments = ("--domain", "localhost", "--port", bare.port)
    bare.deploy(*arguments, script=DEPLOY / "install.sh", environ=environ)
    assert (mode(state), state.owner(), state.group()) == (0o700, USER, USER)
    assert (mode(bare.conf.parent), bare.conf.parent.owner()) == (0o750, "root")
    bare.deploy("--local", good("1.0.0"), "--no-certificate", environ=environ)
    assert bare.current().endswith("-v1.0.0")
    (ready,) = re.findall(r"^PORT=(\d+)$", bare.settings.read_text(), re.MULTILINE)
    assert int(ready) == bare.port, "and READY_URL follows"


def test_configuration_that_is_there_stays(machine: Machine, good: Good) -> None:
    machine.configure(DOMAIN="call.example.org", CERTBOT="false")
    before = machine.conf.read_text()
    said = machine.deploy("--local", good("1.0.0"))
    assert machine.conf.read_text() == before
    assert "the certificate is that of a proxy: it is left alone" in said
    release = machine.root / "current"
    said = machine.deploy(release, script=SCRIPT)
    assert said == f"{machine.conf} is there already\n"


def test_neither_a_configuration_nor_a_name(machine: Machine, good: Good) -> None:
    machine.conf.unlink()
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert f"there is no {machine.conf}" in said
    assert "install.sh --domain" in said
    assert not machine.conf.exists()
    assert machine.current() == ""


def test_secret_and_certificate_that_are_there_stay(fresh: Machine, good: Good) -> None:
    """Whoever lost server.ini, and nothing else, gets server.ini again, and nothing else."""
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    folder = fresh.conf.parent
    names = ("secret", "tls/fullchain.pem", "tls/privkey.pem")
    before = {name: (folder / name).read_bytes() for name in names}
    fresh.conf.unlink()
    said = fresh.deploy(fresh.root / "current", script=SCRIPT)
    assert f"{folder}/secret is there, and stays" in said
    assert f"the certificate in {folder}/tls is there, and stays" in said
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert "secret_file = secret\n" in fresh.conf.read_text()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["fullchain.pem", "privkey.pem"])
def test_half_a_certificate_is_no_reason_to_replace_it(
    fresh: Machine, good: Good, name: str
) -> None:
    tls = fresh.conf.parent / "tls"
    tls.mkdir()
    (tls / name).write_text("bought\n")
    said = fresh.deploy("--local", good("1.0.0"), status=1, environ=ON_LOOPBACK)
    assert f"error: {tls} is there, but not with fullchain.pem and privkey.pem in it" in said
    assert f"error: {fresh.conf} could not be made; " in said
    assert (tls / name).read_text() == "bought\n"
    assert not fresh.conf.exists()
    assert fresh.releases() == []
    (tls / name).unlink()
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    assert fresh.verdicts() == {"1.0.0": "good*"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_belong_to_the_service_before_they_have_their_names(
    fresh: Machine, good: Good
) -> None:
    """A run that was cut off leaves none behind that the service cannot read."""
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    for name in ("server.ini", "secret", "tls/fullchain.pem", "tls/privkey.pem"):
        (fresh.conf.parent / name).unlink()
    fresh.note("chown")
    environ = {"DEPLOY_RUN_AS": "nobody"}
    fresh.deploy(fresh.root / "current", script=SCRIPT, environ=environ)
    given = [call.split()[2:] for call in fresh.calls() if call.startswith("chown nobody:nobody")]
    (paths,) = given
    assert {Path(path).name for path in paths} == {"secret", "fullchain.pem", "privkey.pem"}
    assert all("/.making-" in path for path in paths)
    shared = [call.split()[2:] for call in fresh.calls() if call.startswith("chown root:nobody")]
    (paths,) = shared
    assert {Path(path).name for path in paths} == {"tls", "server.ini"}


@pytest.mark.parametrize("moment", ["mv */secret *", "mv -T */tls *", "sync -f */etc/.making-*"])
def test_power_cut_on_the_way(fresh: Machine, good: Good, moment: str) -> None:
    fresh.can_lose_power("mv", "sync")
    cut = {**ON_LOOPBACK, "CUT_AFTER": moment}
    fresh.deploy("--local", good("1.0.0"), status=-signal.SIGKILL, environ=cut)
    assert not fresh.conf.exists(), "it comes last"
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    assert fresh.verdicts() == {"1.0.0": "good*"}
    assert not [path for path in fresh.conf.parent.iterdir() if path.name.startswith(".")]


def test_no_release(machine: Machine) -> None:
    said = machine.deploy(machine.path, script=SCRIPT, status=2)
    assert "RELEASE is not an installed release" in said


def test_no_name(machine: Machine) -> None:
    machine.conf.unlink()
    program = machine.path / "release" / "bin" / "tornado-webrtc"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/false")
    said = machine.deploy(machine.path / "release", script=SCRIPT, status=1)
    assert "error: the setting DOMAIN is empty" in said
    assert not machine.conf.exists()
