"""Files with keys: how changes are noticed, and that a bad one changes nothing."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tornado_webrtc.plugins.auth_jwt.key import Key, UnusableKeyError
from tornado_webrtc.plugins.auth_jwt.key_file import (
    MAX_FILE_BYTES,
    PUBLIC_MODE,
    SECRET_MODE,
    KeyFile,
)

ExpectLog = Callable[[str], None]

LOG = logging.getLogger("tornado_webrtc.plugins.auth_jwt")


def parse(content: bytes) -> tuple[Key, ...]:
    if content.startswith(b"bad"):
        raise UnusableKeyError("it is bad")
    return tuple(Key(frozenset({"HS256"}), line) for line in content.splitlines())


class Watched:
    """A file with its reader, long after the file was written unless a test says otherwise."""

    def __init__(self, path: Path, log: logging.Logger | None = LOG) -> None:
        self.path = path
        self.age_ns = 3600 * 10**9
        self.file = KeyFile(
            path, parse, log, SECRET_MODE, lambda: path.stat().st_mtime_ns + self.age_ns
        )

    def write(self, text: str, mode: int = 0o600) -> None:
        """Replace the file as editors and secret stores do."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.chmod(mode)
        new.rename(self.path)

    def materials(self) -> list[object]:
        return [key.material for key in self.file.current()]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    made = Watched(tmp_path / "keys")
    made.write("one")
    return made


def test_change_is_noticed(watched: Watched) -> None:
    assert watched.materials() == [b"one"]
    watched.write("two\nthree")
    assert watched.materials() == [b"two", b"three"]


@pytest.mark.parametrize("age_s", [3600, -3600])
def test_unchanged_file_is_not_read_again(watched: Watched, age_s: int) -> None:
    watched.age_ns = age_s * 10**9
    (first,) = watched.file.current()
    (second,) = watched.file.current()
    assert first is second


def test_file_that_has_just_been_written_is_read_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within the resolution of its time leave the same status."""
    watched.age_ns = 10**6
    assert watched.materials() == [b"one"]
    status = watched.path.stat()
    watched.path.write_text("two")
    monkeypatch.setattr(Path, "stat", lambda _path: status)
    assert watched.materials() == [b"two"]


@pytest.mark.parametrize("age_ns", [10**6, 10**12])
def test_bad_change_keeps_the_old_keys(
    watched: Watched, age_ns: int, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    assert watched.materials() == [b"one"]
    expect_log(r"^.*keys cannot be used: it is bad; the earlier keys hold$")
    watched.age_ns = age_ns
    watched.write("bad")
    for _ in range(3):
        assert watched.materials() == [b"one"]
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    assert watched.file.error.endswith("cannot be used: it is bad")
    watched.write("two")
    assert watched.materials() == [b"two"]
    assert watched.file.error == ""


def test_removed_file_keeps_the_old_keys(watched: Watched, expect_log: ExpectLog) -> None:
    assert watched.materials() == [b"one"]
    expect_log("No such file or directory; the earlier keys hold$")
    watched.path.rename(watched.path.with_name("away"))
    assert watched.materials() == [b"one"]
    watched.path.with_name("away").rename(watched.path)
    assert watched.materials() == [b"one"]
    assert watched.file.error == ""


def test_folder_that_comes_back(tmp_path: Path, expect_log: ExpectLog) -> None:
    (tmp_path / "folder").mkdir()
    watched = Watched(tmp_path / "folder" / "keys")
    watched.write("one")
    assert watched.materials() == [b"one"]
    expect_log("No such file or directory; the earlier keys hold$")
    away = watched.path.parent.rename(tmp_path / "away")
    watched.file.refresh()
    assert watched.file.error
    away.rename(watched.path.parent)
    assert watched.materials() == [b"one"]
    assert watched.file.error == ""


def test_what_is_no_file(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("no token is accepted$")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    for name, reason in (
        ("missing", "No such file or directory"),
        ("pipe", "it is no regular file"),
        (".", "Is a directory"),
        ("large", f"it has more than {MAX_FILE_BYTES} bytes"),
    ):
        file = KeyFile(tmp_path / name, parse, LOG, PUBLIC_MODE)
        assert file.current() == ()
        assert file.error == f"{tmp_path / name} cannot be used: {reason}"


def test_largest_file(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(KeyFile(tmp_path / "large", parse, LOG, PUBLIC_MODE).current()) == 1


def test_unreadable_file(unprivileged: Path, expect_log: ExpectLog) -> None:
    expect_log("Permission denied; no token is accepted$")
    (unprivileged / "keys").touch(mode=0)
    assert KeyFile(unprivileged / "keys", parse, LOG, PUBLIC_MODE).current() == ()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o440])
def test_closed_file(watched: Watched, mode: int) -> None:
    watched.write("one", mode)
    assert watched.materials() == [b"one"]
    assert watched.file.doubt == ""


@pytest.mark.parametrize(("mode", "closed"), [(0o644, 0o640), (0o660, 0o640), (0o777, 0o740)])
def test_open_file(watched: Watched, mode: int, closed: int) -> None:
    watched.write("one", mode)
    watched.file.refresh()
    expected = f"has the mode {mode:04o}: others can read or change it; chmod {closed:o} it"
    assert watched.file.doubt == f"{watched.path} {expected}"
    watched.write("one", closed)
    watched.file.refresh()
    assert watched.file.doubt == ""


@pytest.mark.parametrize(("mode", "doubtful"), [(0o644, False), (0o664, False), (0o666, True)])
def test_public_keys_may_be_read_by_anybody(tmp_path: Path, mode: int, doubtful: bool) -> None:
    (tmp_path / "keys").write_text("one")
    (tmp_path / "keys").chmod(mode)
    file = KeyFile(tmp_path / "keys", parse, LOG, PUBLIC_MODE)
    file.refresh()
    assert ("others can change it; chmod 664 it" in file.doubt) == doubtful


def test_without_a_log_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    quiet = Watched(tmp_path / "keys", None)
    quiet.file.refresh()
    quiet.write("one")
    quiet.file.refresh()
    assert caplog.records == []


def test_keys_are_not_logged(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    watched.write("s3cr3t")
    watched.file.refresh()
    assert f"keys read from {watched.path}: 1" in caplog.text
    assert "s3cr3t" not in caplog.text
    assert "s3cr3t" not in str(vars(watched.file))
