"""Relative paths: the file's folder first, then the working directory."""

import os
from pathlib import Path

import pytest

from tornado_webrtc.config.location import candidates, file_mode, is_folder, resolve


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    beside, working = tmp_path / "conf", tmp_path / "work"
    beside.mkdir()
    working.mkdir()
    os.chdir(working)
    return beside / "server.ini", working


def test_beside_the_file_comes_first(folders: tuple[Path, Path]) -> None:
    file, working = folders
    (file.parent / "web").mkdir()
    (working / "web").mkdir()
    assert resolve("web", file) == file.parent / "web"


def test_then_the_working_directory(folders: tuple[Path, Path]) -> None:
    file, working = folders
    (working / "web").mkdir()
    assert resolve("web", file) == Path("web")
    assert resolve("web", file).samefile(working / "web")


def test_what_exists_nowhere_belongs_beside_the_file(folders: tuple[Path, Path]) -> None:
    file, _ = folders
    assert resolve("web", file) == file.parent / "web"


def test_absolute_path(folders: tuple[Path, Path]) -> None:
    file, working = folders
    assert candidates(str(working / "x"), file) == (working / "x",)


def test_without_a_file() -> None:
    assert candidates("web", None) == (Path("web"),)


def test_file_in_the_working_directory_gives_one_place() -> None:
    assert candidates("web", Path("server.ini")) == (Path("web"),)


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b"])
def test_impossible_names(tmp_path: Path, text: str) -> None:
    path = resolve(text, tmp_path / "server.ini")
    assert file_mode(path) is None
    assert not is_folder(path)


def test_file_mode(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.touch()
    file.chmod(0o640)
    assert file_mode(file) == 0o640
    assert file_mode(tmp_path) is None
    assert file_mode(tmp_path / "missing") is None


def test_is_folder(tmp_path: Path) -> None:
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "missing")
