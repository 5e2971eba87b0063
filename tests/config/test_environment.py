"""Variables: names, values, and how they find the keys that they set."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config.conftest import LoadConfig
from tornado_webrtc.cli import main
from tornado_webrtc.config.environment import (
    Variable,
    merge,
    read_environment,
    split_value,
    unknown_variables,
    variable_name,
)
from tornado_webrtc.config.specification import parse_specification


def test_variable_name() -> None:
    assert variable_name(("turn", "port")) == "TORNADO_WEBRTC__TURN__PORT"


def test_only_our_prefix_counts() -> None:
    environ = {"PATH": "/bin", "TORNADO_WEBRTC_TURN_PORT": "1", "TORNADO_WEBRTC__TURN__PORT": "2"}
    variables, problems = read_environment(environ)
    assert variables == (Variable("TORNADO_WEBRTC__TURN__PORT", ("turn", "port"), "2"),)
    assert problems == []


def test_one_underscore_is_not_enough(load_config: LoadConfig) -> None:
    environ = {
        "TORNADO_WEBRTC_CNF": "x",
        "Tornado_webrtc_turn_port": "1",
        "TORNADO_WEBRTC_CONF": "x",
        "TORNADO_WEBRTC_SOCKET": "x",
        "TORNADO_WEBRTC_ROOM_PASSWORD": "x",
        "TORNADO_WEBRTC_TOKEN": "x",
        "TORNADO_WEBRTC__TURN__PORT": "2",
        "TORNADO": "x",
    }
    found = load_config("", environ).warnings
    assert [each.where for each in found] == [
        "environment TORNADO_WEBRTC_CNF",
        "environment Tornado_webrtc_turn_port",
    ]
    for name in ("TORNADO_WEBRTC_CONF", "TORNADO_WEBRTC_SOCKET", "TORNADO_WEBRTC__SECTION__KEY"):
        assert name in found[0].hint


def test_variables_that_are_known_are_those_of_the_commands() -> None:
    names = {
        option.envvar
        for command in (main, *main.commands.values())
        for option in command.params
        if option.envvar
    }
    assert unknown_variables(dict.fromkeys(map(str, names), "")) == []
    assert names >= {"TORNADO_WEBRTC_CONF", "TORNADO_WEBRTC_SOCKET"}


def test_case_does_not_matter() -> None:
    variables, _ = read_environment({"tornado_webrtc__Turn__PORT_tcp": "2"})
    assert variables[0].parts == ("turn", "port_tcp")


@pytest.mark.parametrize(
    "name",
    [
        "TORNADO_WEBRTC__",
        "TORNADO_WEBRTC__TURN",
        "TORNADO_WEBRTC__TURN__",
        "TORNADO_WEBRTC____PORT",
        "TORNADO_WEBRTC__A____B",
    ],
)
def test_incomplete_names(name: str) -> None:
    variables, (problem,) = read_environment({name: "x"})
    assert variables == ()
    assert str(problem) == (
        f"environment {name}: this variable names no section and key\n"
        "    The form is TORNADO_WEBRTC__SECTION__KEY, for example TORNADO_WEBRTC__GENERAL__PORT."
    )


def test_same_key_twice() -> None:
    variables, (problem,) = read_environment(
        {"TORNADO_WEBRTC__TURN__PORT": "1", "TORNADO_WEBRTC__turn__port": "2"}
    )
    assert len(variables) == 1
    assert problem.where == "environment TORNADO_WEBRTC__turn__port"
    assert problem.message == "TORNADO_WEBRTC__TURN__PORT sets the same key"


def test_value_that_is_not_utf8() -> None:
    variables, (problem,) = read_environment({"TORNADO_WEBRTC__TURN__REALM": "caf\udce9"})
    assert variables == ()
    assert problem.message == "the value is not UTF-8"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("8086", "8086"),
        (" 8086 ", "8086"),
        ('"8086"', "8086"),
        ("'a, b'", "a, b"),
        ("a#b;c", "a#b;c"),
        ("it's", "it's"),
        ('"a"b', '"a"b'),
        ('"', '"'),
        ("a,b", ["a", "b"]),
        (" a , 'b,c' ", ["a", "b,c"]),
        ("a,", ["a"]),
        (",", [""]),
        ("a,,b", ["a", "", "b"]),
        ("turn:a?transport=udp", "turn:a?transport=udp"),
    ],
)
def test_split_value(text: str, value: str | list[str]) -> None:
    assert split_value(text) == value


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abc #;'=", min_size=1), min_size=2))
def test_quoted_entries_come_back(entries: list[str]) -> None:
    assert split_value(",".join(f'"{entry}"' for entry in entries)) == entries


@settings(deadline=None)
@given(st.text())
def test_any_value_can_be_split(text: str) -> None:
    assert isinstance(split_value(text), str | list)


def test_value_is_not_shown() -> None:
    variables, _ = read_environment({"TORNADO_WEBRTC__TURN__SECRET": "hunter2"})
    assert "hunter2" not in repr(variables)


SPEC = parse_specification("""
Port = port
[inner]
name = string
[__many__]
size = integer
""")


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("x", "port"), ("Port",)),
        (("x", "inner", "name"), ("inner", "name")),
        (("x", "lobby", "size"), ("Lobby", "size")),
        (("x", "other", "size"), ("other", "size")),
        (("x", "unknown"), ("unknown",)),
    ],
)
def test_names_are_written_as_the_specification_or_the_file_does(
    parts: tuple[str, ...], key: tuple[str, ...]
) -> None:
    values: dict[str, Any] = {"Lobby": {"size": "3"}, "Port": "1"}
    assert merge([Variable("V", parts, "7")], values, SPEC) == {key: "V"}
    found: Any = values
    for name in key:
        found = found[name]
    assert found == "7"


def test_variable_replaces_a_value_by_a_section() -> None:
    values: dict[str, Any] = {"inner": "3"}
    merge([Variable("V", ("x", "inner", "name"), "7")], values, SPEC)
    assert values == {"inner": {"name": "7"}}
