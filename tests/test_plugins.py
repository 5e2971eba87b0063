"""The plugins' import namespace covers the shipped folder and the operators' folders."""

import importlib
import os
from pathlib import Path

import pytest

from tornado_webrtc import plugins
from tornado_webrtc.paths import shipped_plugins_dir


def write_plugin(folder: Path, name: str, source: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)


def test_shipped_plugins_come_first() -> None:
    package = Path(plugins.__file__).parent
    assert [Path(each) for each in plugins.__path__] == [package, shipped_plugins_dir()]


def test_operators_file_is_imported(tmp_path: Path) -> None:
    write_plugin(tmp_path, "greeter", "GREETING = 'hello'\n")
    plugins.add_folder(tmp_path)
    assert importlib.import_module("tornado_webrtc.plugins.greeter").GREETING == "hello"


def test_operators_package_is_imported(tmp_path: Path) -> None:
    write_plugin(tmp_path / "greeter", "__init__", "from .word import GREETING\n")
    write_plugin(tmp_path / "greeter", "word", "GREETING = 'hello'\n")
    plugins.add_folder(tmp_path)
    assert importlib.import_module("tornado_webrtc.plugins.greeter").GREETING == "hello"


def test_folder_is_added_once(tmp_path: Path) -> None:
    before = list(plugins.__path__)
    plugins.add_folder(tmp_path)
    plugins.add_folder(tmp_path / ".." / tmp_path.name)
    assert list(plugins.__path__) == [*before, str(tmp_path.resolve())]


def test_relative_folder_survives_a_change_of_directory(tmp_path: Path) -> None:
    write_plugin(tmp_path / "ours", "greeter", "GREETING = 'hello'\n")
    os.chdir(tmp_path)
    plugins.add_folder(Path("ours"))
    os.chdir("/")
    assert importlib.import_module("tornado_webrtc.plugins.greeter").GREETING == "hello"


def test_file_written_after_the_folder_was_searched(tmp_path: Path) -> None:
    plugins.add_folder(tmp_path)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tornado_webrtc.plugins.greeter")
    write_plugin(tmp_path, "greeter", "GREETING = 'hello'\n")
    plugins.add_folder(tmp_path)
    assert importlib.import_module("tornado_webrtc.plugins.greeter").GREETING == "hello"


def test_earlier_folder_wins(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_plugin(tmp_path / name, "greeter", f"GREETING = {name!r}\n")
        plugins.add_folder(tmp_path / name)
    assert importlib.import_module("tornado_webrtc.plugins.greeter").GREETING == "first"
