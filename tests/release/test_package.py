"""Sdist and wheel are the same bytes, whatever the machine's clock and umask say."""

import os
import shutil
from pathlib import Path

import pytest

from release.archive import sha256
from release.errors import ReleaseError
from release.package import make_packages

WHEN = 1700000000
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "small"
version = "1.2.3"

[tool.setuptools]
packages = ["small"]
"""

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("release")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, text in {
        "pyproject.toml": PROJECT,
        "README.md": "Small.\n",
        "small/__init__.py": "A = 1\n",
        "release/constraints.txt": "setuptools==84.2.1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_same_bytes_twice(source: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(source, again, copy_function=shutil.copyfile)
    os.utime(again / "small" / "__init__.py", (1, 1))
    first = make_packages(source, tmp_path / "first", WHEN)
    before = os.umask(0o077)
    try:
        second = make_packages(again, tmp_path / "second", WHEN)
    finally:
        os.umask(before)
    assert [path.name for path in first] == ["small-1.2.3.tar.gz", "small-1.2.3-py3-none-any.whl"]
    assert [sha256(path) for path in first] == [sha256(path) for path in second]


def test_failing_build(source: Path, tmp_path: Path) -> None:
    (source / "pyproject.toml").write_text(PROJECT.replace('"small"]', '"large"]'))
    with pytest.raises(ReleaseError, match=r"(?s)the build fails:\n.*large"):
        make_packages(source, tmp_path / "out", WHEN)


def test_constraints_are_obeyed(source: Path, tmp_path: Path) -> None:
    (source / "release" / "constraints.txt").write_text("setuptools<77\n")
    with pytest.raises(ReleaseError, match=r"(?s)the build fails:\n.*setuptools"):
        make_packages(source, tmp_path / "out", WHEN)
