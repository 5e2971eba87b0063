"""The life of plugins: constructed, started, collected from, stopped, and left out."""

import asyncio
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tornado_webrtc import pluginmanager
from tornado_webrtc.config import Config, Draft, Plugins
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.hooks import Denied
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager, configure

ExpectLog = Callable[[str], None]

SERVER = object()

EVENTFUL = """
from asyncio import Event, sleep
from tornado_webrtc import hookimpl

class Plugin:
    def __init__(self, context):
        self.name = context.name
        self.events = context.settings["events"]
        self.note("constructed")

    def note(self, event):
        self.events.append(f"{self.name} {event}")

    @hookimpl
    def start(self, server):
        self.note("started")

    @hookimpl
    async def stop(self, server):
        await sleep(0)
        self.note("stopped")

    @hookimpl
    def message_types(self, server):
        return {self.name: print}
"""


def found(name: str, source: str = EVENTFUL) -> FoundPlugin:
    module = types.ModuleType(f"tornado_webrtc.plugins.{name}")
    exec(compile(textwrap.dedent(source), f"{name}.py", "exec"), module.__dict__)  # noqa: S102
    return FoundPlugin(name, module, "tests", "")


def changed(name: str, hook: str, line: str) -> FoundPlugin:
    """Make an eventful plugin one of whose functions does something else."""
    head, definition, body = EVENTFUL.partition(f"def {hook}(")
    assert definition
    first, newline, rest = body.partition("\n")
    return found(name, f"{head}{definition}{first}{newline}        {line}\n{rest}")


class Process:
    """A manager and what its plugins have noted."""

    def __init__(self, *plugins: FoundPlugin, required: tuple[str, ...] = ()) -> None:
        self.events: list[str] = []
        settings = {plugin.name: {"events": self.events} for plugin in plugins}
        config = Config(plugins=Plugins(required=required), plugin_settings=settings)
        self.manager = PluginManager(plugins, config, required)

    async def start(self) -> None:
        await self.manager.start(SERVER)

    async def stop(self) -> None:
        await self.manager.stop(SERVER)

    def take_events(self) -> list[str]:
        events, self.events[:] = list(self.events), []
        return events


async def test_order_of_a_life() -> None:
    process = Process(found("a"), found("b"))
    assert not process.manager.names
    process.manager.load()
    assert process.manager.names == ("a", "b")
    assert process.take_events() == ["a constructed", "b constructed"]
    await process.start()
    assert process.take_events() == ["a started", "b started"]
    collected = await process.manager.collect("message_types", "http_handlers", server=SERVER)
    assert collected == {
        "message_types": [("a", {"a": print}), ("b", {"b": print})],
        "http_handlers": [],
    }
    await process.stop()
    assert process.take_events() == ["b stopped", "a stopped"]
    assert not process.manager.names


async def test_start_loads() -> None:
    process = Process(found("a"))
    await process.start()
    assert process.take_events() == ["a constructed", "a started"]
    await process.stop()


async def test_second_life() -> None:
    process = Process(found("a"))
    for _ in range(2):
        await process.start()
        await process.stop()
        assert process.take_events() == ["a constructed", "a started", "a stopped"]


async def test_stop_without_start() -> None:
    process = Process(found("a"))
    await process.stop()
    process.manager.load()
    await process.stop()
    assert process.take_events() == ["a constructed"]


async def test_server_is_handed_to_hooks() -> None:
    source = """
        from tornado_webrtc import hookimpl
        servers = []
        @hookimpl
        def start(server):
            servers.append(server)
        """
    plugin = found("a", source)
    process = Process(plugin)
    await process.start()
    assert plugin.module.servers == [SERVER]
    await process.stop()


