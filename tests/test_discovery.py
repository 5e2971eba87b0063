"""Plugins are found in three places, the right ones run, and every fault names its place."""

import importlib
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tornado_webrtc import __version__, discovery
from tornado_webrtc.config import Plugins
from tornado_webrtc.discovery import RESERVED, Survey, survey

TEMPLATE = """
from tornado_webrtc import hookimpl

@hookimpl
def peer_left(peer):
    return {value!r}
"""
PLUGIN = TEMPLATE.format(value="x")


def write(folder: Path, name: str, source: str = PLUGIN) -> Path:
    """Write ``name.py``, or ``name/__init__.py`` if the name ends in a slash."""
    file = folder / f"{name}__init__.py" if name.endswith("/") else folder / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(source))
    return file


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder in place of the shipped plugins'."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(discovery, "shipped_plugins_dir", lambda: folder)
    return folder


@pytest.fixture
def ours(tmp_path: Path, shipped: Path) -> Path:
    """An operators' folder."""
    folder = tmp_path / "ours"
    folder.mkdir()
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def install(site: Path, distribution: str, *entries: str) -> None:
    info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("\n".join(["[tornado_webrtc]", *entries]))
    importlib.invalidate_caches()


def names(result: Survey) -> list[str]:
    assert [str(problem) for problem in result.problems] == []
    return [plugin.name for plugin in result.found]


def problem(result: Survey) -> str:
    (only,) = result.problems
    return str(only)


def value(result: Survey, index: int = 0) -> object:
    return result.found[index].module.peer_left(None)


# --- places -----------------------------------------------------------------


def test_files_and_packages_of_a_folder(ours: Path) -> None:
    write(ours, "lamp")
    write(ours, "bell/")
    result = survey(Plugins(path=(ours,)), ())
    assert names(result) == ["bell", "lamp"]
    assert [plugin.origin for plugin in result.found] == [str(ours), str(ours)]
    assert [plugin.module.__name__ for plugin in result.found] == [
        "tornado_webrtc.plugins.bell",
        "tornado_webrtc.plugins.lamp",
    ]
    assert sys.modules["tornado_webrtc.plugins.lamp"] is result.found[1].module


@pytest.mark.parametrize(("said", "version"), [("'7'", "7"), ("7", None)])
def test_version(shipped: Path, ours: Path, site: Path, said: str, version: str | None) -> None:
    source = f"__version__ = {said}\n{PLUGIN}"
    write(shipped, "bell/", source)
    write(site, "lamp_module", source)
    install(site, "lamp-shop", "lamp = lamp_module")
    write(ours, "horn", source)
    result = survey(Plugins(path=(ours,), enabled=("bell",)), ())
    assert names(result) == ["bell", "lamp", "horn"]
    assert [plugin.version for plugin in result.found] == [
        version or each for each in (__version__, "1.2", "")
    ]


def test_what_is_no_plugin(ours: Path) -> None:
    write(ours, "lamp")
    write(ours, "_part")
    write(ours, ".hidden")
    write(ours, "__pycache__/")
    (ours / "data").mkdir()
    (ours / "README.md").write_text("not Python")
    (ours / "lamp.py~").write_text("not Python")
    assert names(survey(Plugins(path=(ours,)), ())) == ["lamp"]


def test_package_imports_its_own_modules(ours: Path) -> None:
    write(ours, "bell/", "from .sound import peer_left\n")
    write(ours / "bell", "sound", TEMPLATE.format(value="ding"))
    assert value(survey(Plugins(path=(ours,)), ())) == "ding"


def test_order_of_the_places(shipped: Path, ours: Path, site: Path, tmp_path: Path) -> None:
    write(shipped, "zebra/")
    write(site, "lamp_module")
    install(site, "lamp-shop", "lamp = lamp_module")
    write(ours, "bell")
    write(tmp_path / "more", "ape")
    plugins = Plugins(path=(ours, tmp_path / "more"), enabled=("zebra",))
    result = survey(plugins, ())
    assert names(result) == ["zebra", "lamp", "bell", "ape"]
    assert [plugin.origin for plugin in result.found] == [
        "shipped",
        "distribution lamp-shop 1.2",
        str(ours),
        str(tmp_path / "more"),
    ]
    assert result.found[1].module.__name__ == "lamp_module"


