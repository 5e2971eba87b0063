"""Checkouts to make releases of: copies of the sources as they are, committed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.test_packaging import NOT_SOURCES
from tornado_webrtc import __version__

ROOT = Path(__file__).resolve().parents[2]
WHEN = 1700000000
GIT = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org")


def git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    date = f"{WHEN} +0000"
    done = subprocess.run(
        [*GIT, "-c", "commit.gpgsign=false", *arguments],
        cwd=folder,
        env={**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit_all(folder: Path) -> None:
    """Commit a folder, at a time that is always the same."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=All there is")


def committed_sources(folder: Path) -> Path:
    """Copy the sources, with a chapter on their version in CHANGELOG.md, and commit them."""
    shutil.copytree(ROOT, folder, ignore=NOT_SOURCES, symlinks=True)
    path = folder / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(__version__)}\b", text, re.MULTILINE):
        text = text.replace("## Unreleased\n", f"## {__version__} (2026-11-23)\n", 1)
        path.write_text(text, encoding="utf-8")
    commit_all(folder)
    return folder
