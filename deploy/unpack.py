"""Unpack a release, if it is one, and whole: ``python3 unpack.py ZIP FOLDER``.

It needs nothing but Python's standard library. The version goes to standard output; what is
wrong, with the ZIP or with this machine, goes to standard error, and the exit status is 1.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import stat
import struct
import sys
import zipfile
import zlib
from pathlib import Path, PurePosixPath

MAX_BYTES = 200 * 1024 * 1024
MAX_FILES = 5000
SUMS = "SHA256SUMS"
NEEDED = ("VERSION", SUMS, "requirements.txt", "deploy/deploy.sh", "conf/server.ini")

_TOP = re.compile(r"tornado-webrtc-v(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)")
_NAME = re.compile(r"[A-Za-z0-9._+@-]+")
_SUM = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(\S+)")

# What zipfile lets through from the bytes of a file that is none, or is encrypted.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, RuntimeError, ValueError),
)


class ReleaseError(Exception):
    """The ZIP is no release, or not a whole one."""


def unpack(archive: Path, folder: Path) -> str:
    """Unpack a release and compare its files with its own list.

    Args:
        archive: The ZIP. All of it is in one folder, ``tornado-webrtc-vX.Y.Z/``.
        folder: Where that folder's content goes; made, if it is missing.

    Returns:
        The version, without the ``v``.

    Raises:
        ReleaseError: If anything is not as it has to be. Files may be in the folder then.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            version = _check_names(opened.infolist())
            for entry in opened.infolist():
                _extract(opened, entry, folder)
    except _DAMAGE as error:
        raise ReleaseError(f"it is damaged, or no ZIP: {error}") from error
    _check_content(folder, version)
    return version


def _check_names(entries: list[zipfile.ZipInfo]) -> str:
    """Refuse what would be written elsewhere, or more than a release can be."""
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ReleaseError(f"it holds more than {MAX_FILES} files or {MAX_BYTES} bytes")
    tops = set()
    seen = set()
    for entry in entries:
        parts = entry.filename.rstrip("/").split("/")
        if any(not _NAME.fullmatch(part) or part in {".", ".."} for part in parts):
            raise ReleaseError(f"it holds a file of the name {entry.filename!r}")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise ReleaseError(f"{entry.filename!r} is neither a file nor a folder")
        if entry.filename in seen:
            raise ReleaseError(f"{entry.filename!r} is in it twice")
        seen.add(entry.filename)
        tops.add(parts[0])
    if len(tops) != 1 or not (top := _TOP.fullmatch(tops.pop())):
        raise ReleaseError("it has to hold one folder, tornado-webrtc-vX.Y.Z, and nothing else")
    return top[1]


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    """Write one file, without its first folder; programs may be run."""
    path = folder.joinpath(*PurePosixPath(entry.filename).parts[1:])
    try:
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(opened.read(entry))
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ReleaseError(f"{entry.filename!r} is both a file and a folder") from error
    path.chmod(0o755 if path.suffix == ".sh" else 0o644)


def _check_content(folder: Path, version: str) -> None:
    """Compare what was unpacked with the list that came along."""
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise ReleaseError(f"{', '.join(missing)} is missing")
    listed = _read_sums((folder / SUMS).read_text(encoding="utf-8", errors="replace"))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if differing := sorted(listed.keys() ^ (found - {SUMS})):
        raise ReleaseError(f"{SUMS} and the files differ: {', '.join(differing[:5])}")
    for name, digest in sorted(listed.items()):
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ReleaseError(f"{name} is not what {SUMS} says")
    said = (folder / "VERSION").read_text(encoding="utf-8", errors="replace").strip()
    if said.removeprefix("v") != version:
        raise ReleaseError(f"VERSION says {said!r}, the folder's name {version!r}")
    wheels = sorted(path.name for path in folder.glob("tornado_webrtc-*.whl"))
    if len(wheels) != 1:
        raise ReleaseError(f"it has to hold one wheel of tornado_webrtc, found {wheels}")


def _read_sums(text: str) -> dict[str, str]:
    listed = {}
    for line in text.splitlines():
        if not (match := _SUM.fullmatch(line)):
            raise ReleaseError(f"{SUMS} has a line that is not a sum and a name: {line[:80]!r}")
        listed[match[2]] = match[1]
    return listed


def main(arguments: list[str]) -> int:
    """Do it; the exit status is 0, or 1 if the ZIP is refused or there is no room for it."""
    archive, folder = map(Path, arguments)
    try:
        version = unpack(archive, folder)
    except ReleaseError as error:
        sys.stderr.write(f"error: {archive.name} is refused: {error}\n")
        sys.stderr.write("  Make it anew: make release.\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {archive.name} cannot be unpacked here: {error}\n")
        return 1
    sys.stdout.write(f"{version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
