"""Reading: bytes, encodings, places, and the environment on top of the file."""

from pathlib import Path

import pytest

from tornado_webrtc.config.scanner import Scan
from tornado_webrtc.config.source import Source
from tornado_webrtc.config.specification import core_specification
from tornado_webrtc.errors import ConfigError

PORT = b"[general]\nport = 9000\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server.ini"


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Source.read(path, {})
    (problem,) = caught.value.problems
    return str(problem).replace(str(path), "server.ini")


@pytest.mark.parametrize(
    "content",
    [PORT, b"\xef\xbb\xbf" + PORT, PORT.replace(b"\n", b"\r\n"), b"; caf\xc3\xa9\n" + PORT],
    ids=["plain", "BOM", "CRLF", "UTF-8"],
)
def test_readable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    source = Source.read(path, {})
    assert source.tree == {"general": {"port": "9000"}}
    assert source.faults == []


def test_empty_file(path: Path) -> None:
    path.write_bytes(b"")
    assert Source.read(path, {}).tree == {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"[general]\ndomain = caf\xe9\n",
            (
                "server.ini, line 2: byte 13 of this line (0xe9) is not UTF-8\n"
                "    Save the file as UTF-8 text."
            ),
        ),
        (
            "[general]\r\n".encode("utf-16"),
            "server.ini: is UTF-16\n    Save the file as UTF-8 text.",
        ),
        (
            "[general]\n".encode("utf-16-le"),
            (
                "server.ini, line 1: holds a NUL byte: this is no text\n"
                "    Save the file as UTF-8 text."
            ),
        ),
        (
            b"#" * 1048577,
            (
                "server.ini: cannot be read: it has more than 1048576 bytes\n"
                "    Check the name and the rights of the file."
            ),
        ),
    ],
    ids=["Latin-1", "UTF-16", "NUL", "large"],
)
def test_unreadable_content(path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    assert refusal(path) == expected


def test_missing_file(path: Path) -> None:
    assert refusal(path) == (
        "server.ini: cannot be read: No such file or directory\n"
        "    Check the name and the rights of the file."
    )


def test_folder(path: Path) -> None:
    path.mkdir()
    assert refusal(path).startswith("server.ini: cannot be read: Is a directory")


def test_impossible_name() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Source.read(Path("a\0b"), {})


def test_lines_that_only_configobj_refuses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should its grammar ever change, its complaints come out without the lines' content."""
    path.write_bytes(PORT)
    found = Scan(["[general]", "hunter2", "x = 'hunter2"])
    monkeypatch.setattr("tornado_webrtc.config.source.scan", lambda _: found)
    with pytest.raises(ConfigError) as caught:
        Source.read(path, {})
    assert [problem.where for problem in caught.value.problems] == [
        f"{path}, line 2",
        f"{path}, line 3",
    ]
    assert "hunter2" not in str(caught.value)


def test_places(path: Path) -> None:
    path.write_bytes(PORT)
    source = Source.read(path, {"TORNADO_WEBRTC__GENERAL__DOMAIN": "a.example"})
    source.values("general", core_specification()["general"])
    assert source.where(("general", "port")) == f"{path}, line 2, general.port"
    assert source.where(("general",)) == f"{path}, line 1, [general]"
    assert source.where(("general", "key")) == f"{path}, general.key"
    assert source.where(("general", "domain")) == "environment TORNADO_WEBRTC__GENERAL__DOMAIN"


def test_place_without_a_file() -> None:
    assert Source().where(("general", "key")) == "configuration, general.key"


def test_order_is_that_of_the_file_then_the_environment(path: Path) -> None:
    path.write_bytes(PORT)
    source = Source.read(path, {"TORNADO_WEBRTC__GENERAL__DOMAIN": "a.example"})
    source.values("general", core_specification()["general"])
    keys = [("general", "domain"), ("general", "port"), ("general", "missing")]
    assert sorted(keys, key=source.order) == [keys[2], keys[1], keys[0]]


def test_environment_wins(path: Path) -> None:
    path.write_bytes(PORT)
    source = Source.read(path, {"TORNADO_WEBRTC__GENERAL__PORT": "9001"})
    assert source.values("general", core_specification()["general"]) == {"port": "9001"}
    assert source.text(("general", "port")) == "9001"
    assert source.tree == {"general": {"port": "9000"}}


def test_text_of_what_was_not_written(path: Path) -> None:
    path.write_bytes(PORT)
    source = Source.read(path, {})
    assert source.text(("general", "port")) == "9000"
    assert source.text(("general", "domain")) == ""
    assert source.text(("general", "port", "x")) == ""
    assert source.text(("general",)) == ""


def test_sections(path: Path) -> None:
    path.write_bytes(PORT + b"[Rooms]\nsize = 3\n")
    variables = {"TORNADO_WEBRTC__ROOMS__SIZE": "4", "TORNADO_WEBRTC__REDIS__URL": "x"}
    source = Source.read(path, variables)
    assert source.sections == {"general", "Rooms", "redis"}
    assert [each.name for each in source.variables_of("Rooms")] == ["TORNADO_WEBRTC__ROOMS__SIZE"]


def test_no_value_is_shown(path: Path) -> None:
    path.write_bytes(b"[turn]\nsecret = hunter2\n")
    source = Source.read(path, {"TORNADO_WEBRTC__TURN__SECRET": "hunter3"})
    assert "hunter" not in repr(source)
