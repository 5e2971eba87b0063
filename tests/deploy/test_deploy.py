"""deploy/deploy.sh: a release is put into service, or what was there goes on."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import Good, MakeZip
from tests.deploy.machine import DEPLOY, Machine
from tests.deploy.release import BROKEN, Workshop, adding, pins

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy")]

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


def test_rollback_to_what_runs(machine: Machine, good: Good) -> None:
    machine.deploy("--local", good("1.0.0"))
    calls = machine.calls()
    said = machine.deploy("--rollback", machine.current(), status=1)
    assert f"error: {machine.current()} is what runs" in said
    assert machine.calls() == calls


def test_rollback_while_nothing_runs(machine: Machine, good: Good) -> None:
    machine.deploy("--local", good("1.0.0"))
    (name,) = machine.releases()
    (machine.root / "current").unlink()
    machine.deploy("--rollback", name)
    assert machine.serving() == "1.0.0"
    assert machine.releases() == [name]
    assert machine.leftovers() == set()


def test_folder_that_is_no_release(machine: Machine, good: Good) -> None:
    """It is neither listed, nor gone back to, nor taken away."""
    notes = machine.root / "releases" / "20200101T000000Z-v0.9.0"
    (notes / "bin").mkdir(parents=True)
    (notes / "verdict").write_text("good\n")
    machine.configure(KEEP=2)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        machine.deploy("--local", good(version))
    assert machine.verdicts() == {"1.2.0": "good*", "1.1.0": "good"}
    assert notes.is_dir()
    machine.deploy("--rollback")
    assert "there is no other good release" in machine.deploy("--rollback", status=1)


def test_two_of_a_version_in_one_second(machine: Machine, good: Good) -> None:
    machine.program("date", "#!/bin/sh\necho 20261123T101530Z\n")
    machine.deploy("--local", good("1.0.0"))
    pid = machine.pid()
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert "error: 20261123T101530Z-v1.0.0 is there already; try again" in said
    assert (machine.serving(), machine.pid()) == ("1.0.0", pid)
    assert machine.leftovers() == set()


def test_nobody_to_run_the_service_as(machine: Machine, good: Good) -> None:
    machine.configure(RUN_AS="nobody-of-this-name")
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert "error: there is no user nobody-of-this-name" in said
    assert not machine.root.exists()


def test_folder_that_cannot_be_made(machine: Machine, good: Good) -> None:
    machine.configure(PREFIX=machine.conf / "opt")
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert f"error: {machine.conf}/opt cannot be made" in said


def test_who_calls_it_has_a_mask_of_their_own(machine: Machine, good: Good) -> None:
    """The service's user may read what root installs, and a slash at an end means nothing."""
    wrapper = machine.program("masked", f'#!/bin/bash\numask 077\n{DEPLOY}/deploy.sh "$@"\n')
    machine.configure(PREFIX=f"{machine.root}/")
    machine.deploy("--local", good("1.0.0"), script=wrapper)
    assert machine.verdicts() == {"1.0.0": "good*"}
    release = machine.root / "releases" / machine.current()
    assert release.stat().st_mode & 0o777 == 0o755
    for path in [machine.root, *machine.root.rglob("*")]:
        shut = 0o044 if path.is_file() else 0o055
        if path.name != ".lock" and not path.is_symlink():
            assert path.stat().st_mode & shut == shut, path


def test_folder_and_variables_of_who_calls_it(machine: Machine, good: Good) -> None:
    """Root runs no Python of a folder where it happens to be, nor of its shell's variables."""
    folder = machine.path / "somewhere"
    folder.mkdir()
    for name in ("venv", "pip", "sitecustomize", "json", "hashlib"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'RAN')!r}, 'w')\n")
    wrapper = machine.program("elsewhere", f'#!/bin/bash\ncd {folder}\n{DEPLOY}/deploy.sh "$@"\n')
    environ = {"PYTHONPATH": str(folder), "PYTHONHOME": "/nowhere"}
    machine.deploy("--local", good("1.0.0"), script=wrapper, environ=environ)
    assert machine.serving() == "1.0.0"
    assert not (folder / "RAN").exists()


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


def test_first_release_of_all_is_broken(machine: Machine, make_zip: MakeZip) -> None:
    broken = make_zip("1.0.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    said = machine.deploy("--local", broken, status=1)
    assert "NOTHING SERVES" in said
    assert machine.current() == ""
    assert machine.verdicts() == {"1.0.0": "bad"}
    assert machine.calls()[-1] == "systemctl stop tornado-webrtc"


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


def test_failed_runs_do_not_fill_the_disk(machine: Machine, good: Good, make_zip: MakeZip) -> None:
    machine.configure(KEEP=2)
    machine.deploy("--local", good("1.0.0"))
    broken = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    for _ in range(4):
        machine.deploy("--local", broken, status=1)
    assert len(machine.releases()) == 4, "KEEP, the one that runs, and the last that failed"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}


def test_more_than_one_thing_to_do(machine: Machine, good: Good) -> None:
    said = machine.deploy("--rollback", "--local", good("1.0.0"), status=2)
    assert "more than one of -f, --local, --rollback and --list" in said
    assert machine.releases() == []


