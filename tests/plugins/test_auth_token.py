"""Who gets in with which token, asked through the hooks as the server asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tornado_webrtc.config import Config
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import AuthRequest, Doubt, Identity, PluginContext, Refused
from tornado_webrtc.implementation import faults
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.pluginmanager import FoundPlugin, PluginManager
from tornado_webrtc.plugins import auth_token

ExpectLog = Callable[[str], None]
Kind = Literal["upgrade", "new", "rest"]

ALICE = "alices-token-0123456789"
BOB = "bobs-token-0123456789ab"
NAME = "auth_token"


def manager(file: Path | str, *, allow_anonymous: bool = False) -> PluginManager:
    config = Config(
        path=Path(file).parent / "server.ini",
        plugin_settings={NAME: {"file": str(file), "allow_anonymous": allow_anonymous}},
    )
    found = FoundPlugin(NAME, auth_token, "shipped", auth_token.SETTINGS)
    return PluginManager([found], config, config.plugins.required)


async def ask(plugins: PluginManager, kind: Kind, token: str | None) -> object:
    request = AuthRequest(kind=kind, token=token, remote_ip="192.0.2.1", peer_id="alice")
    return await plugins.hooks.lookup("authenticate", strict=True, request=request)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"alice {ALICE}\nbob {BOB} bob-*\n")
    path.chmod(0o600)
    return path


def replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(file)


def test_plugin_is_sound() -> None:
    assert faults(auth_token) == []
    assert not hasattr(auth_token, "ENABLED_BY_DEFAULT")


@pytest.mark.parametrize("kind", ["upgrade", "new", "rest"])
@pytest.mark.parametrize("allow_anonymous", [False, True])
async def test_known_token(file: Path, kind: Kind, allow_anonymous: bool) -> None:
    plugins = manager(file, allow_anonymous=allow_anonymous)
    await plugins.start(None)
    assert await ask(plugins, kind, ALICE) == Identity("alice", ("alice",))
    assert await ask(plugins, kind, BOB) == Identity("bob", ("bob-*",))


@pytest.mark.parametrize("kind", ["upgrade", "new", "rest"])
@pytest.mark.parametrize("allow_anonymous", [False, True])
@pytest.mark.parametrize("token", ["", "wrong", ALICE + "x"])
async def test_unknown_token(file: Path, kind: Kind, allow_anonymous: bool, token: str) -> None:
    plugins = manager(file, allow_anonymous=allow_anonymous)
    await plugins.start(None)
    answer = await ask(plugins, kind, token)
    assert isinstance(answer, Refused)
    assert ALICE not in answer.reason


@pytest.mark.parametrize(
    ("kind", "allow_anonymous", "refused"),
    [
        ("upgrade", False, False),
        ("new", False, True),
        ("rest", False, True),
        ("upgrade", True, False),
        ("new", True, False),
        ("rest", True, False),
    ],
)
async def test_no_token(file: Path, kind: Kind, allow_anonymous: bool, refused: bool) -> None:
    plugins = manager(file, allow_anonymous=allow_anonymous)
    await plugins.start(None)
    answer = await ask(plugins, kind, None)
    assert isinstance(answer, Refused) if refused else answer is None


async def test_changed_file(file: Path) -> None:
    plugins = manager(file)
    await plugins.start(None)
    replace(file, f"carol {ALICE[::-1]}\n")
    assert isinstance(await ask(plugins, "new", ALICE), Refused)
    assert await ask(plugins, "new", ALICE[::-1]) == Identity("carol", ("carol",))


async def test_path_is_relative_to_the_configuration(file: Path) -> None:
    config = Config(
        path=file.parent / "server.ini",
        plugin_settings={NAME: {"file": "tokens", "allow_anonymous": False}},
    )
    found = FoundPlugin(NAME, auth_token, "shipped", auth_token.SETTINGS)
    plugins = PluginManager([found], config, ())
    await plugins.start(None)
    assert await ask(plugins, "new", ALICE) == Identity("alice", ("alice",))


@pytest.mark.parametrize("allow_anonymous", [False, True])
async def test_bad_file_stops_the_server(
    file: Path, expect_log: ExpectLog, allow_anonymous: bool
) -> None:
    """Whether anybody has named the plugin in `plugins.required` or not."""
    expect_log("the tokens in .* cannot be used: line 1: ")
    expect_log("plugin auth_token: start failed: the tokens in")
    replace(file, "alice short\n")
    with pytest.raises(PluginError, match=r"plugin auth_token: .*cannot be used: line 1: "):
        await manager(file, allow_anonymous=allow_anonymous).start(None)


@pytest.mark.parametrize("token", [None, "", ALICE])
async def test_bad_file_lets_nobody_in(
    file: Path, token: str | None, expect_log: ExpectLog
) -> None:
    expect_log("the tokens in .* cannot be used: .*no token is accepted")
    """One that comes with a reload, between `check` and what comes of it."""
    plugins = manager(file)
    await plugins.start(None)
    settings = {"file": str(file.with_name("nowhere")), "allow_anonymous": False}
    new = Config(plugin_settings={NAME: settings})
    plugins.hooks.notify("settings_changed", old=Config(), new=new)
    assert plugins.names == (NAME,)
    assert isinstance(await ask(plugins, "new", token), Refused)


async def test_secrets_are_not_shown(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    context = PluginContext(
        NAME,
        {"file": str(file), "allow_anonymous": False},
        Config(),
        plugin_logger(NAME),
    )
    plugin = auth_token.Plugin(context)
    request = AuthRequest(kind="new", token=ALICE)
    assert plugin.authenticate(request) == Identity("alice", ("alice",))
    for text in (caplog.text, repr(plugin), repr(vars(plugin)), repr(request)):
        assert ALICE not in text


def plugin(file: Path) -> auth_token.Plugin:
    settings = {"file": str(file), "allow_anonymous": False}
    return auth_token.Plugin(PluginContext(NAME, settings, Config(), plugin_logger(NAME)))


def test_check(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It says what is wrong, and leaves the log to the server."""
    assert plugin(file).check() == []
    file.chmod(0o644)
    (doubt,) = plugin(file).check()
    assert isinstance(doubt, Doubt)
    assert doubt.startswith("auth_token.file: other users of this machine can use ")
    file.write_text("alice short\n")
    file.chmod(0o600)
    (problem,) = plugin(file).check()
    assert not isinstance(problem, Doubt)
    assert problem.startswith(f"auth_token.file: the tokens in {file} cannot be used: line 1: ")
    file.write_text("alice short\nbob\n")
    place = f"auth_token.file: the tokens in {file} cannot be used: line"
    first, second = plugin(file).check()
    assert first.startswith(f"{place} 1: the token")
    assert second.startswith(f"{place} 2: it has one field")
    assert "WARNING" not in {record.levelname for record in caplog.records}


def test_beside_auth_jwt_it_is_in_vain(file: Path) -> None:
    settings = {"file": str(file), "allow_anonymous": False}
    config = Config(plugin_settings={NAME: settings, "auth_jwt": {}})
    context = PluginContext(NAME, settings, config, plugin_logger(NAME))
    (doubt,) = auth_token.Plugin(context).check()
    assert isinstance(doubt, Doubt)
    assert doubt.startswith("auth_token.file: lets nobody in: auth_jwt runs, too, is asked first")


def test_the_start_says_how_many_tokens_there_are(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    made = plugin(file)
    assert made.check() == []
    made.start()
    assert [text for text in caplog.messages if "tokens read" in text] == [
        f"2 tokens read from {file}"
    ]