def test_context() -> None:
    source = """
        class Plugin:
            def __init__(self, context):
                contexts.append(context)
        contexts = []
        """
    plugin = found("lamp", source)
    config = Config(plugin_settings={"lamp": {"colour": "red"}})
    PluginManager([plugin], config, ()).load()
    (context,) = plugin.module.contexts
    assert context.name == "lamp"
    assert context.settings == {"colour": "red"}
    assert context.config is config
    assert context.log.name == "tornado_webrtc.plugins.lamp"


def test_plugin_without_a_section() -> None:
    source = """
        class Plugin:
            def __init__(self, context):
                assert context.settings == {}
        """
    manager = PluginManager([found("turn", source)], Config(), ["turn"])
    manager.load()
    assert manager.names == ("turn",)


def test_module_in_two_servers() -> None:
    plugin = found("a", "from tornado_webrtc import hookimpl\n@hookimpl\ndef peer_left(): ...\n")
    managers = [PluginManager([plugin], Config(), ()) for _ in range(2)]
    for manager in managers:
        manager.load()
        assert manager.hooks.implemented("peer_left")


# --- failures ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "line", "reason"),
    [
        ("__init__", "raise ValueError('no light')", r"Plugin\(\) raised ValueError: no light"),
        ("__init__", "raise SystemExit", r"Plugin\(\) raised SystemExit"),
        ("start", "raise ValueError('no light')", "start raised ValueError: no light"),
        ("message_types", "raise ValueError('no light')", "message_types raised ValueError"),
        ("message_types", "return 5", "message_types returned a int"),
    ],
)
async def test_failing_plugin_is_left_out(
    hook: str, line: str, reason: str, expect_log: ExpectLog
) -> None:
    expect_log(f"^plugin bad: {reason.partition(':')[0]}")
    expect_log(f"^plugin bad is left out: {reason}")
    process = Process(found("a"), changed("bad", hook, line), found("c"))
    await process.start()
    collected = await process.manager.collect("message_types", server=SERVER)
    assert process.manager.names == ("a", "c")
    assert [name for name, _ in collected["message_types"]] == ["a", "c"]
    assert ("bad stopped" in process.events) == (hook == "message_types")
    assert "bad started" not in process.events or hook == "message_types"
    await process.stop()
    assert process.events[-2:] == ["c stopped", "a stopped"]


@pytest.mark.parametrize("hook", ["__init__", "start", "message_types"])
async def test_failing_plugin_that_is_required(hook: str, expect_log: ExpectLog) -> None:
    expect_log("^plugin bad: .* raised ValueError")
    plugins = [found("a"), changed("bad", hook, "raise ValueError('no light')"), found("c")]
    process = Process(*plugins, required=("bad",))
    with pytest.raises(PluginError, match=r"^plugin bad: .*no light$"):
        await start_and_collect(process)
    assert process.manager.names == ()
    started = {event.split()[0] for event in process.events if event.endswith("started")}
    stopped = {event.split()[0] for event in process.events if event.endswith("stopped")}
    assert started == stopped
    assert "a" in started or hook == "__init__"


async def test_plugin_can_say_that_it_is_required(expect_log: ExpectLog) -> None:
    expect_log("^plugin bad: .* raised ValueError")
    bad = changed("bad", "start", "raise ValueError('no light')")
    vars(bad.module)["REQUIRED"] = True
    with pytest.raises(PluginError, match=r"^plugin bad: .*no light$"):
        await start_and_collect(Process(found("a"), bad))


async def start_and_collect(process: Process) -> None:
    await process.start()
    await process.manager.collect("message_types", server=SERVER)


async def test_contributions_of_a_plugin_that_fails_later_are_dropped(
    expect_log: ExpectLog,
) -> None:
    expect_log("plugin bad")
    source = (
        EVENTFUL
        + """
    @hookimpl
    def http_handlers(self, server):
        raise ValueError
"""
    )
    process = Process(found("a"), found("bad", source))
    await process.start()
    hooks = ("message_types", "http_handlers", "stream_protocols")
    collected = await process.manager.collect(*hooks, server=SERVER)
    assert collected == {
        "message_types": [("a", {"a": print})],
        "http_handlers": [],
        "stream_protocols": [],
    }
    await process.stop()


