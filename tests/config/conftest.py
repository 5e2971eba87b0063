"""Configuration files made on the spot."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tornado_webrtc.config import Config, load
from tornado_webrtc.errors import ConfigError

WriteConfig = Callable[[str], Path]
LoadConfig = Callable[..., Config]
ProblemsOf = Callable[..., list[str]]


@pytest.fixture
def write_config(tmp_path: Path) -> WriteConfig:
    """Return a function that writes a text as server.ini and returns the path."""

    def write(text: str) -> Path:
        path = tmp_path / "server.ini"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def load_config(write_config: WriteConfig) -> LoadConfig:
    """Return a function that loads a text as a file, with an environment."""

    def load_text(text: str, environ: Mapping[str, str] | None = None) -> Config:
        return load(write_config(text), environ or {})

    return load_text


@pytest.fixture
def problems_of(load_config: LoadConfig, tmp_path: Path) -> ProblemsOf:
    """Return a function that loads a text and returns what is wrong, without the folder's name."""

    def find(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_config(text, environ)
        return [str(each).replace(f"{tmp_path}/", "") for each in caught.value.problems]

    return find
