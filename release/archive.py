"""Archives whose bytes depend on nothing but the files: no clock, no user, no umask."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["checksums", "sha256", "steady_tar", "write_zip"]

_ZIP_BEGINS = 315532800
"""1980-01-01: a ZIP has no earlier times."""

_FILE, _PROGRAM = 0o644, 0o755
_CHUNK_BYTES = 1 << 20


def write_zip(path: Path, folder: Path, modified: int) -> None:
    """Put a folder and all that is in it into a ZIP, below the folder's own name.

    Args:
        path: The ZIP; replaced if it is there.
        folder: What to put in.
        modified: The time of every file, in seconds since 1970.
    """
    when = time.gmtime(max(modified, _ZIP_BEGINS))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), when)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix: the mode below counts
            info.external_attr = (0o100000 | _mode(file.stat().st_mode)) << 16
            archive.writestr(info, file.read_bytes())


def steady_tar(path: Path, modified: int) -> None:
    """Write a .tar.gz once more, without what differs from build to build.

    Args:
        path: The archive; replaced.
        modified: The time of every file, in seconds since 1970.
    """
    content = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=content, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid = modified, 0, 0
            member.uname = member.gname = ""
            member.mode = _PROGRAM if member.isdir() else _mode(member.mode)
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, modified) as packed:
        packed.write(content.getvalue())


def _mode(mode: int) -> int:
    return _PROGRAM if mode & 0o100 else _FILE


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def checksums(paths: Iterable[Path], below: Path) -> str:
    """What ``sha256sum`` prints for files, and ``sha256sum --check`` reads.

    Args:
        paths: The files.
        below: The folder that names are relative to.
    """
    lines = {path.relative_to(below).as_posix(): sha256(path) for path in paths}
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(lines.items()))
