"""Regular files are read, everything else is refused without waiting for it."""

import os
import socket
from pathlib import Path

import pytest

from tornado_webrtc.regularfile import read_regular_file


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"content")
    link.symlink_to(path)
    assert read_regular_file(path) == b"content"
    assert read_regular_file(link, 4) == b"cont"


def test_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no regular file"):
        read_regular_file(tmp_path / "pipe")


def test_a_device() -> None:
    with pytest.raises(OSError, match="it is no regular file"):
        read_regular_file(Path("/dev/zero"))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_regular_file(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device"):
            read_regular_file(tmp_path / "s")
    with pytest.raises(ValueError, match="null"):
        read_regular_file(Path("a\0b"))
