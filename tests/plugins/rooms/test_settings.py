"""The section: defaults, limits of rooms, what is probably not meant."""

from pathlib import Path
from typing import Any

import pytest

from tests.plugins.section import marks, section
from tornado_webrtc.config import Config
from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.hooks import Doubt
from tornado_webrtc.plugins.rooms.settings import SPECIFICATION, Settings


def read(folder: Path, **changes: Any) -> Settings:
    return Settings.read(section(SPECIFICATION) | changes, Config(path=folder / "server.ini"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rooms").write_text("small max_peers=2\nany max_peers=0\nusual\n")
    return tmp_path


def test_defaults(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings()


def test_everything_is_live() -> None:
    assert marks(SPECIFICATION) == {"live"}


def test_limits(folder: Path) -> None:
    settings = read(folder, file="rooms", max_peers=5)
    found = {name: settings.max_peers_of(name) for name in ("small", "any", "usual", "other")}
    assert found == {"small": 2, "any": 0, "usual": 5, "other": 5}


def test_bad_file(folder: Path) -> None:
    with pytest.raises(BadContentError, match="nowhere cannot be read"):
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
    assert doubt.startswith("rooms.file: other users of this machine can use ")
    assert f"{folder}/rooms (mode 0644)" in doubt
