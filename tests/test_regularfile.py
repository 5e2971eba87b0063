"""Regular files are read, everything else is refused without waiting; open modes are told of."""

import errno
import os
import socket
from pathlib import Path

import pytest

from tornado_webrtc.regularfile import exposure, read_regular_file


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"content")
    link.symlink_to(path)
    assert read_regular_file(path) == b"content"
    assert read_regular_file(link, 7) == b"content"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(OSError, match="it has more than 6 bytes") as raised:
        read_regular_file(tmp_path / "file", 6)
    assert raised.value.errno == errno.EFBIG


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


@pytest.mark.parametrize(
    ("allowed", "fine", "open_to_use", "verb"),
    [
        (0o600, (0o600, 0o400, 0o700, 0o711), (0o640, 0o604, 0o620, 0o644), "use"),
        (0o640, (0o600, 0o640, 0o440, 0o750), (0o644, 0o660, 0o604, 0o602), "use"),
        (0o664, (0o644, 0o664, 0o755, 0o775), (0o666, 0o602, 0o777), "change"),
    ],
)
def test_modes(
    tmp_path: Path, allowed: int, fine: tuple[int, ...], open_to_use: tuple[int, ...], verb: str
) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.touch()
    link.symlink_to(path)
    for mode in fine:
        path.chmod(mode)
        assert exposure(link, allowed) is None, f"{mode:o}"
    for mode in open_to_use:
        path.chmod(mode)
        found = exposure(path, allowed)
        assert found is not None, f"{mode:o}"
        assert found.message == (f"other users of this machine can {verb} {path} (mode {mode:04o})")
        assert found.advice == f"chmod {mode & allowed:o} {path}"
        assert str(found) == f"{found.message}: {found.advice}"
        advised = int(found.advice.split()[1], 8)
        assert advised & ~mode == 0, "nobody is given what he had not"
        path.chmod(advised)
        assert exposure(path, allowed) is None


def test_modes_of_what_is_not_there(tmp_path: Path) -> None:
    assert exposure(tmp_path / "nothing") is None
    assert exposure(Path("a\0b")) is None
