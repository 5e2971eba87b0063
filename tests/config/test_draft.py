"""The steps from a file to a configuration, with and without plugins."""

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tornado_webrtc.config import Config, Draft, Plugins, load, marks
from tornado_webrtc.errors import ConfigError, Problem

from .conftest import LoadConfig, WriteConfig

SETTINGS = """
url = string(default="redis://localhost")
password = secret(default="")
[pool]
size = integer(min=1, default=4)
"""


def problems_in(draft: Draft, known: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        draft.finish(known)
    return [str(problem) for problem in caught.value.problems]


def test_without_anything() -> None:
    draft = Draft.read(None, {})
    assert (draft.path, draft.sections, draft.plugins) == (None, frozenset(), Plugins())
    assert draft.finish(()) == Config()


def test_the_process_environment_is_the_default() -> None:
    os.environ["TORNADO_WEBRTC__GENERAL__PORT"] = "9000"
    assert load(None).general.port == 9000


def test_environment_wins(load_config: LoadConfig) -> None:
    text = "[general]\nport = 9000\nbind = ::1\n"
    general = load_config(text, {"TORNADO_WEBRTC__GENERAL__PORT": "9001"}).general
    assert (general.port, general.bind) == (9001, ("::1",))


def test_lists_from_the_environment() -> None:
    environ = {
        "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1, ::1",
        "TORNADO_WEBRTC__TURN__SECRET": "with#hash-and-length, 'with, comma and length'",
        "TORNADO_WEBRTC__TURN__URIS": "",
    }
    config = load(None, environ)
    assert config.general.bind == ("127.0.0.1", "::1")
    assert config.turn.secret == ("with#hash-and-length", "with, comma and length")
    assert config.turn.uris == ()


def test_plugins_are_known_before_the_rest_is_judged(write_config: WriteConfig) -> None:
    path = write_config("[general]\nport = x\n[plugins]\nenabled = a\nrequired = b-\n[redis]\n")
    draft = Draft.read(path, {"TORNADO_WEBRTC__ROOMS__SIZE": "3"})
    assert draft.plugins == Plugins(enabled=("a",))
    assert draft.sections == {"general", "plugins", "redis", "rooms"}
    assert draft.path == path
    assert len(problems_in(draft, ("redis", "rooms"))) == 2


def test_missing_plugin_folders_are_left_out(write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    draft = Draft.read(write_config("[plugins]\npath = gone, mine"), {})
    assert draft.plugins.path == (tmp_path / "mine",)


def test_plugin_settings(write_config: WriteConfig) -> None:
    path = write_config("[redis]\nurl = redis://a.example\n[[pool]]\nsize = 9\n")
    draft = Draft.read(path, {"TORNADO_WEBRTC__REDIS__PASSWORD": "hunter2"})
    found = draft.plugin_settings("redis", SETTINGS)
    config = draft.finish(())
    expected = {"url": "redis://a.example", "password": "hunter2", "pool": {"size": 9}}
    assert found == config.plugin_settings["redis"] == expected
    assert isinstance(found, MappingProxyType)
    assert isinstance(found["pool"], MappingProxyType)
    assert "hunter2" not in repr(config)


def test_plugin_settings_are_checked(write_config: WriteConfig) -> None:
    path = write_config("[general]\nport = x\n[redis]\nulr = redis://a.example\n")
    draft = Draft.read(path, {"TORNADO_WEBRTC__REDIS__POOL__SIZE": "0"})
    draft.plugin_settings("redis", SETTINGS)
    assert problems_in(draft) == [
        (
            f"{path}, line 2, general.port: found 'x'; allowed is a port from 1 to 65535,"
            " or 0 for any free one"
        ),
        f"{path}, line 4, redis.ulr: this key is not known\n    Did you mean url?",
        (
            "environment TORNADO_WEBRTC__REDIS__POOL__SIZE: found '0';"
            " allowed is a whole number, 1 or more"
        ),
    ]


@pytest.mark.parametrize(
    "spec", ["what is this", "url = nonsense(default=3)", "n = integer(default=x)"]
)
def test_plugin_with_a_broken_specification(spec: str) -> None:
    draft = Draft.read(None, {})
    draft.plugin_settings("redis", spec)
    (problem,) = problems_in(draft)
    assert problem.startswith("plugin redis: its SETTINGS are no valid specification: ")
    assert problem.endswith("This is a fault of the plugin, not of the configuration.")


def test_plugin_that_shares_a_section_of_the_core() -> None:
    draft = Draft.read(None, {"TORNADO_WEBRTC__TURN__PORT": "0"})
    assert draft.plugin_settings("turn", "") == {}
    assert draft.finish(("turn",)).turn.port == 0


def test_plugin_that_wants_a_section_of_the_core() -> None:
    draft = Draft.read(None, {})
    draft.plugin_settings("general", SETTINGS)
    (problem,) = problems_in(draft)
    assert "[general] is a section of the core" in problem


def test_problems_of_others_come_last(write_config: WriteConfig) -> None:
    draft = Draft.read(write_config("[general]\nport = x"), {})
    draft.add_problem(Problem("plugin broken", "cannot be imported"))
    assert problems_in(draft)[-1] == "plugin broken: cannot be imported"


def test_unknown_sections(write_config: WriteConfig) -> None:
    path = write_config("[redsi]\nurl = x\n[General]\n[zzz]\n")
    draft = Draft.read(path, {"TORNADO_WEBRTC__TRUN__PORT": "1"})
    message = "there is neither a section of the core nor a plugin of this name"
    assert problems_in(draft, ("redis",)) == [
        f"{path}, line 1, [redsi]: {message}\n    Did you mean [redis]?",
        f"{path}, line 3, [General]: {message}\n    Did you mean [general]?",
        (
            f"{path}, line 4, [zzz]: {message}\n"
            "    Known here: [admin], [general], [plugins], [redis], [signaling], [turn]."
        ),
        (
            f"environment TORNADO_WEBRTC__TRUN__PORT: {message}\n"
            "    Did you mean TORNADO_WEBRTC__TURN__PORT?"
        ),
    ]


def test_section_of_a_plugin_that_does_not_run(write_config: WriteConfig) -> None:
    assert Draft.read(write_config("[redis]\nx = 1"), {}).finish(("redis",)).plugin_settings == {}


def test_warnings(load_config: LoadConfig, tmp_path: Path) -> None:
    config = load_config("[turn]\nsecret = 0123456789abcdef#0\npublic_ip = 10.0.0.5\n")
    assert [str(warning).removeprefix(f"{tmp_path}/") for warning in config.warnings] == [
        (
            "server.ini, line 2, turn.secret: `#` begins a comment here;"
            " put the value in quotes if the `#` belongs to it"
        ),
        (
            "server.ini, line 3, turn.public_ip: clients are told to connect to 10.0.0.5,"
            " a private address: nobody outside its network can reach it"
        ),
    ]


def test_places(write_config: WriteConfig) -> None:
    path = write_config("[turn]\nrealm = a\n[redis]\nurl = b\n[[pool]]\nsize = 9\n")
    draft = Draft.read(path, {"TORNADO_WEBRTC__TURN__SECRET": "0123456789abcdef"})
    draft.plugin_settings("redis", SETTINGS)
    config = draft.finish(())
    assert config.where("turn.realm") == f"{path}, line 2, turn.realm"
    assert config.where("redis.pool.size") == f"{path}, line 6, redis.pool.size"
    assert config.where("turn.secret") == "environment TORNADO_WEBRTC__TURN__SECRET"
    assert config.where("general.port") == f"{path}, general.port"
    assert Config().where("general.port") == "configuration, general.port"


def test_marks() -> None:
    assert marks()["general.log_level"] == "live"
    assert marks()["general.port"] == "restart"


def load_any(load_it: Callable[[], object]) -> None:
    problems: tuple[Problem, ...] | None = None
    try:
        load_it()
    except ConfigError as error:
        problems = error.problems
    assert problems is None or all(map(str, problems))
    assert problems != ()


KEYS = [key.split(".") for key in marks()]
KEY_LINES = st.builds(
    "{}{}{}".format,
    st.sampled_from([name for _, name in KEYS]),
    st.sampled_from([" = ", "=", " ", ""]),
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["1", "a, b", "127.0.0.1", "::1, ::", "/", "x", "''", "10.0.0.0/8", "%(x)s"]
        ),
    ),
)
FILES = st.lists(
    st.one_of(
        KEY_LINES,
        st.sampled_from(["[general]", "[signaling]", "[turn]", "[plugins]", "[[x]]", "[", "; x"]),
        st.text(max_size=20),
    ),
    max_size=25,
).map("\n".join)
ENVIRONMENTS = st.dictionaries(
    st.one_of(
        st.sampled_from(KEYS).map(lambda key: f"TORNADO_WEBRTC__{'__'.join(key)}"),
        st.text(max_size=12).map("TORNADO_WEBRTC__{}".format),
    ),
    st.text(max_size=30),
    max_size=3,
)
PATIENT = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@PATIENT
@given(text=FILES, environ=ENVIRONMENTS)
@example(text="[general]\nhtml_root = '''a\n\0b'''", environ={})
@example(text=f"[general]\nhtml_root = {'x' * 5000}\ncert = {'y' * 5000}\n", environ={})
@example(text="[turn]\nusers_file = /\n[plugins]\npath = /etc/hostname", environ={})
def test_any_text_gives_a_configuration_or_its_problems(
    write_config: WriteConfig, text: str, environ: dict[str, str]
) -> None:
    path = write_config(text)
    load_any(lambda: load(path, environ))


@PATIENT
@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_configuration_or_its_problems(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "server.ini"
    path.write_bytes(content)
    load_any(lambda: load(path, {}))
