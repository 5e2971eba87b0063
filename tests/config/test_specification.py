"""The configspec, and its agreement with the dataclasses, server.ini and the documentation."""

import re
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from configobj.validate import ValidateError

from tornado_webrtc.config import Config, General, load, marks
from tornado_webrtc.config.checks import CHECKS, CheckError
from tornado_webrtc.config.specification import (
    CORE,
    core_specification,
    make_validator,
    own_marks,
    parse_specification,
)
from tornado_webrtc.paths import conf_dir

DOCS = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
CHOSEN_BY_THE_PLACE = {"general.html_root", "general.state_dir"}

_INI_KEY = re.compile(r"^#(?P<key>\w+) =(?: (?P<default>.*))?$")


def server_ini() -> str:
    return (conf_dir() / "server.ini").read_text(encoding="utf-8")


def keys_of_server_ini() -> dict[str, tuple[str, str]]:
    """Return default and mark by `section.key`; the comment block above a key has its mark."""
    found = {}
    section, comment = "", ""
    for line in server_ini().splitlines():
        if match := _INI_KEY.match(line):
            (mark,) = re.findall(r"\((live|restart)\)", comment)
            found[f"{section}.{match['key']}"] = (match["default"] or "", mark)
            comment = ""
        elif line.startswith("["):
            section, comment = line.strip("[]"), ""
        else:
            comment = f"{comment} {line}" if line else ""
    return found


def keys_of_dataclasses() -> dict[str, Any]:
    config = Config()
    return {
        f"{section}.{field.name}": getattr(getattr(config, section), field.name)
        for section in CORE
        for field in fields(getattr(config, section))
    }


def test_every_key_is_in_every_list_in_the_same_order() -> None:
    expected = list(keys_of_dataclasses())
    assert list(marks()) == expected
    assert list(keys_of_server_ini()) == expected


def test_the_same_marks_in_server_ini() -> None:
    assert {key: mark for key, (_, mark) in keys_of_server_ini().items()} == marks()


def test_the_same_defaults_in_configspec_and_dataclasses() -> None:
    config = load(None, {})
    for key, default in keys_of_dataclasses().items():
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        assert value == default, key
        assert type(value) is type(default), key


def test_server_ini_with_every_key_uncommented_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "server.ini"
    path.write_text(re.sub(r"(?m)^#(?=\w+ =)", "", server_ini()))
    config = load(path, {})
    assert config.warnings == ()
    for key, default in keys_of_dataclasses().items():
        if key not in CHOSEN_BY_THE_PLACE:
            section, name = key.split(".")
            assert getattr(getattr(config, section), name) == default, key


def test_server_ini_as_it_stands_gives_plain_http_on_8086() -> None:
    config = load(conf_dir() / "server.ini", {})
    assert config.general == General(state_dir=conf_dir() / "state")
    assert (config.general.cert, config.general.port) == (None, 8086)
    assert (config.signaling, config.turn) == (Config().signaling, Config().turn)
    assert config.warnings == ()


def test_server_ini_explains_every_key() -> None:
    blocks = [block.strip() for block in server_ini().split("\n\n")]
    with_keys = [block for block in blocks if _INI_KEY.match(block.splitlines()[-1])]
    assert len(with_keys) == len(marks())
    assert all(block.startswith("# ") and len(block.splitlines()) > 1 for block in with_keys)


def test_every_default_passes_its_own_check() -> None:
    validator = make_validator(None)
    for section in CORE:
        spec = core_specification()[section]
        for key in spec.scalars:
            validator.get_default_value(spec[key])


def test_every_check_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)(?:\([^)]*\))?` \|", DOCS.read_text(), re.MULTILINE))
    assert {*CHECKS, "path", "path_list"} <= documented


def test_a_key_without_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"[{section}]\nx = string(default='')" for section in CORE]
    spec = parse_specification("\n".join(lines))
    monkeypatch.setattr("tornado_webrtc.config.specification.core_specification", lambda: spec)
    with pytest.raises(ValueError, match=r"general\.x is marked neither live nor restart"):
        marks()


def test_no_specification() -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_specification("what is this")


def test_errors_keep_what_is_allowed() -> None:
    with pytest.raises(ValidateError) as caught:
        make_validator(None).check("integer(min=1, max=5)", "6")
    assert isinstance(caught.value.__cause__, CheckError)
    assert str(caught.value) == "allowed is a whole number from 1 to 5"


def test_lists_become_tuples() -> None:
    validator = make_validator(None)
    assert validator.check("force_list(default=list('a'))", None, missing=True) == ("a",)
    assert validator.check("network_list", "::/0") == (ip_network("::/0"),)


def test_paths_are_taken_from_the_file(tmp_path: Path) -> None:
    validator = make_validator(tmp_path / "server.ini")
    assert validator.check("path", "web") == tmp_path / "web"
    assert validator.check("path", "") is None
    assert validator.check("path_list", ["a", "/b"]) == (tmp_path / "a", Path("/b"))
    assert validator.check("path_list", "") == ()
    with pytest.raises(ValidateError, match="one path"):
        validator.check("path", ["a", "b"])


OWN = """
# The tokens.
# live
file = string(min=1)
# Whether they have to be long. (live)
long = boolean(default=False)
# How long connections live
age_s = seconds(default=1)
[retry]
# How often. (live)
times = integer(default=1)
pause_s = seconds(default=1)
# live
[all]
size = integer(default=1)
[rooms]
[[__many__]]
# live
size = integer(default=1)
__many__ = string
"""


@pytest.mark.parametrize(
    ("key", "mark"),
    [
        (("file",), "live"),
        (("long",), "live"),
        (("age_s",), "restart"),
        (("unknown",), "restart"),
        (("retry", "times"), "live"),
        (("retry", "pause_s"), "restart"),
        (("retry", "times", "deeper"), "live"),
        (("all", "size"), "live"),
        (("rooms", "red", "size"), "live"),
        (("rooms", "red", "other"), "restart"),
    ],
)
def test_marks_of_a_plugin(key: tuple[str, ...], mark: str) -> None:
    assert own_marks(OWN)(key) == mark


@pytest.mark.parametrize("text", ["# (live)\na = string", "a = string", ""])
def test_first_line_of_a_plugin_can_be_marked(text: str) -> None:
    assert own_marks(text)(("a",)) == ("live" if "live" in text else "restart")
