"""The import rules hold for this checkout, and the checker sees each kind of violation."""

import re
from pathlib import Path

import pytest

from tests.import_rules import ANNOTATIONS, TABLE, check

ROOT = Path(__file__).resolve().parents[1]


def write_tree(root: Path, files: dict[str, str]) -> None:
    """Make a small checkout with every package that the sources below speak of."""
    skeleton = dict.fromkeys(
        (
            "tornado_webrtc/__init__.py",
            "tornado_webrtc/errors.py",
            "tornado_webrtc/server.py",
            "tornado_webrtc/plugins/__init__.py",
            "plugins/red/__init__.py",
            "plugins/blue/__init__.py",
        ),
        "",
    )
    for name, source in {**skeleton, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_this_checkout_keeps_the_rules() -> None:
    assert check(ROOT) == []


def test_this_checkout_was_read() -> None:
    """A checker that looks into the wrong folder would find nothing wrong, ever."""
    assert (ROOT / "tornado_webrtc" / "errors.py").is_file()
    assert "errors" in TABLE


@pytest.mark.parametrize("library", ["stun", "turn", "signaling"])
@pytest.mark.parametrize(
    "module", ["asyncio", "tornado", "pluggy", "socket", "ssl", "time", "random", "secrets"]
)
@pytest.mark.parametrize("form", ["import {0}", "import {0}.part as x", "from {0} import part"])
def test_pure_libraries_have_no_world(tmp_path: Path, library: str, module: str, form: str) -> None:
    file = f"tornado_webrtc/{library}/message.py"
    write_tree(tmp_path, {file: f"import struct\n\n{form.format(module)}\n"})
    (found,) = check(tmp_path)
    assert (found.path, found.line) == (file, 3)
    assert found.reason.startswith(f"{library} imports {module}")


FORBIDDEN = {
    "signaling -> web": ("tornado_webrtc/signaling/a.py", "import tornado_webrtc.web"),
    "signaling -> package": (
        "tornado_webrtc/signaling/a.py",
        "from tornado_webrtc import hookimpl",
    ),
    "stun -> turn": ("tornado_webrtc/stun/a.py", "from tornado_webrtc.turn import allocation"),
    "stun -> stun's cousin, relative": ("tornado_webrtc/stun/a.py", "from ..turn import x"),
    "turn -> relay": ("tornado_webrtc/turn/a.py", "from tornado_webrtc import relay"),
    "relay -> turn": ("tornado_webrtc/relay/pure.py", "import tornado_webrtc.turn.allocation"),
    "relay -> asyncio": ("tornado_webrtc/relay/pure.py", "import asyncio"),
    "relay -> tornado.web": ("tornado_webrtc/relay/pure.py", "from tornado import web"),
    "relay -> tornado": ("tornado_webrtc/relay/pure.py", "import tornado"),
    "server -> turn": ("tornado_webrtc/server.py", "from tornado_webrtc.turn import x"),
    "web -> relay": ("tornado_webrtc/web/rest.py", "from ..relay import pure"),
    "web -> server": ("tornado_webrtc/web/rest.py", "from tornado_webrtc.server import Server"),
    "web -> stun": ("tornado_webrtc/web/__init__.py", "from .. import stun"),
    "cli -> hub": ("tornado_webrtc/cli.py", "from tornado_webrtc.web.hub import Hub"),
    "process -> config": ("tornado_webrtc/process.py", "from tornado_webrtc.config import Config"),
    "server -> process": ("tornado_webrtc/server.py", "from tornado_webrtc import process"),
    "cli -> plugin": ("tornado_webrtc/cli.py", "import tornado_webrtc.plugins.red"),
    "cli -> plugin, from": ("tornado_webrtc/cli.py", "from tornado_webrtc.plugins import red"),
    "pluginmanager -> plugin": ("tornado_webrtc/pluginmanager.py", "from .plugins.red import x"),
    "server -> plugin, by a string": (
        "tornado_webrtc/server.py",
        "importlib.import_module('tornado_webrtc.plugins.red')",
    ),
    "server -> plugin namespace": ("tornado_webrtc/server.py", "import tornado_webrtc.plugins"),
    "config -> hooks": ("tornado_webrtc/config/draft.py", "from tornado_webrtc.hooks import x"),
    "hooks -> server": ("tornado_webrtc/hooks.py", "from tornado_webrtc.server import Server"),
    "errors -> config": ("tornado_webrtc/errors.py", "from . import config"),
    "plugin -> server": ("plugins/red/__init__.py", "from tornado_webrtc.server import Server"),
    "plugin -> manager": ("plugins/red/a.py", "from tornado_webrtc import pluginmanager"),
    "plugin -> plugin": ("plugins/red/a.py", "from tornado_webrtc.plugins.blue import x"),
    "plugin -> plugin, from": ("plugins/red/a.py", "from tornado_webrtc.plugins import blue"),
    "plugin -> plugin, relative": ("plugins/red/a.py", "from ..blue import x"),
    "plugin -> plugin, bare": ("plugins/red/__init__.py", "from .. import blue"),
    "top-level name": ("plugins/red/a.py", "import plugins.red.b"),
    "top-level name in the core": ("tornado_webrtc/server.py", "from plugins import red"),
    "top-level name in a test": ("tests/plugins/test_red.py", "from plugins.red import x"),
    "top-level name in setup.py": ("setup.py", "import plugins"),
    "native in a plugin": ("plugins/red/a.py", "from tornado_webrtc.relay import _native"),
    "native in turn": ("tornado_webrtc/turn/a.py", "import _native_table"),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
@pytest.mark.parametrize("place", ["module", "function"])
def test_violation_is_reported_with_file_and_line(tmp_path: Path, kind: str, place: str) -> None:
    file, statement = FORBIDDEN[kind]
    source = statement if place == "module" else f"def f() -> None:\n    if f:\n        {statement}"
    write_tree(tmp_path, {file: f'"""Module."""\n\n{source}\n'})
    found = check(tmp_path)
    assert {(each.path, each.line) for each in found} == {(file, 3 if place == "module" else 5)}
    assert re.match(rf"{re.escape(file)}:\d: \S+ (imports|is imported) ", str(found[0]))


ALLOWED = {
    "tornado_webrtc/stun/a.py": "import struct, hmac\nfrom tornado_webrtc.stun import b",
    "tornado_webrtc/turn/a.py": "from ..stun import b\nfrom . import c\nfrom ..errors import X",
    "tornado_webrtc/signaling/a.py": "from tornado_webrtc.errors import SignalingError",
    "tornado_webrtc/relay/a.py": "from tornado.ioloop import IOLoop\nimport socket, time",
    "tornado_webrtc/relay/b.py": "from tornado import ioloop\nfrom . import _native",
    "tornado_webrtc/web/a.py": "import asyncio\nfrom tornado_webrtc import hooks, hookimpl",
    "tornado_webrtc/server.py": "from tornado_webrtc.web import a\nfrom .signaling import a",
    "tornado_webrtc/pluginmanager.py": "from tornado_webrtc.plugins import add_folder",
    "tornado_webrtc/cli.py": "from tornado_webrtc.server import Server",
    "tornado_webrtc/scaffold.py": "from tornado_webrtc.certificate import write_certificate",
    "tornado_webrtc/__main__.py": "from tornado_webrtc.cli import main",
    "tornado_webrtc/plugins/__init__.py": "from tornado_webrtc.paths import www_dir",
    "plugins/red/__init__.py": "from tornado_webrtc import hookimpl\nfrom .a import x",
    "plugins/red/a.py": "from tornado_webrtc.plugins.red import b\nfrom tornado_webrtc import turn",
    "plugins/blue/__init__.py": "import importlib\nimportlib.import_module(name)",
    "tests/test_red.py": "from tornado_webrtc.plugins import red\nimport tornado_webrtc.turn.x",
    "setup.py": "from setuptools import setup",
}


@pytest.mark.parametrize("file", ALLOWED)
def test_what_the_table_allows_is_silent(tmp_path: Path, file: str) -> None:
    write_tree(tmp_path, {file: ALLOWED[file]})
    assert check(tmp_path) == []


UNDER_TYPE_CHECKING = (
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {0}\nelse:\n    {1}\n"
)
SERVER = "from tornado_webrtc.server import Server"


@pytest.mark.parametrize(
    "file", ["tornado_webrtc/hooks.py", "tornado_webrtc/web/a.py", "plugins/red/a.py"]
)
def test_annotations_may_name_the_server(tmp_path: Path, file: str) -> None:
    write_tree(tmp_path, {file: UNDER_TYPE_CHECKING.format(SERVER, "pass")})
    assert check(tmp_path) == []


def test_the_other_branch_runs(tmp_path: Path) -> None:
    write_tree(tmp_path, {"tornado_webrtc/hooks.py": UNDER_TYPE_CHECKING.format("pass", SERVER)})
    assert [each.line for each in check(tmp_path)] == [5]


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("tornado_webrtc/signaling/a.py", SERVER),
        ("tornado_webrtc/signaling/a.py", "import asyncio"),
        ("tornado_webrtc/turn/a.py", "from tornado_webrtc.relay import table"),
        ("tornado_webrtc/server.py", "from tornado_webrtc.turn import server"),
        ("tornado_webrtc/server.py", "from tornado_webrtc.plugins import red"),
        ("plugins/red/a.py", "from tornado_webrtc.plugins.blue import x"),
    ],
)
def test_annotations_are_no_excuse(tmp_path: Path, file: str, statement: str) -> None:
    write_tree(tmp_path, {file: UNDER_TYPE_CHECKING.format(statement, "pass")})
    assert [(each.path, each.line) for each in check(tmp_path)] == [(file, 3)]


@pytest.mark.parametrize("name", ["helpers.py", "budget/__init__.py", "budget/daily.py"])
def test_every_module_belongs_to_a_group(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path, {f"tornado_webrtc/{name}": ""})
    (found,) = check(tmp_path)
    assert found.path == f"tornado_webrtc/{name}"
    assert "belongs to no group" in found.reason


def test_table_speaks_of_groups_that_have_a_row() -> None:
    named = {name for row in (*TABLE.values(), *ANNOTATIONS.values()) for name in row}
    assert named <= TABLE.keys()
    assert ANNOTATIONS.keys() <= TABLE.keys()


def test_pure_libraries_have_no_looser_annotations() -> None:
    assert not {"stun", "turn", "signaling", "errors", "relay"} & ANNOTATIONS.keys()
