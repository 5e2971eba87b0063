"""Archives that are the same bytes whoever makes them, and when."""

import gzip
import hashlib
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from release.archive import checksums, sha256, steady_tar, write_zip

WHEN = 1700000000


def make_folder(folder: Path, modified: int = 1) -> Path:
    """A folder whose times, modes and order of files are whatever they are."""
    (folder / "sub").mkdir(parents=True)
    for name in ("b", "a", "sub/program"):
        (folder / name).write_text(f"{name}\n" * 100)
        os.utime(folder / name, (modified, modified))
    (folder / "b").chmod(0o600 if modified % 2 else 0o664)
    (folder / "sub" / "program").chmod(0o700 if modified % 2 else 0o755)
    return folder


def test_zip_depends_on_files_alone(tmp_path: Path) -> None:
    zips = []
    for modified in (1, 1000000):
        path = tmp_path / f"{modified}.zip"
        write_zip(path, make_folder(tmp_path / str(modified) / "top", modified), WHEN)
        zips.append(path.read_bytes())
    assert zips[0] == zips[1]
    write_zip(tmp_path / "later.zip", tmp_path / "1" / "top", WHEN + 2)
    assert (tmp_path / "later.zip").read_bytes() != zips[0]


def test_zip_has_everything(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", make_folder(tmp_path / "top"), WHEN)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        found = {each.filename: each.external_attr >> 16 for each in archive.infolist()}
        dates = {each.date_time for each in archive.infolist()}
        assert archive.read("top/sub/program") == b"sub/program\n" * 100
    assert found == {"top/a": 0o100644, "top/b": 0o100644, "top/sub/program": 0o100755}
    assert dates == {(2023, 11, 14, 22, 13, 20)}


def test_zip_begins_in_1980(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", make_folder(tmp_path / "top"), 0)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {each.date_time[0] for each in archive.infolist()} == {1980}


def test_tar_depends_on_files_alone(tmp_path: Path) -> None:
    tars = []
    for modified in (1, 1000000):
        folder = make_folder(tmp_path / str(modified) / "top", modified)
        path = tmp_path / f"{modified}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "top")
        steady_tar(path, WHEN)
        tars.append(path)
    assert tars[0].read_bytes() == tars[1].read_bytes()
    with tarfile.open(tars[0]) as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == sorted(each.name for each in members)
    assert {each.name for each in members} == {
        *("top", "top/a", "top/b", "top/sub", "top/sub/program")
    }
    assert {(each.mtime, each.uid, each.gid, each.uname) for each in members} == {(WHEN, 0, 0, "")}
    modes = {each.name: each.mode for each in members}
    assert modes["top/b"] == 0o644
    assert modes["top/sub/program"] == modes["top/sub"] == 0o755
    assert gzip.decompress(tars[0].read_bytes()).count(b"sub/program\n") == 100


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "top")
    files = [path for path in folder.rglob("*") if path.is_file()]
    text = checksums(files, folder)
    assert [line.split()[1] for line in text.splitlines()] == ["a", "b", "sub/program"]
    (folder / "SUMS").write_text(text)
    check = ["sha256sum", "--check", "--strict", "--status", "SUMS"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    (folder / "a").write_text("something else\n")
    assert subprocess.run(check, cwd=folder, check=False).returncode == 1


def test_checksums_of_files_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subpath"):
        checksums([tmp_path / "a"], tmp_path / "b")
