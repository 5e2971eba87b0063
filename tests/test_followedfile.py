"""Files that are followed: how changes are noticed, and that a bad one changes nothing."""

import os
from pathlib import Path

import pytest

from tornado_webrtc.followedfile import MAX_FAULTS, MAX_FILE_BYTES, BadContentError, FollowedFile

LONG_AGO_NS = 3600 * 10**9
JUST_NOW_NS = 10**6


class Watched:
    """A file with its reader, long after the file was written unless a test says otherwise."""

    def __init__(self, path: Path) -> None:
        self.age_ns = LONG_AGO_NS
        self.parsed = 0
        self.file = FollowedFile(path, self._parse, lambda: path.stat().st_mtime_ns + self.age_ns)
        self.path = path

    def _parse(self, content: bytes) -> str:
        self.parsed += 1
        if content.startswith(b"bad"):
            raise BadContentError(f"it is {content.decode()}")
        return content.decode()

    def write(self, text: str) -> None:
        """Replace the file as editors and secret stores do."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)

    def look(self) -> tuple[bool, str | None, str]:
        return self.file.refresh(), self.file.content, self.file.error


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    made = Watched(tmp_path / "file")
    made.write("one")
    return made


def test_change_is_noticed(watched: Watched) -> None:
    assert watched.file.content is None
    assert watched.look() == (True, "one", "")
    watched.write("two")
    assert watched.look() == (True, "two", "")
    assert watched.look() == (False, "two", "")


@pytest.mark.parametrize("age_ns", [LONG_AGO_NS, -LONG_AGO_NS])
def test_unchanged_file_is_not_read_again(
    watched: Watched, age_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.age_ns = age_ns
    assert watched.look() == (True, "one", "")
    monkeypatch.setattr("tornado_webrtc.followedfile.read_regular_file", None)
    assert watched.look() == (False, "one", "")


def test_file_that_has_just_been_written_is_read_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within the resolution of its time leave the same status."""
    watched.age_ns = JUST_NOW_NS
    assert watched.look() == (True, "one", "")
    status = watched.path.stat()
    watched.path.write_text("two")
    monkeypatch.setattr(Path, "stat", lambda _path: status)
    assert watched.look() == (True, "two", "")


@pytest.mark.parametrize(("text", "error"), [("one", ""), ("bad", "it is bad")])
def test_what_is_the_same_is_not_parsed_again(watched: Watched, text: str, error: str) -> None:
    """Nor told again: a crowd may look while the file is young."""
    watched.age_ns = JUST_NOW_NS
    watched.write(text)
    assert watched.file.refresh()
    for _ in range(3):
        os.utime(watched.path)
        assert not watched.file.refresh()
    assert (watched.parsed, watched.file.error) == (1, error)


@pytest.mark.parametrize("age_ns", [JUST_NOW_NS, LONG_AGO_NS])
def test_bad_change_keeps_what_was_there(watched: Watched, age_ns: int) -> None:
    assert watched.look() == (True, "one", "")
    watched.age_ns = age_ns
    watched.write("bad")
    assert watched.look() == (True, "one", "it is bad")
    for _ in range(3):
        assert watched.look() == (False, "one", "it is bad")
    watched.write("bad and worse")
    assert watched.look() == (True, "one", "it is bad and worse")
    watched.write("one")
    assert watched.look() == (True, "one", "")


def test_each_fault_stands_alone(tmp_path: Path) -> None:
    def parse(content: bytes) -> bytes:
        if content:
            raise BadContentError("line 1 is odd", "line 3 is odd, too")
        return content

    path = tmp_path / "file"
    path.write_text("x")
    file = FollowedFile(path, parse)
    assert file.refresh()
    assert list(file.faults) == ["line 1 is odd", "line 3 is odd, too"]
    assert file.error == "line 1 is odd; line 3 is odd, too"
    path.unlink()
    assert file.refresh()
    assert list(file.faults) == ["No such file or directory"]
    path.write_text("")
    assert file.refresh()
    assert (list(file.faults), file.error) == ([], "")


@pytest.mark.parametrize("count", [1, MAX_FAULTS])
def test_faults_that_are_all_shown(count: int) -> None:
    faults = tuple(f"line {number} is odd" for number in range(count))
    assert BadContentError(*faults).faults == faults


def test_many_faults_are_counted() -> None:
    error = BadContentError(*(f"line {number} is odd" for number in range(1000)))
    assert len(error.faults) == MAX_FAULTS + 1
    assert error.faults[-2:] == ("line 19 is odd", "980 more faults")
    assert str(error) == "; ".join(error.faults)
    error = BadContentError(*(f"line {number} is odd" for number in range(MAX_FAULTS + 1)))
    assert error.faults[-2:] == ("line 19 is odd", "1 more fault")


@pytest.mark.parametrize("age_ns", [JUST_NOW_NS, LONG_AGO_NS])
def test_what_could_not_be_judged_is_judged_again(
    watched: Watched, age_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parser that fails leaves what holds as it was, and the next look is a new one."""

    def failing(_content: bytes) -> str:
        raise MemoryError

    watched.age_ns = age_ns
    assert watched.look() == (True, "one", "")
    watched.write("two")
    with monkeypatch.context() as patch:
        patch.setattr(watched.file, "_parse", failing)
        for _ in range(2):
            with pytest.raises(MemoryError):
                watched.file.refresh()
    assert (watched.file.content, watched.file.error) == ("one", "")
    assert watched.look() == (True, "two", "")


def test_missing_file(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "file")
    assert watched.look() == (True, None, "No such file or directory")
    assert watched.look() == (False, None, "No such file or directory")
    watched.write("one")
    assert watched.look() == (True, "one", "")


def test_file_that_goes_and_comes_back(watched: Watched) -> None:
    assert watched.look() == (True, "one", "")
    away = watched.path.rename(watched.path.with_name("away"))
    assert watched.look() == (True, "one", "No such file or directory")
    away.rename(watched.path)
    assert watched.look() == (True, "one", "")


def test_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    watched = Watched(tmp_path / "folder" / "file")
    watched.write("one")
    assert watched.look() == (True, "one", "")
    away = watched.path.parent.rename(tmp_path / "away")
    assert watched.look() == (True, "one", "No such file or directory")
    away.rename(watched.path.parent)
    assert watched.look() == (True, "one", "")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    for name, reason in (
        ("pipe", "it is no regular file"),
        (".", "Is a directory"),
        ("large", f"it has more than {MAX_FILE_BYTES} bytes"),
    ):
        assert Watched(tmp_path / name).look() == (True, None, reason)


def test_largest_file(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "large")
    watched.write("x" * MAX_FILE_BYTES)
    assert watched.look() == (True, "x" * MAX_FILE_BYTES, "")


def test_unreadable_file(unprivileged: Path) -> None:
    (unprivileged / "file").touch(mode=0)
    assert Watched(unprivileged / "file").look() == (True, None, "Permission denied")


def test_content_is_not_shown(watched: Watched) -> None:
    watched.write("s3cr3t")
    watched.file.refresh()
    assert "s3cr3t" not in repr(watched.file)
