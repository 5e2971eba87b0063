"""One section: shape, names, values, and a plugin's own specification."""

from pathlib import Path
from typing import Any

import pytest

from tornado_webrtc.config.report import Report
from tornado_webrtc.config.section import BrokenSpecificationError, SectionCheck
from tornado_webrtc.config.source import Source
from tornado_webrtc.config.specification import make_validator, parse_specification
from tornado_webrtc.errors import ConfigError

SPEC = """
size = integer(min=1, default=10)
greeting = string(default="hello")
api_token = string(default="")
pin = secret(default="")
[limits]
calls = integer(default=2)
[rooms]
[[__many__]]
size = integer(default=5)
[aliases]
__many__ = string
"""


class Section:
    """A section `rooms` in a file, checked against a specification."""

    def __init__(self, tmp_path: Path, text: str, spec: str = SPEC, **environ: str) -> None:
        path = tmp_path / "server.ini"
        path.write_text(f"[x]\n{text}")
        variables = {f"TORNADO_WEBRTC__X__{name}": value for name, value in environ.items()}
        source = Source.read(path, variables)
        self._folder = tmp_path
        self.report = Report(source)
        check = SectionCheck(
            "x", parse_specification(spec), source, self.report, make_validator(path)
        )
        self.values: dict[str, Any] = check.run()

    @property
    def problems(self) -> list[str]:
        try:
            self.report.raise_problems()
        except ConfigError as error:
            return [str(each).replace(f"{self._folder}/", "") for each in error.problems]
        return []


def test_defaults(tmp_path: Path) -> None:
    section = Section(tmp_path, "")
    assert section.problems == []
    assert section.values == {
        "size": 10,
        "greeting": "hello",
        "api_token": "",
        "pin": "",
        "limits": {"calls": 2},
        "rooms": {},
        "aliases": {},
    }


def test_values(tmp_path: Path) -> None:
    text = "size = 3\n[[limits]]\ncalls = 4\n[[rooms]]\n[[[lobby]]]\n[[[hall]]]\nsize = 9\n"
    section = Section(tmp_path, f"{text}[[aliases]]\na = b\n", GREETING="'good day'")
    assert section.problems == []
    assert section.values["size"] == 3
    assert section.values["greeting"] == "good day"
    assert section.values["limits"] == {"calls": 4}
    assert section.values["rooms"] == {"lobby": {"size": 5}, "hall": {"size": 9}}
    assert section.values["aliases"] == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "size = 0",
            "line 2, x.size: found '0'; allowed is a whole number, 1 or more",
        ),
        (
            "size =",
            "line 2, x.size: found nothing; allowed is a whole number, 1 or more",
        ),
        (
            "size = 1, 2",
            (
                "line 2, x.size: found '1, 2'; allowed is a whole number, 1 or more\n"
                "    Put the value in quotes if the comma belongs to it."
            ),
        ),
        (
            f"size = {'1' * 100}",
            f"line 2, x.size: found '{'1' * 80}...'; allowed is a whole number, 1 or more",
        ),
        (
            "[[size]]",
            "line 2, x.size: this is a section; a key is expected: size = ...",
        ),
        (
            "limits = 3",
            "line 2, x.limits: this is a key; a section is expected: [[limits]]",
        ),
        (
            "[[limits]]\n[[[calls]]]",
            "line 3, x.limits.calls: this is a section; a key is expected: calls = ...",
        ),
        (
            "siez = 3",
            "line 2, x.siez: this key is not known\n    Did you mean size?",
        ),
        (
            "[[limit]]",
            "line 2, x.limit: this section is not known\n    Did you mean limits?",
        ),
        (
            "port_tls = 3",
            "line 2, x.port_tls: this key is not known\n    It belongs in [turn].",
        ),
        (
            "[[port_tls]]",
            (
                "line 2, x.port_tls: this section is not known\n"
                "    Known here: size, greeting, api_token, pin, limits, rooms, aliases."
            ),
        ),
        (
            "[[rooms]]\nlobby = 3",
            "line 3, x.rooms.lobby: this key is not known\n    Known here: nothing.",
        ),
        (
            "[[aliases]]\n[[[a]]]",
            "line 3, x.aliases.a: this section is not known\n    Known here: nothing.",
        ),
        (
            "[[aliases]]\n__many__ = 3",
            "line 3, x.aliases.__many__: this name cannot be used\n    Known here: nothing.",
        ),
        (
            "[[rooms]]\n[[[DEFAULT]]]",
            "line 3, x.rooms.DEFAULT: this name cannot be used\n    Known here: nothing.",
        ),
        (
            "[[rooms]]\n[[[lobby]]]\nsize = x",
            "line 4, x.rooms.lobby.size: found 'x'; allowed is a whole number",
        ),
    ],
)
def test_problems(tmp_path: Path, text: str, problem: str) -> None:
    assert Section(tmp_path, text).problems == [f"server.ini, {problem}"]


def test_wrong_values_leave_the_defaults(tmp_path: Path) -> None:
    section = Section(tmp_path, "size = x\n[[limits]]\ncalls = y")
    assert len(section.problems) == 2
    assert section.values["size"] == 10
    assert section.values["limits"] == {"calls": 2}


@pytest.mark.parametrize("key", ["api_token", "pin"])
def test_secrets_are_not_shown(tmp_path: Path, key: str) -> None:
    (problem,) = Section(tmp_path, f"{key} = hunter2, hunter3").problems
    assert "hunter" not in problem
    assert f"x.{key}: found a value that is not shown here; allowed is" in problem


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("SIEZ", "x.siez"),
        ("LIMITS__CALL", "x.limits.call"),
    ],
)
def test_unknown_variables(tmp_path: Path, name: str, problem: str) -> None:
    right = {"SIEZ": "SIZE", "LIMITS__CALL": "LIMITS__CALLS"}[name]
    assert Section(tmp_path, "", **{name: "1"}).problems == [
        (
            f"environment TORNADO_WEBRTC__X__{name}: this key is not known\n"
            f"    Did you mean TORNADO_WEBRTC__X__{right}?"
        )
    ]


def test_semicolon_in_a_wrong_value_is_explained(tmp_path: Path) -> None:
    (problem,) = Section(tmp_path, "size = 3 ; three").problems
    assert "found '3 ; three'" in problem
    assert "`;` begins a comment only at the start of a line" in problem


def test_key_without_default(tmp_path: Path) -> None:
    section = Section(tmp_path, "", "url = string\n[inner]\nname = string")
    assert section.problems == [
        "server.ini, x.url: this key is missing; it has no default",
        "server.ini, x.inner: this section is missing; it has no default",
    ]


def test_check_that_configobj_brings(tmp_path: Path) -> None:
    section = Section(tmp_path, "a = x\npassword = y", "a = int_list\npassword = int_list")
    assert [problem.partition(": ")[2] for problem in section.problems] == [
        'the value "x" is of the wrong type.',
        'the value "y" is of the wrong type.',
    ]


def test_texts_with_secret_names_are_hidden_from_other_checks(tmp_path: Path) -> None:
    (problem,) = Section(tmp_path, "a = hunter2, x", "a = secret").problems
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "spec",
    [
        "size = whatever(default=1)",
        "size = integer(1, 2, 3, 4, default=1)",
        "size = integer(colour=3, default=1)",
        "size = integer(min=x, default=1)",
        "size = integer(default=x)",
        "size = (",
    ],
)
def test_broken_specification(tmp_path: Path, spec: str) -> None:
    with pytest.raises(BrokenSpecificationError):
        Section(tmp_path, "size = 1" if "default=x" not in spec else "", spec)
