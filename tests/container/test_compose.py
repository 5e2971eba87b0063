"""compose.yaml is valid, and agrees with image, configuration and guide."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container.buildah import STATE
from tornado_webrtc.config import General, Turn
from tornado_webrtc.config.environment import PREFIX
from tornado_webrtc.server import load

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GUIDE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
END_S = 15

both = pytest.mark.parametrize("name", SERVICES)


def variables(name: str, public_ip: str = "") -> dict[str, str]:
    """What a service sets, as Compose fills it in."""
    given = {"${PUBLIC_IP:-}": public_ip}
    return {key: given.get(text, text) for key, text in SERVICES[name]["environment"].items()}


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    """What the specification's JSON schema says."""
    schema = ("--builtin-schema", "vendor.compose-spec")
    command = (sys.executable, "-m", "check_jsonschema", *schema, path)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_follows_the_specification() -> None:
    done = validated(PATH)
    assert done.returncode == 0, done.stdout


def test_a_fault_would_be_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(PATH.read_text().replace("stop_grace_period", "stop_grace_time"))
    done = validated(wrong)
    assert done.returncode == 1
    assert "stop_grace_time" in done.stdout


def test_one_service_runs_unless_the_other_is_asked_for() -> None:
    assert list(SERVICES) == ["server", "ports"]
    assert "profiles" not in SERVICES["server"]
    assert SERVICES["ports"]["profiles"] == ["ports"]
    assert SERVICES["server"]["network_mode"] == "host"
    assert "ports" not in SERVICES["server"]


@both
def test_stopping_may_take_as_long_as_a_drain(name: str) -> None:
    seconds = int(re.fullmatch(r"(\d+)s", SERVICES[name]["stop_grace_period"])[1])  # type: ignore[index]
    assert seconds >= General().drain_s + END_S
    assert f"`stop_grace_period: {seconds}s`" in GUIDE
    assert f"terminationGracePeriodSeconds: {seconds}" in GUIDE
    assert f"--time {seconds}" in GUIDE
    assert f"--stop-timeout {seconds}" in GUIDE


@both
def test_it_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    assert "user" not in service, "the image has one"


@both
def test_state_is_kept(name: str) -> None:
    assert SERVICES[name]["volumes"] == [f"state:{STATE}"]
    assert "state" in COMPOSE["volumes"]


@both
def test_secret_is_a_file(name: str) -> None:
    """Of the repository's ignored folder; nothing secret stands in the file itself."""
    assert SERVICES[name]["secrets"] == ["turn_secret"]
    assert COMPOSE["secrets"] == {"turn_secret": {"file": "run/turn_secret"}}
    assert "/run/" in (ROOT / ".gitignore").read_text().splitlines()
    assert variables(name)[f"{PREFIX}TURN__SECRET_FILE"] == "/run/secrets/turn_secret"
    assert f"{PREFIX}TURN__SECRET" not in variables(name)


@both
@pytest.mark.parametrize("public_ip", ["", "203.0.113.5", "203.0.113.5/127.0.0.1"])
def test_variables_are_a_configuration(
    name: str, public_ip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without PUBLIC_IP, which is empty if nobody sets it."""
    secret = tmp_path / "turn_secret"
    secret.write_text("north-sea-herring-and-then-some\n")
    secret.chmod(0o600)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for key, text in variables(name, public_ip).items():
        monkeypatch.setenv(key, text.replace("/run/secrets/turn_secret", str(secret)))
    config, _ = load(None)
    assert config.turn.secret_file == secret
    assert len(config.turn.public_ip) == bool(public_ip)


def test_published_ports_are_those_of_the_server() -> None:
    """The same outside as inside: clients are told the inner ones."""
    turn, found = Turn(), {}
    for text in SERVICES["ports"]["ports"]:
        outside, inside, protocol = re.fullmatch(r"([\d-]+):([\d-]+)/(tcp|udp)", text).groups()  # type: ignore[union-attr]
        assert outside == inside
        found[inside] = protocol
    relayed = variables("ports")[f"{PREFIX}TURN__RELAY_PORTS"]
    assert found == {
        f"{General().port}": "tcp",
        f"{turn.port}": "udp",
        f"{turn.port_tcp}": "tcp",
        relayed: "udp",
    }
    first, last = map(int, relayed.split("-"))
    assert turn.relay_ports.first <= first < last <= turn.relay_ports.last
    assert last - first + 1 == 100, "docs/container.md says a hundred"
