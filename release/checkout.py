"""The commit that a release is made of: whole, and nothing that is not in it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from release.errors import ReleaseError

__all__ = ["check_clean", "commit_time", "export"]

_SHOWN = 10


def check_clean(root: Path) -> None:
    """Refuse sources that are not what was committed.

    Args:
        root: The folder of the sources.

    Raises:
        ReleaseError: Files were changed, added or removed; or it is no Git checkout.
    """
    lines = _git(root, "status", "--porcelain", "--untracked-files=normal").decode().splitlines()
    if lines:
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        shown = ", ".join(line[3:] for line in lines[:_SHOWN])
        raise ReleaseError(
            f"not committed: {shown}{more}. A release is made of a commit: "
            "commit these files, or move them out of the way."
        )


def commit_time(root: Path) -> int:
    """Return when the commit was made, in seconds since 1970: the time of every file."""
    return int(_git(root, "log", "--max-count=1", "--format=%ct"))


def export(root: Path, folder: Path) -> None:
    """Write the files of the commit into a folder, whatever the user's umask and settings are.

    Args:
        root: The folder of the sources.
        folder: Where to; it is made.
    """
    ours = ("-c", "tar.umask=0022", "-c", "core.autocrlf=false", "-c", "core.eol=lf")
    archive = _git(root, *ours, "archive", "--format=tar", "HEAD")
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="tar")


def _git(root: Path, *arguments: str) -> bytes:
    """What git prints.

    Raises:
        ReleaseError: It fails.
    """
    try:
        done = subprocess.run(
            ["git", "-C", root, *arguments],  # noqa: S607 - git is where PATH says
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise ReleaseError("git is missing: a release is made of a commit") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise ReleaseError(f"git {arguments[0]} fails in {root}: {said}")
    return done.stdout
