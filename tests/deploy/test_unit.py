"""deploy/*.service, *.timer and the kernel's setting: systemd accepts them, few rights."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import DEFAULTS, DEPLOY
from tornado_webrtc.config import Config

UNIT = DEPLOY / "tornado-webrtc.service"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
MAX_EXPOSURE = 4.0
"""Of 10, as `systemd-analyze security` counts."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def parsed(path: Path = UNIT) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


def service() -> configparser.SectionProxy:
    return parsed()["Service"]


@needs_systemd
@pytest.mark.parametrize("name", [path.name for path in UNITS])
def test_systemd_accepts_it(tmp_path: Path, name: str) -> None:
    for path in UNITS:
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"))
        (tmp_path / path.name).write_text(text)
    command: list[str | Path] = ["systemd-analyze", "verify", "--man=no", tmp_path / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "tornado-webrtc" in line] == []


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
    program, *arguments = service()["ExecStart"].split()
    assert program == f"{DEFAULTS['PREFIX']}/current/bin/tornado-webrtc"
    assert arguments == ["--conf", DEFAULTS["CONF"]]
    assert service()["User"] == DEFAULTS["RUN_AS"]
    assert f"/var/lib/{service()['StateDirectory']}" == DEFAULTS["STATE_DIR"]
    assert UNIT.name == f"{DEFAULTS['SERVICE']}.service"


def test_it_is_started_again_for_ever() -> None:
    """An address that is there only a minute after the boot is no reason to stay away."""
    assert parsed()["Unit"]["StartLimitIntervalSec"] == "0"
    assert service()["Restart"] == "on-failure"
    assert int(service()["RestartSec"]) >= 5, "nor to keep a core busy"
    assert service()["RestartPreventExitStatus"] == "78"


def test_it_is_given_time_to_drain() -> None:
    assert service()["Type"] == "notify"
    assert int(service()["WatchdogSec"]) > 0
    assert int(service()["TimeoutStopSec"]) >= Config().general.drain_s + 15


def test_one_capability() -> None:
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert service()[key] == "CAP_NET_BIND_SERVICE"
    assert service()["NoNewPrivileges"] == "yes"


def test_timer_has_the_certificate_looked_after() -> None:
    """It starts the service of its own name, which waits for the first release."""
    unit = parsed(DEPLOY / "tornado-webrtc-certificate.service")
    script, *arguments = unit["Service"]["ExecStart"].split()
    assert script == f"{DEFAULTS['PREFIX']}/current/deploy/certificate.sh"
    assert unit["Unit"]["ConditionPathExists"] == script
    assert arguments == ["--renew", "--settings", "/etc/tornado-webrtc/deploy.conf"]
    assert "Unit" not in parsed(DEPLOY / "tornado-webrtc-certificate.timer")["Timer"]


def test_kernel_gives_as_much_buffer_as_the_server_asks_for() -> None:
    text = (DEPLOY / "60-tornado-webrtc.conf").read_text(encoding="utf-8")
    (value,) = re.findall(r"^net\.core\.rmem_max=(\d+)$", text, re.MULTILINE)
    guide = (DEPLOY.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    assert f"net.core.rmem_max={value}\n" in guide
