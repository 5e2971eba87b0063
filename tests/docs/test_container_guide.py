"""docs/container.md says what Dockerfile, compose.yaml and Makefile do.

The image itself is built, run and measured by tests/container.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tornado_webrtc.cli import main
from tornado_webrtc.config import General, Turn
from tornado_webrtc.config.environment import read_environment

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command that the page shows, on one line each."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL))
    return [line for line in re.sub(r"\\\n\s*", "", blocks).splitlines() if line]


def test_scripts_are_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n" + "\n".join(commands()) + "\n")
    done = subprocess.run(["/bin/sh", "-n", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_variables_are_a_configuration() -> None:
    given = dict(re.findall(r"--env (\w+)=(\S+)", "\n".join(commands())))
    variables, problems = read_environment(given)
    assert not problems
    assert {variable.parts for variable in variables} == {
        ("general", "cert"),
        ("general", "key"),
        ("general", "port"),
        ("turn", "public_ip"),
    }


def test_folder_with_certificates_has_no_links_of_certbot() -> None:
    """`live/` holds links out of itself, which lead nowhere in a container."""
    mounted = re.findall(r"--volume (\S+?):", "\n".join(commands()))
    assert "/srv/certs" in mounted
    assert not [path for path in mounted if "letsencrypt" in path]
    made = re.findall(r"^install .* (/srv/certs\S*)$", "\n".join(commands()), re.MULTILINE)
    assert made == ["/srv/certs", "/srv/certs/fullchain.pem", "/srv/certs/privkey.pem"]


def test_certificate_is_made_for_the_machine() -> None:
    """`init` asks for names and addresses where it runs: behind a bridge, the container's."""
    (init,) = [line for line in commands() if re.search(r" tornado-webrtc init\b", line)]
    assert "--network host" in init


def test_commands_in_the_container_exist() -> None:
    text = "\n".join(commands())
    inside = re.findall(r"(?:exec server tornado-webrtc|tornado-webrtc tornado-webrtc) (\w+)", text)
    assert set(inside) == {"status", "doctor", "init"}
    for command in (*inside, "reload"):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_services_exist() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    text = "\n".join(commands())
    named = set(re.findall(r"docker compose exec (\w+)", text))
    named |= set(re.findall(r"docker compose .*--detach (\w+)", text))
    assert named == set(services)
    assert re.search(r"docker compose up --detach$", text, re.MULTILINE)


def test_table_of_the_image() -> None:
    general, turn = General(), Turn()
    assert f"TCP {general.port} (web), UDP {turn.port} and TCP {turn.port_tcp} (TURN)" in GUIDE
    assert f"UDP {turn.relay_ports.first}-{turn.relay_ports.last} (relayed media" in GUIDE
    assert f"out of {turn.relay_ports.last - turn.relay_ports.first + 1}," in GUIDE
    assert f"`general.drain_s` ({general.drain_s:g} s) at most" in GUIDE
    for said in ("/var/lib/tornado-webrtc", "/etc/tornado-webrtc/server.ini", "10001"):
        assert f"`{said}`" in GUIDE or f" {said}," in GUIDE
        assert said in DOCKERFILE
    assert re.search(r"every (\d+) s", GUIDE)[1] in DOCKERFILE  # type: ignore[index]


def test_arguments_of_the_build_exist() -> None:
    for name in ("VERSION", "SOURCE", "REVISION"):
        assert f"`{name}`" in GUIDE
        assert f"\nARG {name}\n" in DOCKERFILE
    for name in re.findall(r"--secret id=([\w.]+)", GUIDE):
        assert f"type=secret,id={name}" in DOCKERFILE


@pytest.mark.parametrize("docker", ["docker", "podman", "buildah"])
def test_image_is_made_by_whatever_builds(docker: str) -> None:
    make = ["/usr/bin/make", "-n", "image", f"DOCKER={docker}"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{docker} build --tag tornado-webrtc" in done.stdout
    assert "--build-arg VERSION=" in done.stdout
    assert f"DOCKER={docker}`" in GUIDE or docker == "docker"
