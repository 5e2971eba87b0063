"""The ZIP that a deployment unpacks: a wheel and what it takes to run it.

::

    tornado-webrtc-vX.Y.Z/
        VERSION             X.Y.Z
        SHA256SUMS          of every other file
        CHANGELOG.md  LICENSE
        requirements.txt    the libraries, name==version with --hash
        tornado_webrtc-X.Y.Z-py3-none-any.whl
        conf/server.ini     the reference configuration
        deploy/             scripts and units
"""

from __future__ import annotations

import shutil
from pathlib import Path

from release.archive import checksums, write_zip
from release.errors import ReleaseError

__all__ = ["SUMS", "bundle_name", "make_bundle"]

SUMS = "SHA256SUMS"
_COPIED = {
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "LICENSE",
    "conf/server.ini": "conf/server.ini",
    "deploy": "deploy",
    "release/requirements.txt": "requirements.txt",
}


def bundle_name(version: str) -> str:
    """The name of the ZIP without ``.zip``, and of the folder in it."""
    return f"tornado-webrtc-v{version}"


def make_bundle(source: Path, wheel: Path, version: str, output: Path, modified: int) -> Path:
    """Make the ZIP.

    Args:
        source: The folder of the sources, nothing but what was committed.
        wheel: What was built from them.
        version: Such as ``1.2.3``.
        output: The folder to put it into; one of the ZIP's name is made there and deleted.
        modified: The time of every file, in seconds since 1970.

    Returns:
        The ZIP's path.

    Raises:
        ReleaseError: Something that belongs into it is missing.
    """
    folder = output / bundle_name(version)
    path = output / f"{bundle_name(version)}.zip"
    folder.mkdir()
    try:
        _fill(folder, source, wheel, version)
        write_zip(path, folder, modified)
    finally:
        shutil.rmtree(folder)
    return path


def _fill(folder: Path, source: Path, wheel: Path, version: str) -> None:
    for name, target in _COPIED.items():
        _copy(source / name, folder / target)
    shutil.copyfile(wheel, folder / wheel.name)
    (folder / "VERSION").write_text(f"{version}\n", encoding="utf-8")
    files = [path for path in folder.rglob("*") if path.is_file()]
    (folder / SUMS).write_text(checksums(files, folder), encoding="utf-8")


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target)
    elif path.is_file():
        shutil.copy(path, target)
    else:
        raise ReleaseError(f"{path.name} is not in the sources, and belongs into the ZIP")