def test_folder_that_is_named_twice(ours: Path, shipped: Path, tmp_path: Path) -> None:
    write(ours, "lamp")
    write(shipped, "bell/")
    (tmp_path / "link").symlink_to(ours)
    plugins = Plugins(path=(ours, tmp_path / "link", ours / ".." / "ours", shipped))
    assert names(survey(plugins, ())) == ["lamp"]


def test_folder_that_is_missing(ours: Path, tmp_path: Path) -> None:
    write(ours, "lamp")
    result = survey(Plugins(path=(tmp_path / "nowhere", ours)), ())
    assert str(tmp_path / "nowhere") in problem(result)
    assert "plugins.path" in problem(result)
    assert [plugin.name for plugin in result.found] == ["lamp"]


def test_shipped_plugins_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "lamp/")
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(discovery, "shipped_plugins_dir", lambda: None)
    monkeypatch.setattr(discovery._NAMESPACE, "__file__", str(tmp_path / "__init__.py"))
    result = survey(Plugins(enabled=("lamp",)), ())
    assert names(result) == ["lamp"]
    assert result.found[0].origin == "shipped"


def test_shipped_plugins_of_this_checkout() -> None:
    result = survey(Plugins(), ())
    assert {"auth_token", "logging_console"} <= result.names
    assert "logging_console" in names(result)
    assert "auth_token" not in names(result)


def test_settings_specification(ours: Path) -> None:
    write(ours, "bell")
    write(ours, "lamp", "SETTINGS = 'colour = string'\n" + PLUGIN)
    result = survey(Plugins(path=(ours,)), ())
    assert [plugin.settings_spec for plugin in result.found] == ["", "colour = string"]


# --- which of them run ------------------------------------------------------


@pytest.mark.parametrize(
    ("plugins", "sections", "runs"),
    [
        (Plugins(), (), False),
        (Plugins(enabled=("lamp",)), (), True),
        (Plugins(required=("lamp",)), (), True),
        (Plugins(), ("general", "lamp"), True),
        (Plugins(enabled=("lamp",), disabled=("lamp",)), ("lamp",), False),
    ],
)
def test_shipped_plugin_runs(
    shipped: Path, plugins: Plugins, sections: tuple[str, ...], runs: bool
) -> None:
    write(shipped, "lamp/")
    result = survey(plugins, sections)
    assert names(result) == ["lamp"] * runs
    assert result.names == {"lamp"}


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("ENABLED_BY_DEFAULT = True", True),
        ("ENABLED_BY_DEFAULT: bool = True", True),
        ("ENABLED_BY_DEFAULT = False", False),
        ("ENABLED_BY_DEFAULT = 1", False),
        ("ENABLED_BY_DEFAULT_NOT = True", False),
    ],
)
def test_enabled_by_default(shipped: Path, line: str, runs: bool) -> None:
    write(shipped, "lamp/", f"{line}\n{PLUGIN}")
    assert names(survey(Plugins(), ())) == ["lamp"] * runs
    assert names(survey(Plugins(disabled=("lamp",)), ())) == []


def test_plugin_that_does_not_run_is_not_imported(shipped: Path, ours: Path) -> None:
    write(shipped, "lamp/", "raise AssertionError")
    write(ours, "bell", "raise AssertionError")
    assert names(survey(Plugins(path=(ours,), disabled=("bell",)), ())) == []


def test_disabled_entry_point(shipped: Path, site: Path) -> None:
    install(site, "lamp-shop", "lamp = no_such_module")
    assert names(survey(Plugins(disabled=("lamp",)), ())) == []


# --- names ------------------------------------------------------------------


@pytest.mark.parametrize("key", ["enabled", "disabled", "required"])
def test_unknown_name(shipped: Path, key: str) -> None:
    write(shipped, "lamp/")
    text = problem(survey(Plugins(**{key: ("lammp",)}), ()))  # type: ignore[arg-type]
    assert text.startswith(f"plugins.{key}: there is no plugin named 'lammp'")
    assert "did you mean 'lamp'?" in text
    text = problem(survey(Plugins(**{key: ("quux",)}), ()))  # type: ignore[arg-type]
    assert "there are ['lamp']" in text


