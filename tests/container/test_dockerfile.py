"""Dockerfile and .dockerignore agree with the configuration and with each other."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.container.buildah import STATE, UID
from tornado_webrtc.config import General, Turn

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions(name: str, text: str = TEXT) -> list[str]:
    """What follows an instruction, each time, on one line."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def last_stage() -> str:
    return TEXT[TEXT.rindex("\nFROM ") :]


def test_ports_are_the_defaults() -> None:
    general, turn = General(), Turn()
    (exposed,) = instructions("EXPOSE")
    assert exposed.split() == [f"{general.port}/tcp", f"{turn.port}/udp", f"{turn.port_tcp}/tcp"]
    assert f"UDP {turn.relay_ports.first}-{turn.relay_ports.last}" in TEXT
    assert f"publish {turn.relay_ports.last - turn.relay_ports.first + 1} ports" in TEXT


def test_stages() -> None:
    """Both Pythons are the same one, and the last stage gets nothing but the environment."""
    assert instructions("FROM") == ["debian:trixie-slim AS python", "python AS build", "python"]
    copied = instructions("COPY", last_stage())
    assert copied == [
        "--from=build /opt/tornado-webrtc /opt/tornado-webrtc",
        "--chmod=0644 conf/server.ini /etc/tornado-webrtc/server.ini",
    ]


def test_it_is_no_root() -> None:
    assert instructions("USER") == [f"{UID}:{UID}"]
    assert f"--owner={UID} --group={UID} --mode=0700 {STATE}" in last_stage()


def test_commands_are_lists() -> None:
    """A shell in between would keep signals from the server."""
    assert instructions("ENTRYPOINT") == ['["tornado-webrtc"]']
    assert instructions("CMD") == ["[]"]
    (check,) = instructions("HEALTHCHECK")
    assert check.endswith(f'CMD ["tornado-webrtc", "status", "--socket", "{STATE}/admin.sock"]')


def test_description_and_licence_are_those_of_the_project() -> None:
    (labels,) = instructions("LABEL")
    assert f'image.description="{PROJECT["description"]}"' in labels
    assert f'image.licenses="{PROJECT["license"]}"' in labels


def test_nothing_secret_is_an_argument() -> None:
    assert instructions("ARG") == ["VERSION", "VERSION", "SOURCE", "REVISION"]
    for run in instructions("RUN"):
        if "pip " in run and "install" in run and "/pip/bin" in run:
            assert "--mount=type=secret,id=pip.conf,target=/etc/pip.conf" in run
            assert "--mount=type=secret,id=ca.pem" in run


@pytest.mark.parametrize(
    "flag", ["--only-binary :all:", "--require-hashes", "--no-deps", "--no-cache-dir"]
)
def test_libraries_are_pinned(flag: str) -> None:
    (run,) = (each for each in instructions("RUN") if "--requirement" in each)
    assert flag in run


def test_build_is_sent_what_it_names_and_nothing_else() -> None:
    assert "*" in IGNORED, "everything is left out, and then some of it is not"
    named = {line[1:] for line in IGNORED if line.startswith("!")}
    for name in named:
        assert (ROOT / name).exists(), name
    needed = {"pyproject.toml", "setup.py", "README.md", *PROJECT["license-files"]}
    assert named == needed | {
        *("tornado_webrtc", "plugins", "conf", "www"),
        *("release/requirements.txt", "release/constraints.txt"),
    }


def test_secrets_of_a_checkout_are_not_sent() -> None:
    """What .gitignore keeps to this machine below folders that are sent."""
    assert {"conf/state", "**/__pycache__", "**/*.py[cod]", "**/.*"} <= set(IGNORED)
