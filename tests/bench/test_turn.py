"""The benchmark as a user runs it: `python bench/turn.py`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.scenario import SCENARIOS
from bench.turn import client_address

pytestmark = pytest.mark.xdist_group("bench")

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "bench/turn.py"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--quick" in done.stdout


def test_wrong_usage() -> None:
    done = run("--only", "everything")
    assert done.returncode == 2
    assert all(each.name in done.stderr for each in SCENARIOS)


def test_quick() -> None:
    done = run("--quick", "--without-coturn", "--foreign=1000", "--only=allocations")
    assert done.returncode == 0, done.stderr
    assert "pure Python" in done.stdout
    assert "Allocations made\n" in done.stdout


def test_every_scenario_works() -> None:
    done = run("--quick", "--without-coturn", "--foreign=1000", "--duration=0.3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["scenarios"]
    assert [each["name"] for each in found] == [each.name for each in SCENARIOS]
    for figures in (each["servers"]["ours"]["median"] for each in found):
        assert figures["pps"] > 0
        assert (figures["ready"], figures["bad"]) == (figures["allocations"], 0)


def test_interrupted_it_ends_what_it_started() -> None:
    command = [*COMMAND, "--without-coturn", "--only=udp-160-c2p"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stderr is not None
        assert bench.stderr.readline() == "udp-160-c2p ...\n"
        deadline = time.monotonic() + 30
        while len(started := children(bench.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(started) == 2, "a server and a generator"
        os.kill(bench.pid, signal.SIGTERM)
        bench.communicate(timeout=20)
        assert bench.returncode == 1
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def test_no_two_runs_share_an_address() -> None:
    found = [client_address(run) for run in range(1000)]
    assert len(set(found)) == 1000
    assert found[0] == "127.1.0.1"