@pytest.mark.parametrize("name", ["my-lamp", "2lamps", "lamp copy", "class", "lamp.old"])
def test_name_that_is_none(ours: Path, name: str) -> None:
    write(ours, "bell")
    file = write(ours, name)
    result = survey(Plugins(path=(ours,)), ())
    assert f"{name!r} cannot be the name of a plugin" in problem(result)
    assert str(file) in problem(result)
    assert [plugin.name for plugin in result.found] == ["bell"]


@pytest.mark.parametrize("name", ["general", "signaling", "turn", "plugins", "admin"])
def test_name_of_a_section(ours: Path, name: str) -> None:
    write(ours, name)
    assert f"[{name}]" in problem(survey(Plugins(path=(ours,)), ()))


@pytest.mark.parametrize("name", ["listener", "server"])
def test_name_of_a_part_with_figures(ours: Path, name: str) -> None:
    write(ours, name)
    result = survey(Plugins(path=(ours,)), ())
    reason = "the server shows figures of its own under it"
    assert f"the name '{name}' is reserved: {reason}" in problem(result)
    assert result.found == ()


def test_reserved_names() -> None:
    assert list(RESERVED) == [
        *("general", "signaling", "turn", "plugins", "admin"),
        *("listener", "server"),
    ]


def test_shipped_plugin_turn(shipped: Path) -> None:
    write(shipped, "turn/")
    assert names(survey(Plugins(), ("general", "turn"))) == ["turn"]


def test_shipped_plugin_with_a_reserved_name(shipped: Path) -> None:
    write(shipped, "admin/")
    assert "[admin]" in problem(survey(Plugins(), ()))


def test_one_name_in_two_places(shipped: Path, ours: Path, site: Path, tmp_path: Path) -> None:
    places = [
        str(write(shipped, "lamp/")),
        "distribution lamp-shop 1.2 (entry point lamp_module)",
        str(write(ours, "lamp")),
        str(write(ours, "lamp/")),
        str(write(tmp_path / "more", "lamp")),
    ]
    install(site, "lamp-shop", "lamp = lamp_module")
    write(ours, "bell")
    result = survey(Plugins(path=(ours, tmp_path / "more")), ())
    assert all(place in problem(result) for place in places)
    assert "5 plugins" in problem(result)
    assert [plugin.name for plugin in result.found] == ["bell"]


# --- faults -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\nraise ValueError('no light')\n", 2, "ValueError: no light"),
        ("x = 1\n\nimport no_such_module\n", 3, "No module named 'no_such_module'"),
        ("x = 1\ndef (:\n", 2, "SyntaxError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
)
def test_import_error(ours: Path, source: str, line: int, reason: str) -> None:
    file = write(ours, "lamp", source)
    write(ours, "zebra")
    result = survey(Plugins(path=(ours,)), ())
    assert problem(result).startswith(f"plugin lamp ({file}, line {line}): cannot be imported: ")
    assert reason in problem(result)
    assert "plugins.disabled" in problem(result)
    assert [plugin.name for plugin in result.found] == ["zebra"]
    assert result.names == {"lamp", "zebra"}
    assert not [name for name in sys.modules if name.startswith("tornado_webrtc.plugins.lamp")]


def test_import_error_of_a_part(ours: Path) -> None:
    write(ours, "bell/", "from . import good, bad\n")
    write(ours / "bell", "good", "")
    file = write(ours / "bell", "bad", "\n\n1 / 0\n")
    result = survey(Plugins(path=(ours,)), ())
    assert f"({file}, line 3)" in problem(result)
    assert not [name for name in sys.modules if name.startswith("tornado_webrtc.plugins.bell")]


def test_repaired_plugin_is_imported(ours: Path) -> None:
    file = write(ours, "lamp", "raise ValueError")
    problem(survey(Plugins(path=(ours,)), ()))
    file.write_text(TEMPLATE.format(value="repaired"))
    assert value(survey(Plugins(path=(ours,)), ())) == "repaired"


