"""Every plugin with its state, whatever is wrong with it."""

from pathlib import Path

import pytest

from tornado_webrtc import __version__
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.inventory import Entry, Inventory, take_inventory

GOOD = """
from tornado_webrtc import hookimpl
__version__ = "1.2"

@hookimpl
def permit_join(request): ...

@hookimpl(specname="peer_left")
def gone(): ...
"""
FAILS = """
from tornado_webrtc import hookimpl

class Plugin:
    def __init__(self, context):
        raise OSError("no")

    @hookimpl
    def server_stopped(self): ...
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    return tmp_path / "server.ini"


def taken(conf: Path, more: str = "", **sources: str) -> tuple[Inventory, dict[str, Entry]]:
    for name, source in sources.items():
        (conf.parent / "plugins" / f"{name}.py").write_text(source)
    conf.write_text(f"[plugins]\npath = plugins,\n{more}")
    inventory = take_inventory(conf)
    return inventory, {entry.name: entry for entry in inventory.entries}


def test_shipped_ones_come_with_the_version_of_the_server() -> None:
    entries = {entry.name: entry for entry in take_inventory(None).entries}
    turn, token = entries["turn"], entries["auth_token"]
    assert (turn.origin, turn.version, turn.state) == ("shipped", __version__, "runs")
    assert turn.required
    assert "ice_servers" in turn.hooks
    assert (token.state, "plugins.enabled" in token.reason) == ("off", True)
    assert "authenticate" in token.hooks
    assert not any(entry.required for entry in entries.values() if entry.state == "off")


def test_plugins_of_a_folder(conf: Path) -> None:
    inventory, entries = taken(conf, good=GOOD, fails=FAILS)
    assert inventory.problems == ()
    good, fails = entries["good"], entries["fails"]
    assert (good.state, good.version, good.hooks) == ("runs", "1.2", ("peer_left", "permit_join"))
    assert good.origin == str(conf.parent / "plugins")
    assert (fails.state, fails.version) == ("left out", "")
    assert "OSError: no" in fails.reason


def test_one_that_is_off_is_read_and_never_run(conf: Path) -> None:
    _, entries = taken(conf, "disabled = good, broken,\n", good=GOOD + "1/0\n", broken="def (")
    assert entries["good"].reason == "plugins.disabled says so"
    assert entries["good"].hooks == ("peer_left", "permit_join")
    assert entries["good"].version == "1.2"
    assert (entries["broken"].state, entries["broken"].hooks) == ("off", ())


def test_what_keeps_a_server_from_starting(conf: Path) -> None:
    inventory, entries = taken(conf, "[general]\nport = many\n", good="import nothing_of_that_name")
    assert len(inventory.problems) == 2
    assert entries["good"].state == "left out"
    assert "nothing_of_that_name" in entries["good"].reason


@pytest.mark.parametrize("more", ["[general]\nport = many\n", "[rooms]\nmax_peers = many\n"])
def test_none_runs_where_a_setting_keeps_the_server_from_starting(conf: Path, more: str) -> None:
    _, entries = taken(conf, more, good=GOOD, fails=FAILS)
    assert {entry.state for entry in entries.values()} == {"off", "left out"}
    for name in ("good", "fails", "turn"):
        assert entries[name].reason == "the server does not start, see its problems"
    assert entries["rooms"].state == ("left out" if "rooms" in more else "off")


def test_required_one_that_fails(conf: Path) -> None:
    inventory, entries = taken(conf, "required = fails,\n", fails=FAILS, good=GOOD)
    assert [problem.where for problem in inventory.problems] == ["plugin fails"]
    assert (entries["fails"].state, entries["fails"].required) == ("left out", True)
    assert "OSError: no" in entries["fails"].reason
    assert entries["good"].state == "left out"


@pytest.mark.parametrize("line", ["REQUIRED = True", "REQUIRED: bool = True"])
def test_one_that_says_it_is_required_is_so_wherever_it_fails(conf: Path, line: str) -> None:
    missing = f"{line}\n__version__: str = '3'\nimport nothing_of_that_name\n"
    _, entries = taken(conf, missing=missing, good=GOOD)
    assert (entries["missing"].state, entries["missing"].required) == ("left out", True)
    assert entries["missing"].version == "3"
    assert not entries["good"].required
    _, entries = taken(conf, "disabled = missing,\n")
    assert (entries["missing"].state, entries["missing"].required) == ("off", False)


def test_file_that_is_not_there(conf: Path) -> None:
    with pytest.raises(ConfigError):
        take_inventory(conf)
