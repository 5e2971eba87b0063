"""The version stands in one place, has a form, a tag, and a chapter in the changelog."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tornado_webrtc
from release.errors import ReleaseError
from release.version import check_tag, notes, source_version

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = """# Changes

## Unreleased

* Not yet.

## 1.2.0 (2026-11-23)

* Two.

  More of it.

### Upgrading

* Nothing to do.

## 1.10.0rc1

* One.

## 1.0.0
"""


def sources(folder: Path, text: str) -> Path:
    (folder / "tornado_webrtc").mkdir()
    (folder / "tornado_webrtc" / "__init__.py").write_text(text)
    return folder


def test_version_of_these_sources() -> None:
    assert source_version(ROOT) == tornado_webrtc.__version__


def test_version_stands_in_one_place() -> None:
    """Nothing else in the sources is set to it; guides and comments may show it in an example."""
    version = re.escape(tornado_webrtc.__version__)
    pattern = re.compile(rf"(?i)(?:version[\W_]{{1,6}}|tornado_webrtc-){version}(?![\d.])")
    folders = ("tornado_webrtc", "plugins", "release", "conf", "deploy", ".github")
    names = ("setup.py", "pyproject.toml", "Makefile", "Dockerfile", "compose.yaml", "MANIFEST.in")
    paths = [ROOT / name for name in names]
    paths += [path for each in folders for path in (ROOT / each).rglob("*")]
    own = ROOT / "tornado_webrtc" / "__init__.py"
    assert all(path.is_file() for path in paths[: len(names)])
    found = [
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.is_file() and path.suffix != ".pyc" and path != own
        if path.name != "requirements.txt"  # libraries have versions, too,
        if not path.is_relative_to(ROOT / "conf" / "skeleton")  # and so have plugins
        if pattern.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []
    assert pattern.search(own.read_text(encoding="utf-8"))


def test_installed_version_is_that_of_the_sources() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "tornado_webrtc", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"tornado-webrtc {source_version(ROOT)} " in printed


@pytest.mark.parametrize("version", ["0.1.0", "1.2.3", "10.20.30rc4", "1.0.0a1", "1.0.0b2"])
def test_forms(tmp_path: Path, version: str) -> None:
    text = f'"""Doc."""\nimport os\nother = 1\n__version__ = "{version}"\n'
    assert source_version(sources(tmp_path, text)) == version


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "missing"),
        ('__version__ = "1.2"\n', "'1.2'"),
        ('__version__ = "1.2.3-beta"\n', "'1.2.3-beta'"),
        ('__version__ = "v1.2.3"\n', "'v1.2.3'"),
        ("__version__ = 123\n", "123"),
        ('__version__ = "1.2.3"\n__version__ = "1.2.4"\n', "'1.2.3', '1.2.4'"),
        ('__version__ = "1." + "2.3"\n', "None"),
    ],
)
def test_forms_that_are_refused(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        source_version(sources(tmp_path, text))
    assert f"__version__ is {found}; allowed is" in str(caught.value)


def test_notes() -> None:
    expected = "* Two.\n\n  More of it.\n\n### Upgrading\n\n* Nothing to do.\n"
    assert notes(CHANGELOG, "1.2.0") == expected
    assert notes(CHANGELOG, "1.10.0rc1") == "* One.\n"


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2", "1.10.0", "2026"])
def test_versions_without_a_chapter(version: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        notes(CHANGELOG, version)
    assert f"says nothing of {version}" in str(caught.value)
    assert "Unreleased, 1.2.0, 1.10.0rc1, 1.0.0" in str(caught.value)


def test_changelog_without_chapters() -> None:
    with pytest.raises(ReleaseError, match="its chapters: none"):
        notes("# Changes\n", "1.0.0")


def test_tag() -> None:
    check_tag("v1.2.3", "1.2.3")
    for tag in ("1.2.3", "v1.2.30", "v1.2", "V1.2.3", "v1.2.3 "):
        with pytest.raises(ReleaseError, match=r"their tag is 'v1\.2\.3'"):
            check_tag(tag, "1.2.3")
