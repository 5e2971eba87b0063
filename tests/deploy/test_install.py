"""deploy/install.sh: a fresh machine becomes one that can be deployed to, again and again.

Programs that would change this machine are stand-ins that note what they were called with;
files go into a folder.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.machine import DEPLOY, Machine

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("deploy-certificate"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root installs"),
]

SCRIPT = DEPLOY / "install.sh"
USER = "user-of-tornado-webrtc"


@pytest.fixture
def bare(bare: Machine) -> Machine:
    """A machine with a distribution's programs, all of which note that they were called."""
    bare.note("systemctl", "chown")
    return bare


def places(machine: Machine) -> dict[str, str]:
    """Where files go that would go elsewhere."""
    settings = {
        "PREFIX": machine.root,
        "CONF": machine.conf,
        "STATE_DIR": machine.path / "state",
        "RUN_AS": USER,
        "UNIT_DIR": machine.path / "units",
        "SYSCTL_DIR": machine.path / "units",
        "LINKS": machine.path / "links",
    }
    return {f"DEPLOY_{key}": str(value) for key, value in settings.items()}


def install(machine: Machine, *arguments: object, status: int = 0) -> str:
    """Run it as it would run there, but for where files go."""
    return machine.deploy(*arguments, script=SCRIPT, status=status, environ=places(machine))


