"""What a configuration that was read again changes, key by key."""

import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ExpectLog
from tornado_webrtc import hookimpl
from tornado_webrtc.config import Config, General, Plugins, Signaling, Turn
from tornado_webrtc.errors import ConfigError, PluginError, Problem
from tornado_webrtc.hooks import Doubt, PluginContext
from tornado_webrtc.pluginmanager import FoundPlugin
from tornado_webrtc.reload import ReloadReport, check_files, compare, fingerprints

SPEC = """
# live
url = string(default="")
# Threads.
threads = integer(default=1)
[retry]
# live
times = integer(default=3)
wait_s = seconds(default=1)
[rooms]
[[__many__]]
# live
size = integer(default=1)
door = integer(default=1)
"""


def test_nothing_changed() -> None:
    config = Config(plugin_settings={"games": {"url": "a"}})
    comparison = compare(config, Config(plugin_settings={"games": {"url": "a"}}), {"games": SPEC})
    assert (comparison.applied, comparison.needs_restart) == ((), ())
    assert comparison.config == config


def test_live_keys_are_taken_over_and_others_stay() -> None:
    warning = Problem("server.ini", "a warning")
    running = Config(signaling=Signaling(ping_s=5), turn=Turn(secret=("a",)))
    written = Config(
        general=General(port=9000, drain_s=1),
        turn=Turn(secret=("b", "a"), realm="example.org"),
        plugins=Plugins(enabled=("auth_token",)),
        warnings=(warning,),
    )
    comparison = compare(running, written, {})
    assert comparison.applied == ("general.drain_s", "signaling.ping_s", "turn.secret")
    assert comparison.needs_restart == ("general.port", "turn.realm", "plugins.enabled")
    assert comparison.config == Config(
        general=General(drain_s=1), turn=Turn(secret=("b", "a")), warnings=(warning,)
    )
    again = compare(comparison.config, written, {})
    assert (again.applied, again.needs_restart) == ((), comparison.needs_restart)


def test_sections_of_plugins() -> None:
    before = {"url": "a", "threads": 1, "retry": {"times": 1, "wait_s": 1.0}}
    after = {"url": "b", "threads": 2, "retry": {"times": 2, "wait_s": 2.0}}
    running = Config(plugin_settings={"games": before, "other": {"a": 1}})
    written = Config(plugin_settings={"games": after, "stranger": {"a": 1}})
    comparison = compare(running, written, {"games": SPEC, "turn": ""})
    assert comparison.applied == ("games.url", "games.retry.times")
    assert comparison.needs_restart == ("games.threads", "games.retry.wait_s")
    assert comparison.config.plugin_settings == {
        "games": {"url": "b", "threads": 1, "retry": {"times": 2, "wait_s": 1.0}},
        "other": {"a": 1},
    }


def test_names_that_come_and_go() -> None:
    room = {"size": 1, "door": 1}
    running = Config(plugin_settings={"games": {"rooms": {"red": room}}})
    written = Config(plugin_settings={"games": {"rooms": {"blue": room}}})
    comparison = compare(running, written, {"games": SPEC})
    assert comparison.applied == ("games.rooms.red.size", "games.rooms.blue.size")
    assert comparison.needs_restart == ("games.rooms.red.door", "games.rooms.blue.door")
    assert comparison.config.plugin_settings["games"] == {
        "rooms": {"red": {"door": 1}, "blue": {"size": 1}}
    }
    emptied = compare(
        Config(plugin_settings={"games": {"all": {"url": "a"}}}),
        Config(),
        {"games": "[all]\n# live\nurl = string(default=None)\n"},
    )
    assert emptied.config.plugin_settings == {"games": {}}


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (ReloadReport(), "nothing changed"),
        (ReloadReport(applied=("a.b", "a.c")), "applied a.b, a.c"),
        (
            ReloadReport(needs_restart=("a.b",), certificate=True),
            "a new certificate; a restart is needed for a.b",
        ),
        (
            ReloadReport(certificate_error="no key", warnings=("short",)),
            "the certificate cannot be used, the one before stays",
        ),
    ],
)
def test_report_in_words(report: ReloadReport, text: str) -> None:
    assert str(report) == text


def test_fingerprints_are_of_files_that_live_settings_name(tmp_path: Path) -> None:
    for name in ("users", "games", "room"):
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "pipe")
    settings = {"url": "games", "threads": "users", "retry": {"times": 3}, "rooms": {}}
    config = Config(
        path=tmp_path / "server.ini",
        general=General(html_root=tmp_path),
        turn=Turn(users_file=tmp_path / "users", secret_file=tmp_path / "pipe"),
        plugin_settings={"games": settings, "other": {"url": "users"}},
    )
    before = fingerprints(config, {"games": SPEC})
    assert set(before) == {"turn.users_file", "games.url"}
    assert fingerprints(config, {"games": SPEC}) == before
    (tmp_path / "games").write_text("changed")
    after = fingerprints(config, {"games": SPEC})
    assert after["turn.users_file"] == before["turn.users_file"]
    assert after["games.url"] != before["games.url"]
    (tmp_path / "games").unlink()
    assert set(fingerprints(config, {"games": SPEC})) == {"turn.users_file"}


