"""What `check` finds beyond the file: certificates that do not load, servers open to the world."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import ExpectLog
from tests.hook_server import HookServer
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.config import Config, General, Turn, load
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.inspection import check_surroundings, unusable_files, why_no_server
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.server import load as load_with_plugins


def without_plugins(config: Config) -> PluginManager:
    return PluginManager([], config, ())


def check(config: Config) -> None:
    assert asyncio.run(check_surroundings(config, without_plugins(config))) == ()


# --- certificate --------------------------------------------------------------------


def with_certificate(folder: Path, path: Path | None = Path("server.ini")) -> Config:
    general = General(cert=folder / "cert.pem", key=folder / "key.pem")
    return Config(path=path, general=general)


def test_no_certificate_is_fine() -> None:
    check(Config())


def test_good_certificate_is_fine(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    check(with_certificate(tmp_path))


def test_missing_certificate_names_the_file_and_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(with_certificate(tmp_path))
    (problem,) = caught.value.problems
    assert problem.where == "server.ini, general.cert"
    assert str(tmp_path / "cert.pem") in problem.message
    assert "tornado-webrtc cert" in problem.message


def test_key_of_another_certificate_is_a_problem(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    (tmp_path / "key.pem").write_bytes(make_certificate(["localhost"])[1])
    with pytest.raises(ConfigError, match="does not belong"):
        check(with_certificate(tmp_path))


def test_problem_without_a_file_does_not_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(with_certificate(tmp_path, path=None))
    assert caught.value.problems[0].where == "configuration, general.cert"


def test_expired_certificate_is_a_warning(tmp_path: Path, expect_log: ExpectLog) -> None:
    cert, key = make_certificate(["localhost"], days=1, now=datetime(2020, 1, 1, tzinfo=UTC))
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    expect_log(r"expired on 2020-01-02")
    check(with_certificate(tmp_path))


# --- what serving would need --------------------------------------------------------


def test_everything_that_does_not_work_is_said_at_once(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text("\n")
    config = Config(
        path=Path("server.ini"),
        general=General(
            cert=tmp_path / "cert.pem",
            key=tmp_path / "key.pem",
            bind=("nowhere.invalid",),
            state_dir=secret_file,
        ),
        turn=Turn(secret_file=secret_file),
    )
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert [problem.where for problem in caught.value.problems] == [
        "server.ini, general.cert",
        "server.ini, general.state_dir",
        "server.ini, turn.secret_file",
        "server.ini, general.bind",
    ]


def test_files_of_a_server_that_can_start(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    assert unusable_files(with_certificate(tmp_path)) == []


def test_checking_makes_no_secret(tmp_path: Path) -> None:
    check(Config(general=General(state_dir=tmp_path / "state")))
    assert list(tmp_path.iterdir()) == []


def test_problem_is_at_its_line(tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem", ["localhost"])
    (tmp_path / "key.pem").write_bytes(make_certificate(["localhost"])[1])
    (tmp_path / "secret").write_text("\n")
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nkey=key.pem\ncert=cert.pem\n[turn]\nsecret_file=secret\n")
    with pytest.raises(ConfigError) as caught:
        check(load(conf, {}))
    assert [problem.where for problem in caught.value.problems] == [
        f"{conf}, line 3, general.cert",
        f"{conf}, line 5, turn.secret_file",
    ]


# --- what plugins find ----------------------------------------------------------------

INSPECTOR = """
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Doubt

SETTINGS = "file = string(default='')"

class Plugin:
    def __init__(self, context):
        self.findings = [Doubt("inspector.file: is old"), Doubt("general: is odd")]
        if context.settings["file"]:
            self.findings += ["inspector.file: is gone", "inspectors.file: is gone"]

    @hookimpl
    async def check(self):
        return self.findings
"""


@pytest.fixture
def inspected(tmp_path: Path) -> Callable[[str], tuple[Config, PluginManager]]:
    """Loads a configuration with a plugin that has something to say."""
    (tmp_path / "inspector.py").write_text(INSPECTOR)

    def load_it(text: str) -> tuple[Config, PluginManager]:
        conf = tmp_path / "server.ini"
        conf.write_text(f"[plugins]\npath = .\ndisabled = turn, logging_console\n{text}")
        config, found = load_with_plugins(conf)
        plugins = PluginManager(found, config, ())
        plugins.load()
        return config, plugins

    return load_it


async def test_doubts_of_plugins_are_returned(
    inspected: Callable[[str], tuple[Config, PluginManager]],
) -> None:
    config, plugins = inspected("")
    assert [str(each) for each in await check_surroundings(config, plugins)] == [
        f"{config.path}, inspector.file: is old",
        f"{config.path}, plugin inspector: general: is odd",
    ]


async def test_problems_of_plugins_are_raised(
    inspected: Callable[[str], tuple[Config, PluginManager]],
) -> None:
    config, plugins = inspected("[inspector]\nfile = x\n")
    with pytest.raises(ConfigError) as caught:
        await check_surroundings(config, plugins)
    assert [str(each) for each in caught.value.problems] == [
        f"{config.path}, line 5, inspector.file: is gone",
        f"{config.path}, plugin inspector: inspectors.file: is gone",
    ]


# --- what clients are told ----------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        (Turn(), ""),
        (Turn(port=0), ""),
        (Turn(port=0, port_tcp=None), "port 0 is known only once the server runs"),
        (Turn(port=0, port_tcp=0), "port 0 is known only once the server runs"),
    ],
)
def test_why_no_server_is_told(turn: Turn, reason: str) -> None:
    server = HookServer()
    assert "no plugin that runs has one" in why_no_server(Config(turn=turn), server.hooks)
    server.add("a", "ice_servers")(lambda: None)
    assert why_no_server(Config(turn=turn), server.hooks) == reason
