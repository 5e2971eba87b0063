"""deploy/configure.sh: the first configuration, made with the first release."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.machine import DEPLOY, Machine

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-certificate")]

Good = Callable[[str], Path]
ON_LOOPBACK = {
    "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PORT": "0",
    "TORNADO_WEBRTC__TURN__PORT_TCP": "0",
}


@pytest.fixture
def fresh(machine: Machine) -> Machine:
    """A machine as install.sh leaves it: no server.ini, but the name is known."""
    machine.conf.unlink()
    machine.configure(
        DOMAIN="localhost",
        PORT=machine.port,
        HTTP_PORT=machine.turn_udp,
        PUBLIC_IP="203.0.113.5/127.0.0.1",
        READY_URL=f"https://localhost:{machine.port}/readyz",
        CERTBOT="false",
    )
    variables = " ".join(f"{key}={value}" for key, value in ON_LOOPBACK.items())
    systemctl = machine.path / "bin" / "systemctl"
    text = systemctl.read_text().replace("HOME=/", f"HOME=/ {variables}")
    machine.program("systemctl", text)
    return machine


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_first_deployment_makes_the_configuration(fresh: Machine, good: Good) -> None:
    said = fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    assert f"{fresh.conf} is made, for localhost, with a development certificate" in said
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
    assert mode(fresh.conf) == 0o640


def test_configuration_that_is_there_stays(machine: Machine, good: Good) -> None:
    machine.configure(DOMAIN="call.example.org", CERTBOT="false")
    before = machine.conf.read_text()
    said = machine.deploy("--local", good("1.0.0"))
    assert machine.conf.read_text() == before
    assert "the certificate is that of a proxy: it is left alone" in said
    release = machine.root / "current"
    said = machine.deploy(release, script=DEPLOY / "configure.sh")
    assert said == f"{machine.conf} is there already\n"


def test_neither_a_configuration_nor_a_name(machine: Machine, good: Good) -> None:
    machine.conf.unlink()
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert f"there is no {machine.conf}" in said
    assert "install.sh --domain" in said
    assert not machine.conf.exists()
    assert machine.current() == ""


@pytest.mark.parametrize(
    "moment", ["mv */secret *", "mv */certs/key.pem *", "sync -f */etc/.making-*"]
)
def test_power_cut_on_the_way(fresh: Machine, good: Good, moment: str) -> None:
    fresh.can_lose_power("mv", "sync")
    cut = {**ON_LOOPBACK, "CUT_AFTER": moment}
    fresh.deploy("--local", good("1.0.0"), status=-signal.SIGKILL, environ=cut)
    assert not fresh.conf.exists(), "it comes last"
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    assert fresh.verdicts() == {"1.0.0": "good*"}
    assert not [path for path in fresh.conf.parent.iterdir() if path.name.startswith(".")]


def test_no_release(machine: Machine) -> None:
    said = machine.deploy(machine.path, script=DEPLOY / "configure.sh", status=2)
    assert "RELEASE is not an installed release" in said