async def test_hanging_start(expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    expect_log(r"plugin bad is left out: start did not finish within 0\.01 s")
    expect_log("plugin bad: start did not finish")
    monkeypatch.setattr(pluginmanager, "START_TIMEOUT_S", 0.01)
    process = Process(changed("bad", "start", "return Event().wait()"), found("b"))
    await process.start()
    assert process.manager.names == ("b",)
    await process.stop()


@pytest.mark.parametrize("line", ["raise ValueError", "await Event().wait()"])
async def test_failing_stop_does_not_keep_others_from_stopping(
    line: str, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("plugin bad: stop ")
    monkeypatch.setattr(pluginmanager, "STOP_TIMEOUT_S", 0.01)
    process = Process(found("a"), changed("bad", "stop", line), found("c"))
    await process.start()
    await process.stop()
    assert process.events[-2:] == ["c stopped", "a stopped"]


async def test_cancelled_start_stops_what_was_started() -> None:
    process = Process(found("a"), changed("b", "start", "return Event().wait()"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await process.start()
    assert process.events[-2:] == ["a started", "a stopped"]
    assert process.manager.names == ()


async def test_stop_waits_for_notifications() -> None:
    source = (
        EVENTFUL
        + """
    @hookimpl
    async def peer_left(self, peer):
        for _ in range(50):
            await sleep(0)
        self.note("told")
"""
    )
    process = Process(found("a", source))
    await process.start()
    process.manager.hooks.notify("peer_left", peer=1, reason="x")
    await process.stop()
    assert "a told" in process.events


async def test_server_can_leave_out_a_plugin(expect_log: ExpectLog) -> None:
    expect_log("plugin b is left out: the path /ws is the server's own")
    process = Process(found("a"), found("b"), required=("a",))
    await process.start()
    reason = "the path /ws is the server's own"
    await process.manager.leave_out(PluginError("b", reason), SERVER)
    assert process.manager.names == ("a",)
    assert process.events[-1] == "b stopped"
    with pytest.raises(PluginError):
        await process.manager.leave_out(PluginError("a", reason), SERVER)
    await process.stop()


async def test_plugin_that_is_left_out_is_no_longer_asked(expect_log: ExpectLog) -> None:
    source = """
        from tornado_webrtc import hookimpl
        from tornado_webrtc.hooks import Denied
        class Plugin:
            def __init__(self, context): ...
            @hookimpl
            def start(self):
                raise ValueError
            @hookimpl
            def permit_call(self):
                return Denied("no")
        """
    expect_log("plugin strict is left out: .*; the server goes on without its rules .plugins.requ")
    expect_log("start raised ValueError")
    manager = PluginManager([found("strict", source)], Config(), ())
    manager.load()
    assert await manager.hooks.permit("permit_call", request=1) == Denied("no")
    await manager.start(SERVER)
    assert await manager.hooks.permit("permit_call", request=1) is None


@pytest.mark.parametrize("required", [False, True])
def test_misspelt_hook(required: bool, expect_log: ExpectLog) -> None:
    plugin = found("a", "from tornado_webrtc import hookimpl\n@hookimpl\ndef pear_left(): ...\n")
    manager = PluginManager([plugin], Config(), ["a"] if required else [])
    if required:
        with pytest.raises(PluginError, match=r"plugin a: pear_left.*did you mean peer_left"):
            manager.load()
    else:
        expect_log("plugin a is left out: pear_left.*did you mean peer_left")
        manager.load()
    assert manager.names == ()


def test_same_module_under_two_names(expect_log: ExpectLog) -> None:
    expect_log("plugin b is left out: ")
    plugin = found("a", "from tornado_webrtc import hookimpl\n@hookimpl\ndef peer_left(): ...\n")
    twin = FoundPlugin("b", plugin.module, "tests", "")
    manager = PluginManager([plugin, twin], Config(), ())
    manager.load()
    assert manager.names == ("a",)


# --- with a configuration ---------------------------------------------------

LAMP = """
from tornado_webrtc import hookimpl

SETTINGS = '''
colour = option("red", "green", default="red")
watts = integer(min=1)
'''

class Plugin:
    def __init__(self, context):
        self.context = context
    @hookimpl
    def message_types(self):
        return {"lamp": lambda message: self.context.settings}
"""


def draft(tmp_path: Path, text: str, **plugins: str) -> Draft:
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name, source in plugins.items():
        (folder / f"{name}.py").write_text(source)
    file = tmp_path / "server.ini"
    file.write_text(f"[plugins]\npath = plugins\ndisabled = logging_console, turn\n{text}")
    return Draft.read(file, {})


def test_settings_are_checked_with_the_plugins_specification(tmp_path: Path) -> None:
    config, plugins = configure(draft(tmp_path, "[lamp]\nwatts = 60\n", lamp=LAMP))
    assert [plugin.name for plugin in plugins] == ["lamp"]
    assert dict(config.plugin_settings["lamp"]) == {"colour": "red", "watts": 60}
    manager = PluginManager(plugins, config, config.plugins.required)
    manager.load()
    ((_, types_),) = manager.hooks.collect("message_types", server=SERVER)
    settings: Any = types_["lamp"](None)
    assert settings["watts"] == 60


def problems(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [str(problem) for problem in error.value.problems]


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    text = "[lamp]\ncolour = blue\nwatts = 0\n[general]\nport = x\n[unheard]\n"
    broken = draft(tmp_path, text, lamp=LAMP, bell="1 / 0\n")
    with pytest.raises(ConfigError) as error:
        configure(broken)
    found_problems = "\n".join(problems(error))
    for expected in ("colour", "watts", "general.port", "unheard", "bell.py, line 1"):
        assert expected in found_problems


def test_section_of_a_plugin_that_cannot_be_imported_is_no_second_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        configure(draft(tmp_path, "[bell]\nvolume = 11\n", bell="1 / 0\n"))
    (problem,) = problems(error)
    assert "bell.py, line 1" in problem


def test_section_of_a_disabled_plugin(tmp_path: Path) -> None:
    text = "[lamp]\nwatts = 60\n"
    made = draft(tmp_path, text, lamp=LAMP)
    file = tmp_path / "server.ini"
    file.write_text(file.read_text().replace("turn\n", "turn, lamp\n"))
    made = Draft.read(file, {})
    config, plugins = configure(made)
    assert plugins == []
    (doubt,) = config.warnings
    assert doubt.message == "plugins.disabled names this plugin: nothing that stands here holds"
    assert doubt.where.endswith(", [lamp]")


def test_old_configuration_still_works(tmp_path: Path) -> None:
    made = draft(tmp_path, "[turn]\npublic_ip=127.0.0.1\nport=19302\nrealm=flutter-webrtc\n")
    config, plugins = configure(made)
    assert config.turn.realm == "flutter-webrtc"
    assert {plugin.name for plugin in plugins} <= {"turn"}


# --- without a server ---------------------------------------------------------------


@pytest.mark.parametrize("serves", [True, False])
async def test_only_a_server_can_be_blocked(
    caplog: pytest.LogCaptureFixture, expect_log: ExpectLog, serves: bool
) -> None:
    if serves:
        expect_log(r"plugin slow: Plugin\(\) blocked the whole server")
        expect_log("plugin slow: check blocked the whole server")
    source = """
import time
from tornado_webrtc import hookimpl

class Plugin:
    def __init__(self, context):
        time.sleep(0.11)

    @hookimpl
    def check(self):
        time.sleep(0.11)
"""
    manager = PluginManager([found("slow", source)], Config(), (), serves=serves)
    manager.load()
    await manager.check()
    assert ("blocked" in caplog.text) is serves
