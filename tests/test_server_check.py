"""Plugins look at what their settings name before a server starts, as `check` has them do."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commandline import run
from tests.conftest import ExpectLog
from tests.service import Served
from tornado_webrtc import hooks
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.server import Server, ServerState, load

PLUGIN = """
import asyncio
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Doubt

SETTINGS = '''
words = string(default="")
# live
doubt = string(default="")
'''

EVENTS = []

class Plugin:
    def __init__(self, context):
        self.words = context.settings["words"]
        self.doubt = context.settings["doubt"]
        EVENTS.append("constructed")

    @hookimpl
    async def check(self):
        EVENTS.append("checked")
        if self.words == "raise":
            raise KeyError("nothing")
        if self.words == "hang":
            await asyncio.Event().wait()
        if self.words == "nonsense":
            return 5
        found = [f"inspector.words: found {self.words}"] if self.words else []
        return [*found, *([Doubt(f"inspector.doubt: {self.doubt}")] if self.doubt else [])]

    @hookimpl
    def start(self):
        EVENTS.append("started")
"""


class Site:
    """A folder with a configuration and the plugin above, and the server that it makes."""

    def __init__(self, folder: Path) -> None:
        self.conf = folder / "server.ini"
        self.server: Server | None = None
        (folder / "plugins").mkdir()
        (folder / "plugins" / "inspector.py").write_text(PLUGIN)

    def write(self, settings: str, required: str = "") -> None:
        self.conf.write_text(
            "[general]\nbind = 127.0.0.1,\nport = 0\n"
            f"[plugins]\npath = plugins,\ndisabled = logging_console, turn\n{required}\n"
            f"[inspector]\n{settings}\n"
        )

    async def start(self, settings: str, required: str = "") -> Server:
        self.write(settings, required)
        self.server = Server(*load(self.conf))
        await self.server.start()
        return self.server

    @property
    def events(self) -> list[str]:
        assert self.server is not None
        (module,) = (each.module for each in load(self.conf)[1] if each.name == "inspector")
        events: list[str] = vars(module)["EVENTS"]
        return events


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    if site.server is not None:
        await site.server.stop()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def test_plugins_that_start_are_asked_first(site: Site) -> None:
    await site.start("")
    assert site.events == ["constructed", "checked", "started"]


async def test_problem_stops_the_start(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError) as caught:
        await site.start("words = nonsensical\ndoubt = old")
    assert str(caught.value) == f"{site.conf}, line 9, inspector.words: found nonsensical"
    assert site.events == ["constructed", "checked"]
    assert site.server is not None
    assert (site.server.state, site.server.plugins.names) == (ServerState.STOPPED, ())
    assert warnings(caplog) == []


async def test_doubts_are_logged_once(
    site: Site, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("inspector.doubt: ")
    server = await site.start("doubt = is old")
    old = f"{site.conf}, line 9, inspector.doubt: is old"
    assert warnings(caplog) == [old]
    assert (await server.reload()).warnings == ()
    site.write("doubt = is older")
    older = f"{site.conf}, line 9, inspector.doubt: is older"
    assert (await server.reload()).warnings == (older,)
    assert warnings(caplog) == [old, older]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("raise", "check raised KeyError: 'nothing'"),
        ("hang", r"check did not finish within 0\.01 s"),
        ("nonsense", "check returned a int, but has to return "),
    ],
)
async def test_plugin_that_cannot_check_is_left_out_in_one_line(
    site: Site,
    words: str,
    reason: str,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "CHECK_TIMEOUT_S", 0.01)
    expect_log("plugin inspector is left out")
    server = await site.start(f"words = {words}")
    (line,) = warnings(caplog)
    assert re.match(f"plugin inspector is left out: {reason}", line)
    assert "inspector" not in server.plugins.names
    assert "started" not in site.events
    await server.reload()  # does not ask it again, and so does not refuse for ever
    assert warnings(caplog) == [line]


async def test_required_plugin_that_cannot_check_stops_the_start(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Not for good: it may be otherwise in a moment, so that it is no `ConfigError`."""
    with pytest.raises(PluginError, match=r"^plugin inspector: check raised KeyError"):
        await site.start("words = raise", "required = inspector")
    assert warnings(caplog) == []


# --- the command ----------------------------------------------------------------------


def test_problem_exits_78_and_check_says_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("words = wrong")
    with Served(tmp_path, ["--conf", site.conf]) as served:
        assert served.exit_code() == 78
    said = run("check", "--conf", site.conf)
    assert (said.exit_code, said.stdout) == (78, "")
    assert said.stderr == served.log
    assert served.log == (
        "tornado-webrtc: 1 problem in the configuration:\n\n"
        f"{site.conf}, line 9, inspector.words: found wrong\n"
    )


def test_tokens_that_cannot_be_used_are_said_once(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text(
        "[general]\nbind = 127.0.0.1,\nport = 0\n[plugins]\ndisabled = turn,\n"
        "[auth_token]\nfile = tokens\n"
    )
    with Served(tmp_path, ["--conf", conf]) as served:
        assert served.exit_code() == 78
    assert served.log.startswith("tornado-webrtc: 1 problem in the configuration:\n\n")
    assert served.log.count("cannot be used") == 1
    assert f"{conf}, line 7, auth_token.file: the tokens in " in served.log
    said = run("check", "--conf", conf)
    assert (said.exit_code, said.stderr) == (78, served.log)


def test_check_says_what_a_plugin_could_not_say(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write("words = raise")
    said = run("check", "--conf", site.conf)
    assert said.exit_code == 78
    assert said.stderr == (
        "tornado-webrtc: 1 problem in the configuration:\n\n"
        f"{site.conf}, plugin inspector: check raised KeyError: 'nothing'\n"
    )
