"""Configuration, demo client and plugins are found in a checkout and in an installed package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tornado_webrtc import paths

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = ("conf_dir", "www_dir", "shipped_plugins_dir")


def ask(folder: Path) -> list[str]:
    """Import `paths` from a package in that folder and call everything it has."""
    program = "from tornado_webrtc import paths\n" + "\n".join(
        f"print(paths.{name}())" for name in FUNCTIONS
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with nothing in it but what `paths` needs."""
    folder = tmp_path.resolve() / "tornado_webrtc"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(ROOT / "tornado_webrtc" / "paths.py", folder)
    return folder


def test_this_checkout() -> None:
    assert paths.conf_dir() == ROOT / "conf"
    assert paths.www_dir() == ROOT / "www"
    assert paths.shipped_plugins_dir() == ROOT / "plugins"
    assert (paths.conf_dir() / "server.ini").is_file()
    assert (paths.www_dir() / "index.html").is_file()


def test_installed(package: Path) -> None:
    assert ask(package.parent) == [f"{package}/conf", f"{package}/www", "None"]


def test_checkout(package: Path) -> None:
    root = package.parent
    (root / "setup.py").touch()
    (root / "plugins").mkdir()
    assert ask(root) == [f"{root}/conf", f"{root}/www", f"{root}/plugins"]


def test_checkout_without_plugins(package: Path) -> None:
    (package.parent / "setup.py").touch()
    assert ask(package.parent)[2] == "None"


def test_a_plugins_folder_of_somebody_else(package: Path) -> None:
    """In site-packages, `plugins` may be another distribution's."""
    (package.parent / "plugins").mkdir()
    assert ask(package.parent)[2] == "None"
