"""deploy/deploy.sh: a release is put into service, or what was there goes on."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.conftest import MakeZip
from tests.deploy.machine import Machine
from tests.deploy.release import BROKEN, MUTE, Workshop, adding, pins

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy")]

Good = Callable[[str], Path]
ID = re.compile(r"\d{8}T\d{6}Z-v\d+\.\d+\.\d+")


def test_first_release_serves_from_an_environment_of_its_own(
    machine: Machine, good: Good, workshop: Workshop
) -> None:
    """The whole way, with the interpreter and pip as they are."""
    machine.configure(
        PYTHON=Path(os.path.realpath(sys.executable)),
        PIP_ARGS=f"--find-links {workshop.wheelhouse}",
    )
    said = machine.deploy("--local", good("1.0.0"))
    (name,) = machine.releases()
    assert ID.fullmatch(name)
    assert f"{name} serves" in said
    assert machine.current() == name
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.0.0": "good*"}
    assert machine.leftovers() == set()
    release = machine.root / "releases" / name
    assert (release / "deploy" / "deploy.sh").stat().st_mode & 0o777 == 0o755
    frozen = machine.run(release / "bin" / "pip", "freeze", "--exclude", "tornado-webrtc")
    assert dict(line.lower().replace("_", "-").split("==") for line in frozen.split()) == pins()
    for path in [*(release / "bin").iterdir(), release / "pyvenv.cfg"]:
        assert b".making-" not in path.read_bytes(), path


def test_second_release_takes_over_and_the_first_can_come_back(
    machine: Machine, good: Good
) -> None:
    machine.deploy("--local", good("1.0.0"))
    old = machine.pid()
    machine.deploy("--local", good("1.1.0"))
    assert machine.serving() == "1.1.0"
    assert machine.pid() != old
    assert machine.verdicts() == {"1.1.0": "good*", "1.0.0": "good"}
    said = machine.deploy("--rollback")
    assert "v1.0.0 serves" in said
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}
    said = machine.deploy("--rollback", status=1)
    assert "there is no other good release" in said
    # Somebody who knows better names the one.
    machine.deploy("--rollback", machine.releases()[1])
    assert machine.serving() == "1.1.0"
    assert machine.verdicts() == {"1.1.0": "good*", "1.0.0": "bad"}
    assert machine.leftovers() == set()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("20200101T000000Z-v9.9.9", "there is no release 20200101T000000Z-v9.9.9"),
        ("../releases", "there is no release ../releases"),
        (".making-x", "there is no release .making-x"),
    ],
)
def test_rollback_to_what_is_not_there(machine: Machine, name: str, complaint: str) -> None:
    assert complaint in machine.deploy("--rollback", name, status=1)
    assert not (machine.path / "calls").exists()


def test_broken_release_is_rolled_back_by_itself(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    machine.deploy("--local", good("1.0.0"))
    before = machine.current()
    broken = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    said = machine.deploy("--local", broken, status=1)
    assert "this release is broken" in said, "the end of the log"
    assert re.search(rf"error: \S+-v1.1.0 did not become ready; {before} serves again", said)
    assert machine.current() == before
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}
    assert machine.leftovers() == set()
    machine.deploy("--local", good("1.2.0"))
    assert machine.serving() == "1.2.0"


def test_release_that_never_becomes_ready_is_rolled_back(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    machine.deploy("--local", good("1.0.0"))
    machine.configure(READY_SECONDS=2)
    mute = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(MUTE)})
    said = machine.deploy("--local", mute, status=1, environ={"DEPLOY_READY_SECONDS": "1"})
    assert "this release waits for what never comes" in said
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}


def test_first_release_of_all_is_broken(machine: Machine, make_zip: MakeZip) -> None:
    broken = make_zip("1.0.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    said = machine.deploy("--local", broken, status=1)
    assert "NOTHING SERVES" in said
    assert machine.current() == ""
    assert machine.verdicts() == {"1.0.0": "bad"}
    assert machine.calls()[-1] == "systemctl stop tornado-webrtc"


def test_service_that_starts_something_else_is_not_taken_for_the_release(
    machine: Machine, good: Good
) -> None:
    """A unit that was left on another folder would serve the old version for ever."""
    machine.deploy("--local", good("1.0.0"))
    first = machine.root / "releases" / machine.current()
    systemctl = machine.path / "bin" / "systemctl"
    text = systemctl.read_text().replace(f"{machine.root}/current/bin", f"{first}/bin")
    machine.program("systemctl", text)
    machine.deploy("--local", good("1.1.0"), status=1, environ={"DEPLOY_READY_SECONDS": "1"})
    assert machine.current() == first.name
    assert machine.serving() == "1.0.0"


def test_configuration_that_the_new_release_refuses(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    machine.deploy("--local", good("1.0.0"))
    before, pid, calls = machine.current(), machine.pid(), machine.calls()
    without = make_zip("1.1.0", edits={"tornado_webrtc/plugins/logging_console/": None})
    said = machine.deploy("--local", without, status=1)
    assert "plugins.required" in said
    assert "the configuration is not right" in said
    assert (machine.current(), machine.pid(), machine.calls()) == (before, pid, calls)
    assert machine.releases() == [before]
    assert machine.leftovers() == set()
    assert machine.serving() == "1.0.0"


def test_configuration_that_the_old_release_would_refuse(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    without = make_zip("1.0.0", edits={"tornado_webrtc/plugins/logging_console/": None})
    text = machine.conf.read_text()
    machine.conf.write_text(text.replace("required = logging_console", ""))
    machine.deploy("--local", without)
    machine.conf.write_text(text)
    said = machine.deploy("--local", good("1.1.0"))
    assert re.search(r"warning: \S+-v1.0.0 could not start again with this configuration", said)
    pid = machine.pid()
    said = machine.deploy("--rollback", status=1)
    assert "the configuration is not right for" in said
    assert (machine.pid(), machine.serving()) == (pid, "1.1.0")


def test_the_last_releases_stay_and_the_one_to_go_back_to(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    machine.configure(KEEP=2)
    machine.deploy("--local", good("1.0.0"))
    broken = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    for _ in range(2):
        machine.deploy("--local", broken, status=1)
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}
    assert len(machine.releases()) == 3, "only a release that serves takes old ones away"
    machine.deploy("--local", good("1.2.0"))
    assert machine.verdicts() == {"1.2.0": "good*", "1.1.0": "bad", "1.0.0": "good"}
    machine.deploy("--local", good("1.0.0"))
    assert machine.verdicts() == {"1.0.0": "good*", "1.2.0": "good"}


def test_only_one_run_at_a_time(machine: Machine, good: Good) -> None:
    waiting, go_on = machine.path / "waiting", machine.path / "go-on"
    os.mkfifo(waiting)
    os.mkfifo(go_on)
    machine.program("sync", f"#!/bin/sh\necho x > {waiting}; read _ < {go_on}\n")
    first = machine.start("--local", good("1.0.0"))
    assert waiting.read_text() == "x\n", "it is about to give the release its name"
    said = machine.deploy("--local", good("1.1.0"), status=75)
    assert "another run of deploy.sh is not through yet" in said
    assert "another run" in machine.deploy("--rollback", status=75)
    assert machine.deploy("--list") == "", "looking is allowed"
    machine.program("sync", "#!/bin/sh\n")
    go_on.write_text("\n")
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    machine.deploy("--local", good("1.1.0"))
    assert machine.serving() == "1.1.0", "the server does not hold the lock"


def test_told_to_stop_while_it_waits(machine: Machine, good: Good, make_zip: MakeZip) -> None:
    """Whoever ends the run ends it in order: what was there serves."""
    machine.deploy("--local", good("1.0.0"))
    mute = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(MUTE)})
    asked = machine.path / "asked"
    os.mkfifo(asked)
    once = f"#!/bin/sh\n[ ! -p {asked} ] || {{ echo x > {asked}; rm {asked}; exit 1; }}\n"
    machine.program("curl", f'{once}exec {shutil.which("curl")} "$@"\n')
    process = machine.start("--local", mute)
    assert asked.read_text() == "x\n"
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "back to" in said
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}
    assert machine.leftovers() == set()