ARGUMENTS = (
    *("--domain", "call.example.org", "--email", "ops@example.org", "--port", "8443"),
    *("--public-ip", "203.0.113.5/10.0.0.5", "--bucket", "releases-of-ours"),
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_fresh_machine(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    bare.conf.parent.rmdir()
    said = install(bare, *ARGUMENTS)
    advice = f"bash {SCRIPT.parent}/deploy.sh --local ZIP, or -f ZIP for one in a bucket"
    assert said.endswith(f"ready; next: {advice}\n")
    lines = bare.settings.read_text().splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [
        "BUCKET=releases-of-ours",
        "DOMAIN=call.example.org",
        "EMAIL=ops@example.org",
        "PORT=8443",
        "PUBLIC_IP=203.0.113.5/10.0.0.5",
    ]
    assert (bare.root / "releases").is_dir()
    assert mode(bare.conf.parent) == 0o750
    assert mode(bare.path / "state") == 0o700
    assert mode(bare.settings) == 0o644
    units = bare.path / "units"
    assert {path.name for path in units.iterdir()} == {
        "tornado-webrtc.service",
        "tornado-webrtc-certificate.service",
        "tornado-webrtc-certificate.timer",
        "60-tornado-webrtc.conf",
    }
    unit = (units / "tornado-webrtc.service").read_text()
    assert unit == (DEPLOY / "tornado-webrtc.service").read_text()
    home = f"--home-dir {bare.path}/state"
    assert bare.calls() == [
        f"useradd --system --user-group {home} --shell /usr/sbin/nologin {USER}",
        f"chown root:{USER} {bare.conf.parent}",
        f"chown {USER}:{USER} {bare.path}/state",
        f"sysctl --quiet --load {units}/60-tornado-webrtc.conf",
        "systemctl daemon-reload",
        "systemctl enable tornado-webrtc",
        "systemctl daemon-reload",
        "systemctl enable --now tornado-webrtc-certificate.timer",
    ]


def test_who_calls_it_has_a_mask_of_their_own(bare: Machine) -> None:
    """The service's user gets to its programs, and systemd reads the units."""
    bare.program("certbot", "#!/bin/sh\n")
    bare.conf.parent.rmdir()
    wrapper = bare.program("masked", f'#!/bin/bash\numask 077\n{SCRIPT} "$@"\n')
    bare.deploy(*ARGUMENTS, script=wrapper, environ=places(bare))
    assert {mode(path) for path in (bare.root, bare.root / "releases")} == {0o755}
    assert {mode(path) for path in (bare.path / "units").iterdir()} == {0o644}
    assert mode(bare.settings) == 0o644


def test_kernel_does_not_take_the_setting(bare: Machine) -> None:
    """As in a container, where it is the host's."""
    bare.program("sysctl", "#!/bin/sh\nexit 255\n")
    assert "warning: the kernel does not take net.core.rmem_max" in install(bare)
    assert "systemctl enable tornado-webrtc" in bare.calls()


def test_timer_has_the_settings(bare: Machine) -> None:
    """Certificates are renewed with CERTBOT and LETSENCRYPT, wherever those are."""
    bare.program("certbot", "#!/bin/sh\n")
    environ = {**places(bare), "DEPLOY_SERVICE": "calls"}
    bare.deploy("--domain", "call.example.org", script=SCRIPT, environ=environ)
    text = (bare.path / "units" / "calls-certificate.service").read_text()
    script = f"{bare.root}/current/deploy/certificate.sh"
    assert f"ExecStart={script} --renew --settings {bare.settings}\n" in text
    assert f"ConditionPathExists={script}\n" in text
    assert "After=network-online.target calls.service\n" in text
    assert (bare.path / "units" / "calls-certificate.timer").exists()
    assert bare.calls()[-1] == "systemctl enable --now calls-certificate.timer"


def test_without_a_name_there_is_no_timer(bare: Machine) -> None:
    install(bare)
    assert not [call for call in bare.calls() if "timer" in call]


def test_once_more(bare: Machine) -> None:
    bare.program("certbot", "#!/bin/sh\n")
    install(bare, *ARGUMENTS)
    with bare.settings.open("a") as settings:
        settings.write("KEEP=9\n")
    before = bare.settings.read_text()
    install(bare, *ARGUMENTS)
    assert bare.settings.read_text() == before
    said = install(bare, "--domain", "another.example.org")
    assert bare.settings.read_text() == before, "what is there stays"
    assert "says DOMAIN=call.example.org, and that stays; edit it for DOMAIN=another" in said


def test_last_line_without_an_end(bare: Machine) -> None:
    bare.settings.write_text("KEEP=9")
    install(bare, "--email", "ops@example.org")
    assert bare.settings.read_text() == "KEEP=9\nEMAIL=ops@example.org\n"


def test_folders_that_are_there_stay_as_they_are(bare: Machine) -> None:
    state = bare.path / "state"
    state.mkdir()
    for folder in (bare.conf.parent, state):
        folder.chmod(0o711)
    install(bare)
    assert mode(bare.conf.parent) == mode(state) == 0o711
    assert not [call for call in bare.calls() if call.startswith("chown")]


@pytest.mark.parametrize("conf", ["/etc/server.ini", "/server.ini", "/var/lib/server.ini"])
def test_configuration_needs_a_folder_of_its_own(bare: Machine, conf: str) -> None:
    environ = {**places(bare), "DEPLOY_CONF": conf}
    said = bare.deploy(script=SCRIPT, status=1, environ=environ)
    assert f"the setting CONF is '{conf}', it has to be in a folder of its own" in said
    assert not (bare.path / "calls").exists(), "nothing was done"


def untouched(machine: Machine, *arguments: object) -> str:
    """What it says when it refuses, before it has done anything."""
    there = sorted(path.name for path in machine.conf.parent.iterdir())
    said = install(machine, *arguments, status=1)
    assert not (machine.path / "calls").exists()
    assert sorted(path.name for path in machine.conf.parent.iterdir()) == there
    return said


def test_link_in_the_place_of_the_settings(bare: Machine) -> None:
    """Root would write, and open to all, whatever it leads to."""
    victim = bare.path / "shadow"
    victim.write_text("# secret\n")
    victim.chmod(0o600)
    bare.settings.symlink_to(victim)
    assert f"error: {bare.settings} is a link" in untouched(bare, "--domain", "call.example.org")
    assert (victim.read_text(), mode(victim)) == ("# secret\n", 0o600)


def test_link_that_leads_nowhere_yet(bare: Machine) -> None:
    bare.settings.symlink_to(bare.path / "made")
    assert f"error: {bare.settings} is a link" in untouched(bare)
    assert not (bare.path / "made").exists()


@pytest.mark.parametrize("whose", ["folder", "file"])
def test_settings_where_somebody_else_can_write(bare: Machine, whose: str) -> None:
    bare.settings.write_text("KEEP=9\n")
    bare.settings.chmod(0o600)
    path = bare.settings.parent if whose == "folder" else bare.settings
    os.chown(path, 65534, 65534)
    said = untouched(bare, "--domain", "call.example.org")
    assert f"error: {path} can be written by others (owner 65534, " in said
    assert f"chown root {path} && chmod go-w {path}" in said
    assert (bare.settings.read_text(), mode(bare.settings)) == ("KEEP=9\n", 0o600)


def test_mode_of_settings_that_are_there_stays(bare: Machine) -> None:
    bare.settings.write_text("KEEP=9\n")
    bare.settings.chmod(0o600)
    install(bare, "--email", "ops@example.org")
    assert bare.settings.read_text() == "KEEP=9\nEMAIL=ops@example.org\n"
    assert mode(bare.settings) == 0o600


def test_advice_for_who_is_not_root(bare: Machine) -> None:
    """The ZIP was unpacked by a program that makes no file executable."""
    setpriv = shutil.which("setpriv")
    if not setpriv:
        pytest.skip("setpriv is not installed")
    bare.path.chmod(0o755)
    script = bare.path / "copy" / "install.sh"
    script.parent.mkdir()
    for name in ("install.sh", "settings.sh"):
        (script.parent / name).write_text((DEPLOY / name).read_text())
    command = [setpriv, "--reuid=65534", "--clear-groups", "bash", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"sudo bash {script} …" in done.stderr


def test_user_that_is_there(bare: Machine) -> None:
    bare.program("id", "#!/bin/sh\n")
    install(bare)
    assert not [call for call in bare.calls() if call.startswith("useradd")]
    assert re.fullmatch(r"#.*\n", bare.settings.read_text())


@pytest.mark.parametrize("value", ["a b", "$(id)", "-x", "a;b"])
def test_value_that_cannot_be_right(bare: Machine, value: str) -> None:
    said = install(bare, "--domain", value, status=2)
    assert f"'{value}' cannot be right" in said
    assert not bare.settings.exists()
