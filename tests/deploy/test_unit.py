"""deploy/tornado-webrtc.service and the kernel's setting: systemd accepts them, few rights."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import DEPLOY
from tests.deploy.test_settings import KEYS
from tornado_webrtc.config import Config

UNIT = DEPLOY / "tornado-webrtc.service"
MAX_EXPOSURE = 4.0
"""Of 10, as `systemd-analyze security` counts."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser["Service"]


@needs_systemd
def test_systemd_accepts_it(tmp_path: Path) -> None:
    path = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    command: list[str | Path] = ["systemd-analyze", "verify", "--man=no", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if path.name in line] == []


@needs_systemd
def test_it_exposes_little() -> None:
    command: list[str | Path] = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        UNIT,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < MAX_EXPOSURE


def test_program_is_the_one_that_deploy_switches() -> None:
    """What the scripts' defaults say, the unit says."""
    text = (DEPLOY / "settings.sh").read_text(encoding="utf-8")
    default = dict.fromkeys(KEYS, "")
    default |= dict(re.findall(r"^    \[([A-Z_]+)\]=([^\s\"]+)", text, re.MULTILINE))
    program, *arguments = service()["ExecStart"].split()
    assert program == f"{default['PREFIX']}/current/bin/tornado-webrtc"
    assert arguments == ["--conf", default["CONF"]]
    assert service()["User"] == default["RUN_AS"]
    assert f"/var/lib/{service()['StateDirectory']}" == default["STATE_DIR"]
    assert UNIT.name == f"{default['SERVICE']}.service"


def test_it_is_given_time_to_drain() -> None:
    assert service()["Type"] == "notify"
    assert int(service()["WatchdogSec"]) > 0
    assert int(service()["TimeoutStopSec"]) >= Config().general.drain_s + 15


def test_one_capability() -> None:
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert service()[key] == "CAP_NET_BIND_SERVICE"
    assert service()["NoNewPrivileges"] == "yes"


def test_kernel_gives_as_much_buffer_as_the_server_asks_for() -> None:
    text = (DEPLOY / "60-tornado-webrtc.conf").read_text(encoding="utf-8")
    (value,) = re.findall(r"^net\.core\.rmem_max=(\d+)$", text, re.MULTILINE)
    guide = (DEPLOY.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    assert f"net.core.rmem_max={value}\n" in guide
