"""A release is made of a commit, with the modes that are in it."""

import os
import stat
from pathlib import Path

import pytest

from release.checkout import check_clean, commit_time, export
from release.errors import ReleaseError
from tests.release.committed import WHEN, commit_all, git


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    (folder / "read.me").write_text("hello\n")
    (folder / "sub" / "program").write_text("#!/bin/sh\n")
    (folder / "sub" / "program").chmod(0o755)
    (folder / "link").symlink_to("read.me")
    (folder / ".gitignore").write_text("/build/\n")
    commit_all(folder)
    return folder


def test_clean(checkout: Path) -> None:
    (checkout / "build").mkdir()
    (checkout / "build" / "left.over").write_text("")
    check_clean(checkout)


def change(checkout: Path) -> None:
    (checkout / "read.me").write_text("changed\n")


def add(checkout: Path) -> None:
    (checkout / "new").write_text("")


def stage(checkout: Path) -> None:
    add(checkout)
    git(checkout, "add", "new")


def remove(checkout: Path) -> None:
    (checkout / "read.me").unlink()


@pytest.mark.parametrize(
    ("spoil", "name"), [(change, "read.me"), (add, "new"), (stage, "new"), (remove, "read.me")]
)
def test_not_clean(checkout: Path, spoil: object, name: str) -> None:
    assert callable(spoil)
    spoil(checkout)
    with pytest.raises(ReleaseError) as caught:
        check_clean(checkout)
    assert str(caught.value).startswith(f"not committed: {name}. ")


def test_many_files(checkout: Path) -> None:
    for number in range(12):
        (checkout / f"new{number:02}").write_text("")
    with pytest.raises(ReleaseError, match=r"new09 and 2 more\."):
        check_clean(checkout)


def test_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="git status fails in"):
        check_clean(tmp_path)


def test_no_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    with pytest.raises(ReleaseError, match="git is missing"):
        check_clean(checkout)


def test_commit_time(checkout: Path) -> None:
    assert commit_time(checkout) == WHEN


def test_export(checkout: Path, tmp_path: Path) -> None:
    """What is committed, as it was committed, whatever umask and settings are."""
    git(checkout, "config", "core.autocrlf", "true")
    change(checkout)
    add(checkout)
    before = os.umask(0o077)
    try:
        export(checkout, tmp_path / "out" / "source")
    finally:
        os.umask(before)
    source = tmp_path / "out" / "source"
    files = {path.relative_to(source).as_posix() for path in source.rglob("*")}
    assert files == {".gitignore", "link", "read.me", "sub", "sub/program"}
    assert (source / "read.me").read_bytes() == b"hello\n"
    assert (source / "link").is_symlink()
    assert stat.S_IMODE((source / "read.me").stat().st_mode) == 0o644
    assert stat.S_IMODE((source / "sub" / "program").stat().st_mode) == 0o755
