"""Cores, and what a machine is called."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bench.machine import (
    Cores,
    choose_cores,
    describe,
    model_name,
    pinned,
    raise_file_limit,
    siblings,
)

AFFINITY = "import os; print(sorted(os.sched_getaffinity(0)))"


def topology(folder: Path, lists: dict[int, str]) -> Path:
    for core, shared in lists.items():
        path = folder / f"cpu{core}" / "topology"
        path.mkdir(parents=True)
        (path / "thread_siblings_list").write_text(f"{shared}\n")
    return folder


@pytest.mark.parametrize(
    ("shared", "expected"),
    [("0", {0}), ("0,4", {0, 4}), ("0-1", {0, 1}), ("0-1,4-5", {0, 1, 4, 5}), ("?", {0})],
)
def test_siblings(tmp_path: Path, shared: str, expected: set[int]) -> None:
    assert siblings(0, topology(tmp_path, {0: shared})) == expected


def test_siblings_of_a_silent_kernel(tmp_path: Path) -> None:
    assert siblings(3, tmp_path) == {3}


@pytest.mark.parametrize(
    ("usable", "expected"),
    [({0}, Cores(0, 0)), ({0, 1}, Cores(0, 1)), ({0, 1, 2, 3}, Cores(0, 2)), ({5, 7}, Cores(5, 7))],
)
def test_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usable: set[int], expected: Cores
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: usable)
    assert choose_cores(topology(tmp_path, {0: "0-1", 1: "0-1"})) == expected


def test_one_core_is_remarked_upon() -> None:
    assert "one core" in Cores(0, 0).note


def test_started_processes_stay_on_the_core() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with pinned(core):
        started = subprocess.run(
            [sys.executable, "-c", AFFINITY], capture_output=True, text=True, check=True
        )
    assert started.stdout.strip() == f"[{core}]"
    assert os.sched_getaffinity(0) == before


def test_as_many_files_as_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_model_name() -> None:
    assert model_name("processor\t: 0\nmodel name\t: A CPU: fast\n") == "A CPU: fast"
    assert model_name("processor : 0\n") == platform.machine()


def test_description() -> None:
    found = describe(Cores(0, 0))
    assert platform.release() in found["kernel"]
    assert "one core" in found["note"]
    assert {"CPU", "pinned", "load"} <= found.keys()
