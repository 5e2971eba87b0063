"""The values: frozen, with defaults, silent about secrets."""

import dataclasses
import os
from pathlib import Path

import pytest

from tornado_webrtc.config import Config, General, Signaling, Turn
from tornado_webrtc.paths import www_dir


def test_defaults_serve_tests() -> None:
    config = Config(signaling=Signaling(heartbeat_s=1))
    assert config.signaling.heartbeat_s == 1
    assert config.general.html_root == www_dir()
    assert config.warnings == ()


def test_values_never_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        General().port = 1  # type: ignore[misc]


def test_secrets_are_not_shown() -> None:
    config = Config(
        turn=Turn(secret=("hunter2",)), plugin_settings={"redis": {"password": "hunter3"}}
    )
    assert "hunter" not in repr(config)
    assert "hunter" not in str(config.turn)


def test_resolve(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    os.chdir(tmp_path)
    config = Config(path=tmp_path / "conf" / "server.ini")
    assert config.resolve("here") == Path("here")
    assert config.resolve("nowhere") == tmp_path / "conf" / "nowhere"
    assert config.resolve("/etc") == Path("/etc")
    assert Config().resolve("here") == Path("here")
