"""Sdist and wheel, the same bytes from the same sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from release.archive import steady_tar
from release.errors import ReleaseError

__all__ = ["make_packages"]

CONSTRAINTS = Path("release", "constraints.txt")


def make_packages(source: Path, output: Path, modified: int) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it.

    Args:
        source: The folder of the sources, nothing but what was committed; the build leaves
            folders there.
        output: The folder to put them into.
        modified: The time of every file, in seconds since 1970.

    Returns:
        The paths of sdist and wheel.

    Raises:
        ReleaseError: The build fails.
    """
    environ = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(modified),
        "PIP_CONSTRAINT": str(source / CONSTRAINTS),
        "PYTHONHASHSEED": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", output, source],
        env=environ,
        umask=0o022,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"the build fails:\n{done.stdout}")
    (sdist,) = output.glob("*.tar.gz")
    (wheel,) = output.glob("*.whl")
    steady_tar(sdist, modified)
    return sdist, wheel
