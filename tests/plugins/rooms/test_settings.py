"""The section: defaults, limits of rooms, what is probably not meant."""

from pathlib import Path
from typing import Any

import pytest

from tornado_webrtc.config import Config
from tornado_webrtc.config.specification import make_validator, own_marks, parse_specification
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.plugins.rooms.room_file import BadRoomFileError
from tornado_webrtc.plugins.rooms.settings import SPECIFICATION, Settings


def values(**changes: Any) -> dict[str, Any]:
    spec, validator = parse_specification(SPECIFICATION), make_validator(None)
    defaults = {name: validator.get_default_value(spec[name]) for name in spec.scalars}
    return defaults | changes


def read(folder: Path, **changes: Any) -> Settings:
    return Settings.read(values(**changes), Config(path=folder / "server.ini"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rooms").write_text("small max_peers=2\nany max_peers=0\nusual\n")
    return tmp_path


def test_defaults(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings()


def test_everything_is_live() -> None:
    mark = own_marks(SPECIFICATION)
    assert {mark((key,)) for key in parse_specification(SPECIFICATION).scalars} == {"live"}


def test_limits(folder: Path) -> None:
    settings = read(folder, file="rooms", max_peers=5)
    found = {name: settings.max_peers_of(name) for name in ("small", "any", "usual", "other")}
    assert found == {"small": 2, "any": 0, "usual": 5, "other": 5}


def test_bad_file(folder: Path) -> None:
    with pytest.raises(BadRoomFileError, match="nowhere cannot be read"):
        read(folder, file="nowhere")


@pytest.mark.parametrize(
    ("changes", "doubts"),
    [
        ({}, []),
        ({"file": "rooms", "only_listed": True}, []),
        ({"only_listed": True}, ["rooms.only_listed: there are no rooms in the file"]),
        (
            {"file": "rooms", "only_listed": True, "adhoc_passwords": True},
            ["rooms.adhoc_passwords: it has no effect"],
        ),
    ],
)
def test_doubts(folder: Path, changes: dict[str, Any], doubts: list[str]) -> None:
    found = read(folder, **changes).sentences("rooms")
    assert [sentence[: len(doubt)] for sentence, doubt in zip(found, doubts, strict=True)] == doubts
    assert all(isinstance(sentence, Doubt) for sentence in found)


def test_doubt_of_the_file(folder: Path) -> None:
    (folder / "rooms").write_text("small password=x\n")
    (folder / "rooms").chmod(0o644)
    (doubt,) = read(folder, file="rooms").sentences("rooms")
    assert doubt.startswith(f"rooms.file: {folder}/rooms has the mode 0644")