# --- the disk is full ---------------------------------------------------------------------


def full(machine: Machine, program: str, file: Path, *, when: str) -> None:
    """Let a file find no room from the moment on when a program is called with something."""
    machine.can_lose_power(program)
    path = machine.path / "bin" / program
    lines = path.read_text().splitlines()
    lines.insert(2, f'[[ "$*" != {when} ]] || ln -sf /dev/full {file}')
    path.write_text("\n".join(lines) + "\n")


def test_no_room_for_the_verdict(machine: Machine, good: Good) -> None:
    """What serves goes on serving, and old releases are taken away: that makes room."""
    machine.deploy("--local", good("1.0.0"))
    full(machine, "systemctl", machine.root / "releases" / ".verdict", when='"restart "*')
    said = machine.deploy("--local", good("1.1.0"))
    assert re.search(r"cannot be written down that \S+v1.1.0 is good; is the disk full\?", said)
    assert re.search(r"v1.1.0 serves$", said, re.MULTILINE)
    assert machine.serving() == "1.1.0"
    assert machine.leftovers() == set()
    assert machine.verdicts() == {"1.1.0": "unknown*", "1.0.0": "good"}


def test_no_room_to_write_down_what_comes(machine: Machine, good: Good) -> None:
    machine.deploy("--local", good("1.0.0"))
    pid = machine.pid()
    full(machine, "sync", machine.root / ".pending", when='*"/.making-"*')
    said = machine.deploy("--local", good("1.1.0"), status=1)
    assert f"error: nothing can be written to {machine.root}; nothing was changed" in said
    assert (machine.serving(), machine.pid()) == ("1.0.0", pid)
    assert machine.leftovers() == set()


def test_no_room_to_unpack(machine: Machine, good: Good) -> None:
    machine.program(
        "small-python", f'#!/bin/bash\nulimit -f 64\nexec {machine.path}/bin/quick-python "$@"\n'
    )
    machine.configure(PYTHON=machine.path / "bin" / "small-python")
    said = machine.deploy("--local", good("1.0.0"), status=1)
    assert ".zip cannot be unpacked here: [Errno 27] File too large" in said
    assert "there is no new release; nothing was changed" in said
    assert "Make it anew" not in said
    assert machine.releases() == []
    assert machine.leftovers() == set()


def test_link_that_cannot_be_put_back(machine: Machine, good: Good, make_zip: MakeZip) -> None:
    """It is not forgotten: the next run ends what was begun."""
    machine.deploy("--local", good("1.0.0"))
    before = machine.current()
    broken = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    ln = f'#!/bin/bash\n[[ $* != *{before}* ]] || exit 1\nexec {shutil.which("ln")} "$@"\n'
    machine.program("ln", ln)
    said = machine.deploy("--local", broken, status=1)
    assert f"current cannot be led back to {before}; NOTHING SERVES" in said
    assert "run this again: it ends what was begun" in said
    machine.program("ln", f'#!/bin/bash\nexec {shutil.which("ln")} "$@"\n')
    machine.deploy("--local", machine.path / "nothing.zip", status=1)
    assert machine.current() == before
    assert machine.serving() == "1.0.0"
    assert machine.leftovers() == set()


# --- two at once --------------------------------------------------------------------------


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


CHMOD = """#!/bin/bash
stat --format '%a %n' -- "${{@: -1}}" >> {machine}/modes
exec {real} "$@"
"""


def test_lock_is_roots_alone(machine: Machine, good: Good) -> None:
    """From its first moment; and one that an earlier version has left open to all is shut."""
    real = shutil.which("chmod")
    machine.program("chmod", CHMOD.format(machine=machine.path, real=real))
    lock = machine.root / ".lock"
    machine.deploy("--rollback", status=1)
    assert (machine.path / "modes").read_text() == f"600 {lock}\n", "before it is shut"
    lock.chmod(0o644)
    machine.deploy("--rollback", status=1)
    assert lock.stat().st_mode & 0o777 == 0o600


RUNUSER = """#!/usr/bin/env bash
# Notes the session that it is in, what it reads from, and which of its files is a lock;
# changes no user.
cut -d' ' -f6 /proc/$$/stat >> {machine}/sessions
readlink /proc/$$/fd/0 >> {machine}/read
find /proc/$$/fd -lname '*/.lock' >> {machine}/held
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs anything as somebody else")
def test_service_user_gets_neither_the_lock_nor_the_terminal(machine: Machine, good: Good) -> None:
    machine.program("runuser", RUNUSER.format(machine=machine.path))
    machine.configure(RUN_AS="nobody")
    text = f'#!/bin/bash\nexec {DEPLOY}/deploy.sh "$@" < {machine.settings}\n'
    process = machine.start("--local", good("1.0.0"), script=machine.program("typed", text))
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    sessions = (machine.path / "sessions").read_text().split()
    assert sessions
    assert str(process.pid) not in sessions, "which is that of the script"
    assert (machine.path / "held").read_text() == ""
    assert {*(machine.path / "read").read_text().split()} == {"/dev/null"}
