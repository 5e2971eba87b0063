"""Files with keys: how changes are noticed, and that a bad one changes nothing."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tornado_webrtc.plugins.auth_jwt.key import Key, UnusableKeyError
from tornado_webrtc.plugins.auth_jwt.key_file import PUBLIC_MODE, SECRET_MODE, KeyFile

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


def test_each_fault_stands_alone(tmp_path: Path) -> None:
    def wrong(_content: bytes) -> tuple[Key, ...]:
        raise UnusableKeyError("key 1 is bad", "key 2 is worse")

    path = tmp_path / "keys"
    path.write_text("x")
    file = KeyFile(path, wrong, None, PUBLIC_MODE)
    file.refresh()
    assert file.faults == (
        f"{path} cannot be used: key 1 is bad",
        f"{path} cannot be used: key 2 is worse",
    )
    assert file.error == f"{path} cannot be used: key 1 is bad; key 2 is worse"


def test_missing_file(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("No such file or directory; no token is accepted$")
    file = KeyFile(tmp_path / "keys", parse, LOG, PUBLIC_MODE)
    assert file.current() == ()
    assert file.error == f"{tmp_path / 'keys'} cannot be used: No such file or directory"


@pytest.mark.parametrize(
    ("mode", "allowed", "words"),
    [
        (0o640, SECRET_MODE, ""),
        (0o644, SECRET_MODE, "can use {} (mode 0644): chmod 640 {}"),
        (0o660, SECRET_MODE, "can use {} (mode 0660): chmod 640 {}"),
        (0o644, PUBLIC_MODE, ""),
        (0o664, PUBLIC_MODE, ""),
        (0o666, PUBLIC_MODE, "can change {} (mode 0666): chmod 664 {}"),
    ],
)
def test_mode(tmp_path: Path, mode: int, allowed: int, words: str) -> None:
    path = tmp_path / "keys"
    path.write_text("one")
    path.chmod(mode)
    doubt = KeyFile(path, parse, LOG, allowed).doubt
    assert doubt == (words and f"other users of this machine {words.format(path, path)}")


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
