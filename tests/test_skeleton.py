"""A plugin to begin with: its own tests pass, it installs, and nothing is overwritten."""

import subprocess
import sys
from pathlib import Path

import pytest

from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.skeleton import PLACEHOLDER, make_skeleton

FILES = [
    "README.md",
    "plugins/call_limit.py",
    "pyproject.toml",
    "server.ini",
    "tests/test_call_limit.py",
]


def run(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_name_is_put_in_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "call_limit"
    made = make_skeleton("call_limit", folder)
    assert [str(path.relative_to(folder)) for path in made] == FILES
    assert sorted(tmp_path.rglob("*")) == sorted(
        {*made, *(parent for path in made for parent in path.parents if tmp_path in parent.parents)}
    )
    text = "".join(path.read_text() for path in made)
    assert PLACEHOLDER not in text
    assert PLACEHOLDER.replace("_", "-") not in text
    assert "tornado-webrtc-call-limit" in text
    assert folder.stat().st_mode & 0o777 == 0o755


def test_its_tests_pass_and_can_fail(tmp_path: Path) -> None:
    make_skeleton("call_limit", tmp_path / "new")
    pytest_here = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore")
    assert "3 passed" in run(tmp_path / "new", *pytest_here)
    plugin = tmp_path / "new" / "plugins" / "call_limit.py"
    plugin.write_text(plugin.read_text().replace("{message.peer.name}!", "{message.peer.id}?"))
    with pytest.raises(AssertionError, match="3 failed"):
        run(tmp_path / "new", *pytest_here)


def test_it_can_be_installed(tmp_path: Path) -> None:
    make_skeleton("call_limit", tmp_path / "new")
    site = tmp_path / "site"
    options = ("--quiet", "--no-deps", "--disable-pip-version-check", "--target", str(site))
    run(tmp_path, "-m", "pip", "install", *options, str(tmp_path / "new"))
    (found,) = site.glob("tornado_webrtc_call_limit-0.1.0.dist-info/entry_points.txt")
    assert found.read_text() == "[tornado_webrtc]\ncall_limit = call_limit\n"
    assert (site / "call_limit.py").is_file()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("call-limit", "identifier"),
        ("class", "identifier"),
        ("", "identifier"),
        ("ünïcode", "identifier"),
        ("../escape", "identifier"),
        ("CallLimit", "lower case"),
        ("_hidden", "underscore"),
        ("admin", "section of the server"),
        ("listener", "figures of its own"),
        ("logging_json", "already"),
        ("json", "hide the module"),
        ("tornado", "hide the module"),
        ("tornado_webrtc", "hide the module"),
        ("pytest", "hide the module"),
        ("click", "hide the module"),
        ("jwt", "hide the module"),
    ],
)
def test_name_that_will_not_do(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(TornadoWebrtcError, match=reason):
        make_skeleton(name, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_called_like_it_is_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "call_limit").mkdir()
    make_skeleton("call_limit", tmp_path / "call_limit")


@pytest.mark.parametrize("absolute", [True, False])
def test_empty_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    before = folder.stat()
    monkeypatch.chdir(folder)
    made = make_skeleton("call_limit", folder if absolute else Path())
    assert sorted(str(path.relative_to(folder if absolute else "")) for path in made) == FILES
    assert all(path.is_file() for path in made)
    assert sorted(path.name for path in Path().iterdir()) == sorted(
        {Path(file).parts[0] for file in FILES}
    ), "the working folder is not what it was, or something else is in it"
    assert Path().stat().st_ino == folder.stat().st_ino == before.st_ino
    assert folder.stat().st_mode == before.st_mode


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    make_skeleton("call_limit", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(TornadoWebrtcError, match="there already; name another folder"):
        make_skeleton("other", folder)
    with pytest.raises(TornadoWebrtcError, match="there already"):
        make_skeleton("other", folder / "server.ini")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TornadoWebrtcError, match="cannot be written"):
        make_skeleton("call_limit", tmp_path / "file" / "new")
