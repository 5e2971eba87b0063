"""The state directory keeps what was made once, for its owner only."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import tornado_webrtc
from tests.conftest import ExpectLog
from tornado_webrtc.errors import StateError
from tornado_webrtc.state import StateDir, write_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_written_before_it_is_needed(tmp_path: Path) -> None:
    StateDir(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_secret_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "state"
    state = StateDir(folder)
    secret = state.secret()
    assert len(secret) == 43  # 32 bytes as base64 without padding
    assert state.secret() == secret
    assert StateDir(folder).secret() == secret
    assert mode(folder) == 0o700
    assert mode(folder / "secret") == 0o600
    assert list(folder.iterdir()) == [folder / "secret"]


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        write_file(tmp_path / "file", b"", mode=0o640)
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o640


def test_every_installation_has_its_own(tmp_path: Path) -> None:
    first, second = StateDir(tmp_path / "1"), StateDir(tmp_path / "2")
    assert first.secret() != second.secret()
    assert first.node_id() != second.node_id()


def test_node_id_is_kept(tmp_path: Path) -> None:
    node_id = StateDir(tmp_path).node_id()
    assert StateDir(tmp_path).node_id() == node_id
    assert len(node_id) == 16


def test_what_an_operator_wrote_is_used(tmp_path: Path) -> None:
    (tmp_path / "node_id").write_text("frankfurt-1\n")
    secret = tmp_path / "secret"
    secret.write_text("correct-horse-battery-staple\r\n")
    secret.chmod(0o600)
    assert StateDir(tmp_path).node_id() == "frankfurt-1"
    assert StateDir(tmp_path).secret() == "correct-horse-battery-staple"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"too short", b"two words, but long enough", b"\xff\xfe" * 20]
)
def test_secret_that_cannot_be_one(tmp_path: Path, content: bytes) -> None:
    write_file(tmp_path / "secret", content, mode=0o600)
    with pytest.raises(StateError, match=r"secret is empty, too short or .* delete it"):
        StateDir(tmp_path).secret()


@pytest.mark.parametrize("content", ["", "a b", "x" * 65, "a/b"])
def test_node_id_that_cannot_be_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "node_id").write_text(content)
    with pytest.raises(StateError, match="node_id is empty"):
        StateDir(tmp_path).node_id()


@pytest.mark.parametrize("others", [0o644, 0o640, 0o602])
def test_secret_that_others_can_read_is_a_warning(
    tmp_path: Path, others: int, expect_log: ExpectLog
) -> None:
    secret = StateDir(tmp_path).secret()
    (tmp_path / "secret").chmod(others)
    expect_log(rf"other users .* can use .*secret \(mode {others:04o}\): chmod 600 .*secret$")
    assert StateDir(tmp_path).secret() == secret


def test_state_directory_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("")
    with pytest.raises(StateError, match=r"state is a file, but a folder is needed; .*state_dir"):
        StateDir(path).secret()


def test_state_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot write .*: Not a directory; "):
        StateDir(tmp_path / "file" / "state").secret()


def test_secret_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(StateError, match=r"cannot read .*: Is a directory; "):
        StateDir(tmp_path).secret()


def test_secret_that_is_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StateError, match=r"cannot read .*: No such file"):
        StateDir(tmp_path).secret()


def test_state_directory_without_write_access(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)
    with pytest.raises(StateError, match=r"cannot write .*: Permission denied; give this user"):
        StateDir(unprivileged).secret()


def test_check_finds_what_would_fail(unprivileged: Path) -> None:
    missing = unprivileged / "new" / "state"
    StateDir(missing).check()
    assert not missing.parent.exists()
    unprivileged.chmod(0o500)
    for path in (unprivileged, missing):
        with pytest.raises(StateError, match=rf"cannot write to {path}; give this user write"):
            StateDir(path).check()


def test_check_finds_a_file_that_cannot_be_read(unprivileged: Path) -> None:
    state = StateDir(unprivileged)
    state.node_id()
    state.check()
    (unprivileged / "node_id").chmod(0)
    with pytest.raises(StateError, match=r"cannot read .*node_id; give this user access"):
        state.check()


def test_check_finds_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(StateError, match="is a file, but a folder is needed"):
        StateDir(path).check()
    with pytest.raises(StateError, match="cannot write to"):
        StateDir(path / "state").check()


def test_existing_file_is_kept_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"first", mode=0o600)
    with pytest.raises(FileExistsError):
        write_file(path, b"second", mode=0o600)
    assert path.read_bytes() == b"first"
    write_file(path, b"second", mode=0o600, overwrite=True)
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


RACE = """
import sys
from pathlib import Path
from tornado_webrtc.state import StateDir
print("ready", flush=True)
input()
state = StateDir(Path(sys.argv[1]))
print(state.secret(), state.node_id())
"""


def test_processes_that_race_agree(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    root = Path(tornado_webrtc.__file__).parents[1]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout
        racer.stdout.readline()
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    answers = {racer.communicate()[0] for racer in racers}
    assert len(answers) == 1
    assert answers != {""}
    assert sorted(folder.iterdir()) == [folder / "node_id", folder / "secret"]


def test_the_process_that_comes_second_takes_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_look(path: Path) -> bool:
        write_file(path, b"made-by-the-other-process\n", mode=0o600)
        return False  # what this process saw a moment before

    monkeypatch.setattr(Path, "exists", first_look)
    assert StateDir(tmp_path).secret() == "made-by-the-other-process"


def test_what_was_stored_is_loaded(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert state.load("bans.json") is None
    state.store("bans.json", b"one")
    state.store("bans.json", b"two")
    assert state.load("bans.json") == b"two"
    path = tmp_path / "state" / "bans.json"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_stored_or_loaded(unprivileged: Path) -> None:
    state = StateDir(unprivileged)
    state.store("bans.json", b"one")
    (unprivileged / "bans.json").chmod(0)
    with pytest.raises(StateError, match=r"cannot read .*bans\.json"):
        state.load("bans.json")
    unprivileged.chmod(0o500)
    with pytest.raises(StateError, match=r"cannot write .*bans\.json"):
        state.store("bans.json", b"two")


def test_drafts_of_one_file_are_removed(tmp_path: Path) -> None:
    StateDir(tmp_path / "nothing").remove_drafts("bans.json")
    for name in (".bans.json.abc", ".secret.abc", "bans.json", ".bans.json"):
        (tmp_path / name).touch()
    StateDir(tmp_path).remove_drafts("bans.json")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        ".bans.json",
        ".secret.abc",
        "bans.json",
    ]
