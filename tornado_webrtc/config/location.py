"""Where a path that was written in a configuration file leads."""

from __future__ import annotations

import stat
from pathlib import Path

__all__ = ["candidates", "file_mode", "is_folder", "resolve"]


def candidates(text: str, file: Path | None) -> tuple[Path, ...]:
    """List the places that a path may mean, in the order in which they are tried.

    Args:
        text: The path as written.
        file: The configuration file that it stands in, if there is one.

    Returns:
        The path itself if it is absolute; else beside the file, then in the working directory.
    """
    path = Path(text)
    if path.is_absolute() or file is None:
        return (path,)
    return tuple(dict.fromkeys((file.parent / path, path)))


def resolve(text: str, file: Path | None) -> Path:
    """Choose the first place where something exists.

    Args:
        text: The path as written.
        file: The configuration file that it stands in, if there is one.

    Returns:
        That place; the first one if nothing exists anywhere.
    """
    places = candidates(text, file)
    return next((place for place in places if _exists(place)), places[0])


def file_mode(path: Path) -> int | None:
    """Return the permission bits of a file; None if a path does not lead to one."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else None


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; one that cannot be looked at does not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # name too long, folder not searchable
        return False
