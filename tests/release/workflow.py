"""The workflows of GitHub Actions, as tests read them and run their scripts."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def parsed(path: Path) -> dict[str, Any]:
    """A workflow; YAML takes its key `on` for a truth value."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: each for key, each in found.items()}


def workflow(name: str) -> dict[str, Any]:
    """The workflow in the file of this name."""
    return parsed(ROOT / ".github" / "workflows" / f"{name}.yml")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """The steps of all jobs."""
    for job in parsed(path)["jobs"].values():
        yield from job.get("steps", [])


def run_step(
    script: str, folder: Path, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a step's script as GitHub does, in a folder."""
    shell = ("/bin/bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
    return subprocess.run(
        [*shell, script], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
