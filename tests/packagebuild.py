"""Packages of the sources, built in one environment for all tests of a run.

`python -m build` makes an environment for each package, which takes longer than the package.
This one has what those would have: what pyproject.toml asks for, and what runs the build.
"""

import fcntl
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder that all workers of a run share; whoever writes there takes a lock before."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    return folder


def build(environment: Path, *arguments: str | Path) -> None:
    """Run `python -m build`; fail with what it said when it does not exit with 0.

    Args:
        environment: The folder for the environment, which is made if nobody has.
        arguments: What is said to it, such as ``--wheel``.
    """
    python = _prepared(environment)
    command = (python, "-m", "build", "--no-isolation", *arguments)
    _run(*command, cwd=environment)


def _prepared(environment: Path) -> Path:
    """The interpreter of an environment that is complete."""
    python, complete = environment / "bin" / "python", environment / "complete"
    with (environment / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
            needed = project["build-system"]["requires"]
            _run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
            pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
            _run(*pip, "build", *needed, cwd=environment)
            complete.touch()
    return python


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
