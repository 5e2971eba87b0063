"""What is started stays on its core and is ended, whenever a signal comes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import process
from bench.errors import BenchError
from bench.machine import choose_cores
from bench.process import deferred_signals, started

CORE = choose_cores().server
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def usual_interrupt() -> Iterator[None]:
    """A shell that runs tests in the background has told them to ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_it_stays_on_its_core_and_is_ended() -> None:
    with started(["sleep", "60"], CORE, subprocess.DEVNULL, subprocess.DEVNULL) as running:
        assert os.sched_getaffinity(running.pid) == {CORE}
    assert running.returncode == -signal.SIGTERM


def test_the_servers_variables_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNADO_WEBRTC__TURN__REALM", "x")
    with started(["env"], CORE, subprocess.PIPE, subprocess.DEVNULL) as running:
        output, _ = running.communicate()
    assert b"PATH=" in output
    assert b"TORNADO_WEBRTC_" not in output


def test_it_is_killed_if_it_does_not_want_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.1)
    command = [sys.executable, "-c", STUBBORN]
    with started(command, CORE, subprocess.PIPE, subprocess.DEVNULL) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
    assert running.returncode == -signal.SIGKILL


def test_program_that_is_not_there(tmp_path: Path) -> None:
    command = [str(tmp_path / "none")]
    with (
        pytest.raises(BenchError, match="does not start"),
        started(command, CORE, subprocess.DEVNULL, subprocess.DEVNULL),
    ):
        pass


def test_signals_wait() -> None:
    seen: list[str] = []

    def begin() -> None:
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            seen.append("begun")

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert seen == ["begun"]


def test_a_signal_during_the_start_ends_what_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            processes.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        started(["sleep", "60"], CORE, subprocess.DEVNULL, subprocess.DEVNULL),
    ):
        pass
    assert [each.returncode for each in processes] == [-signal.SIGTERM]