def test_shipped_plugin_that_is_not_python(shipped: Path) -> None:
    file = write(shipped, "lamp/", "def (:")
    assert f"({file}, line 1)" in problem(survey(Plugins(), ()))


def test_file_with_null_bytes(ours: Path) -> None:
    write(ours, "lamp", "\0")
    assert "plugin lamp" in problem(survey(Plugins(path=(ours,)), ()))


def test_dangling_link(ours: Path) -> None:
    (ours / "lamp.py").symlink_to(ours / "gone.py")
    assert "FileNotFoundError" in problem(survey(Plugins(path=(ours,)), ()))


def test_misspelt_hook(ours: Path) -> None:
    file = write(ours, "lamp", PLUGIN.replace("peer_left", "peer_lefft"))
    result = survey(Plugins(path=(ours,)), ())
    assert problem(result).startswith(f"plugin lamp ({file}): peer_lefft()")
    assert "did you mean peer_left?" in problem(result)
    assert result.found == ()


def test_settings_that_are_no_text(ours: Path) -> None:
    write(ours, "lamp", f"SETTINGS = 5\n{PLUGIN}")
    assert "SETTINGS is a int" in problem(survey(Plugins(path=(ours,)), ()))


def test_entry_point_that_names_an_object(shipped: Path, site: Path) -> None:
    write(site, "lamp_module")
    install(site, "lamp-shop", "lamp = lamp_module:Plugin")
    text = problem(survey(Plugins(), ()))
    assert "has to name a module" in text
    assert "distribution lamp-shop 1.2" in text


def test_entry_point_whose_module_is_missing(shipped: Path, site: Path) -> None:
    install(site, "lamp-shop", "lamp = lamp_module", "bell = bell_module")
    write(site, "bell_module")
    result = survey(Plugins(), ())
    assert "plugin lamp (distribution lamp-shop 1.2 (entry point lamp_module))" in problem(result)
    assert "No module named 'lamp_module'" in problem(result)
    assert [plugin.name for plugin in result.found] == ["bell"]


def test_entry_point_whose_module_is_broken(shipped: Path, site: Path) -> None:
    file = write(site, "lamp_module", "\n1 / 0\n")
    install(site, "lamp-shop", "lamp = lamp_module")
    assert f"({file}, line 2)" in problem(survey(Plugins(), ()))


# --- several servers in one process -----------------------------------------


def test_servers_with_different_plugins_of_one_name(shipped: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "lamp", TEMPLATE.format(value=name))
    folders = [tmp_path / "one", tmp_path / "two"]
    results = [survey(Plugins(path=(folder,)), ()) for folder in folders]
    assert [value(result) for result in results] == ["one", "two"]
    again = [survey(Plugins(path=(folder,)), ()) for folder in reversed(folders)]
    assert [value(result) for result in again] == ["two", "one"]
    assert again[0].found[0].module is results[1].found[0].module


def test_packages_of_one_name_import_their_own_modules(shipped: Path, tmp_path: Path) -> None:
    source = """
        from tornado_webrtc import hookimpl

        @hookimpl
        def peer_left(peer):
            from . import late
            from .early import word
            return word, late.word
        """
    for name in ("one", "two"):
        write(tmp_path / name, "bell/", source)
        write(tmp_path / name / "bell", "early", f"word = 'early {name}'\n")
        write(tmp_path / name / "bell", "late", f"word = 'late {name}'\n")
    results = [survey(Plugins(path=(tmp_path / name,)), ()) for name in ("one", "two")]
    assert value(results[1]) == ("early two", "late two")
    assert value(results[0]) == ("early one", "late one")


def test_folder_of_another_server_is_not_searched(shipped: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "lamp", TEMPLATE.format(value=name))
    survey(Plugins(path=(tmp_path / "one",), disabled=("lamp",)), ())
    assert value(survey(Plugins(path=(tmp_path / "two",)), ())) == "two"


def test_relative_folder(ours: Path) -> None:
    write(ours, "lamp")
    os.chdir(ours.parent)
    first = survey(Plugins(path=(Path("ours"),)), ())
    os.chdir(ours)
    second = survey(Plugins(path=(Path("../ours"),)), ())
    assert names(first) == names(second)
    assert first.found[0].module is second.found[0].module
