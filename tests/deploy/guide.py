"""Shell blocks of a guide, for a machine that is a folder."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from tests.deploy.machine import ON_LOOPBACK, Machine


def here(text: str, machine: Machine) -> str:
    """What the guide says, for this machine."""
    text = text.replace("/opt/tornado-webrtc", str(machine.root))
    text = text.replace("/etc/tornado-webrtc/server.ini", str(machine.conf))
    text = re.sub(r"(?<![\w/])/root\b", str(machine.path / "root"), text)
    return text.replace("call.example.org", "localhost").replace("10.0.0.5", "127.0.0.1")


def run_blocks(
    machine: Machine, lines: Sequence[str], more: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run lines in one shell, as root of the machine, on which nothing was deployed yet.

    Args:
        machine: A bare one.
        lines: What `here` returned, and what else is to be run.
        more: Further environment variables.
    """
    machine.serve_on_loopback()
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, "-c", "\n".join(["set -eux", *lines])],
        env=machine.environment({**_settings(machine), **ON_LOOPBACK, **(more or {})}),
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


def _settings(machine: Machine) -> dict[str, str]:
    places = {
        "PREFIX": machine.root,
        "CONF": machine.conf,
        "SETTINGS": machine.settings,
        "STATE_DIR": machine.path / "state",
        "UNIT_DIR": machine.path / "units",
        "SYSCTL_DIR": machine.path / "units",
        "LETSENCRYPT": machine.path / "letsencrypt",
        "RUN_AS": "",
        "PORT": machine.port,
        "HTTP_PORT": machine.turn_udp,
        "SETTLE_SECONDS": 0,
        "PYTHON": machine.path / "bin" / "quick-python",
        "CERTBOT": "false",
    }
    return {f"DEPLOY_{key}": str(value) for key, value in places.items()}
