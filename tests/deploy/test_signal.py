"""deploy/deploy.sh is told to stop: it ends in order, and what was there serves."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deploy.conftest import Good, MakeZip
from tests.deploy.machine import DEPLOY, Machine
from tests.deploy.release import MUTE, adding

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("deploy-power")]

ONCE = """#!/bin/bash
# Says that it was called, once, and goes on when it may: NAME with words that are like PATTERN.
if [[ $* == PATTERN && -p FIFO ]]; then
    echo x > FIFO
    rm FIFO
    ! [[ -p FIFO-on ]] || read -r _ < FIFO-on
    [[ NAME != curl ]] || exit 1
fi
exec REAL "$@"
"""


def can_be_held(machine: Machine, name: str, pattern: str = "*") -> Path:
    """Let a program say that it is called, into the FIFO that is returned, if there is one."""
    fifo = machine.path / f"called-{name}"
    text = ONCE.replace("PATTERN", pattern).replace("FIFO", str(fifo)).replace("NAME", name)
    machine.program(name, text.replace("REAL", str(shutil.which(name))))
    return fifo


@pytest.fixture
def seconds() -> int:
    """How long the run waits."""
    return 60


@pytest.fixture
def waiting(
    machine: Machine, good: Good, make_zip: MakeZip, seconds: int
) -> "Iterator[subprocess.Popen[str]]":
    """A run that has switched to a release which never becomes ready; 1.0.0 was there before."""
    machine.deploy("--local", good("1.0.0"))
    machine.configure(READY_SECONDS=seconds)
    mute = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(MUTE)})
    asked = can_be_held(machine, "curl")
    can_be_held(machine, "ln", f"*{machine.current()}*")
    os.mkfifo(asked)
    # A shell cannot take notice of what those who started it have ignored.
    arguments = ("--default-signal", DEPLOY / "deploy.sh", "--local", mute)
    with machine.start(*arguments, script=Path("/usr/bin/env")) as process:
        try:
            assert asked.read_text() == "x\n"
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def is_as_before(machine: Machine) -> bool:
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}
    assert machine.leftovers() == set()
    return True


@pytest.mark.parametrize("what", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_while_it_waits(
    machine: Machine, waiting: "subprocess.Popen[str]", what: signal.Signals
) -> None:
    waiting.send_signal(what)
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 128 + what, said
    assert "back to" in said
    assert is_as_before(machine)


@pytest.mark.parametrize(
    ("seconds", "status"), [(60, 128 + signal.SIGTERM), (1, 128 + signal.SIGPIPE)]
)
def test_nobody_reads_what_it_says(
    machine: Machine, waiting: "subprocess.Popen[str]", status: int
) -> None:
    """The window was closed, or what it was piped into has ended; with and without a signal."""
    assert waiting.stdout
    waiting.stdout.close()
    if status == 128 + signal.SIGTERM:
        waiting.terminate()
    assert waiting.wait(60) == status
    assert is_as_before(machine)


def test_told_once_more_while_it_goes_back(
    machine: Machine, waiting: "subprocess.Popen[str]"
) -> None:
    """Who is impatient does not leave the machine half way."""
    going_back, go_on = machine.path / "called-ln", machine.path / "called-ln-on"
    for fifo in (go_on, going_back):
        os.mkfifo(fifo)
    waiting.terminate()
    assert going_back.read_text() == "x\n"
    for what in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        waiting.send_signal(what)
    go_on.write_text("\n")
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 128 + signal.SIGTERM, said
    assert is_as_before(machine)