# --- files --------------------------------------------------------------------


class Reader:
    """A plugin that reads a file."""

    def __init__(self, context: PluginContext) -> None:
        self._file = Path(context.settings["file"])

    @hookimpl
    def check(self) -> list[str]:
        return [Doubt("it is old")] if self._file.exists() else ["it is gone"]


class Antenna:
    """A plugin that says what it is told to, at a key that is live and at one that is not."""

    def __init__(self, context: PluginContext) -> None:
        self._settings = context.settings

    @hookimpl
    def check(self) -> list[str]:
        if reason := self._settings["raises"]:
            raise PluginError("antenna", reason)
        return list(self._settings["says"])


ANTENNA = """
# live
says = force_list(default=list())
# live
raises = string(default="")
mast = string(default="")
[feeder]
length = integer(default=1)
"""


class Careless:
    """A plugin that must not be constructed twice."""

    def __init__(self, context: PluginContext) -> None:
        raise AssertionError

    @hookimpl
    def server_started(self) -> None:
        raise AssertionError


class Broken:
    """A plugin that does not like its settings."""

    def __init__(self, context: PluginContext) -> None:
        raise ValueError("no such thing")

    @hookimpl
    def check(self) -> list[str]:
        raise AssertionError


def found(plugin: type) -> FoundPlugin:
    name = plugin.__name__.lower()
    module = ModuleType(name)
    vars(module)["Plugin"] = plugin
    return FoundPlugin(name, module, "a test", "")


async def test_files_are_looked_at_with_the_new_settings(tmp_path: Path) -> None:
    plugins = [found(Reader), found(Careless)]
    there = Config(path=Path("a.ini"), plugin_settings={"reader": {"file": tmp_path}})
    assert await check_files(plugins, there) == (Problem("a.ini, plugin reader", "it is old"),)
    gone = Config(path=Path("a.ini"), plugin_settings={"reader": {"file": tmp_path / "gone"}})
    with pytest.raises(ConfigError) as error:
        await check_files(plugins, gone)
    assert error.value.problems == (Problem("a.ini, plugin reader", "it is gone"),)


def antenna(says: list[str], raises: str = "") -> tuple[list[FoundPlugin], Config]:
    settings = {"says": says, "raises": raises, "mast": "", "feeder": {"length": 1}}
    config = Config(path=Path("a.ini"), plugin_settings={"antenna": settings})
    return [replace(found(Antenna), settings_spec=ANTENNA)], config


@pytest.mark.parametrize("key", ["antenna.mast", "antenna.feeder.length"])
@pytest.mark.parametrize("raises", [False, True])
async def test_what_needs_a_restart_is_in_use_whatever_is_wrong_with_it(
    key: str, raises: bool
) -> None:
    text = f"{key}: it has fallen"
    plugins, config = antenna([] if raises else [text], text if raises else "")
    (doubt,) = await check_files(plugins, config)
    assert (doubt.where, doubt.message) == (f"a.ini, {key}", "it has fallen")
    assert "goes on with what it has had since its start" in doubt.hint


async def test_what_is_replaced_at_the_next_start_may_be_wrong() -> None:
    plugins, config = antenna(["antenna.mast: it has fallen", "antenna.feeder.length: too short"])
    (doubt,) = await check_files(plugins, config, ["antenna.mast"])
    assert doubt.where == "a.ini, antenna.feeder.length"


@pytest.mark.parametrize(
    ("says", "raises"),
    [
        (["antenna.says: it is rude"], ""),
        (["antenna: it is rude"], ""),
        (["it is rude"], ""),
        ([], "antenna.says: it is rude"),
        ([], "it is rude"),
    ],
)
async def test_what_is_live_has_to_be_right(says: list[str], raises: str) -> None:
    plugins, config = antenna([*says, "antenna.mast: it has fallen"], raises)
    with pytest.raises(ConfigError) as error:
        await check_files(plugins, config)
    (problem,) = error.value.problems
    assert problem.message.endswith("it is rude")


async def test_plugin_that_cannot_be_constructed(expect_log: ExpectLog) -> None:
    expect_log("plugin broken")
    with pytest.raises(ConfigError, match=r"configuration, plugin broken: .*no such thing"):
        await check_files([found(Broken)], Config())
