"""The file of rooms: what its lines say, and what is wrong with them."""

import os
import time
from pathlib import Path

import pytest

from tornado_webrtc.followedfile import BadContentError
from tornado_webrtc.plugins.rooms.password import HashedPassword
from tornado_webrtc.plugins.rooms.room_file import MAX_FILE_BYTES, RoomFile, parse
from tornado_webrtc.redaction import redact

HASHED = HashedPassword.parse(
    "scrypt:14:c29kaXVtIGNobG9yaWRlIQ:tztoIICk3Vhxl0mGs9dkFv4tKkUIXpZHVZTZ87ExIw0"
)
"""Of `sesame`."""
FILE = f"""\ufeff# NAME [max_peers=NUMBER] [password=TEXT | hash=HASH]
; another comment

standup
"board room"   max_peers=6 password="open = sesame"
vault\thash={HASHED}  max_peers=0\r
"a=b" password=x;#=y
"""


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "rooms"
    path.write_text(FILE)
    path.chmod(0o600)
    file = RoomFile.read(path)
    rooms = file.rooms
    assert list(rooms) == ["standup", "board room", "vault", "a=b"]
    assert [room.max_peers for room in rooms.values()] == [None, 6, 0, None]
    assert rooms["standup"].password is None
    for name, password in (("board room", "open = sesame"), ("a=b", "x;#=y"), ("vault", "sesame")):
        expected = rooms[name].password
        assert expected is not None
        assert expected.matches(password)
    assert rooms["vault"].password == HASHED
    assert file.doubt == ""


def test_name_has_its_one_spelling() -> None:
    assert list(parse('" cafe\u0301 "')) == ["caf\u00e9"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_file_without_rooms_is_no_file(tmp_path: Path, text: str) -> None:
    """One that was written half must not open what it had locked."""
    path = tmp_path / "rooms"
    path.write_text(text)
    assert parse(text) == {}
    with pytest.raises(BadContentError, match="rooms lists no room; leave the key out"):
        RoomFile.read(path)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("max_peers=3", "line 1: it begins with an option, but has to be <NAME>"),
        ('""', "line 1: A room's name must not be empty"),
        ("a\u202eb", "line 1: A room's name must not hold"),
        ("x\nblue\nblue", "line 3: this room stands on line 2 already"),
        ('cafe\u0301\n"caf\u00e9"', "line 2: this room stands on line 1 already"),
        ("board room", "line 1: two names; put a name with spaces into double quotes"),
        ("a size=3", "line 1: there is an option that is not known; known are max_peers, password"),
        ("a max_peers=", "line 1: it cannot be read from column 3 on"),
        ("a max_peers=x", "line 1: max_peers has to be a whole number"),
        ("a max_peers=-1", "line 1: max_peers has to be a whole number"),
        ("a max_peers=\u0663", "line 1: max_peers has to be a whole number"),
        ("a max_peers=1 max_peers=2", "line 1: one of max_peers, and one of"),
        ('a password=""', "line 1: the password is empty"),
        (f"a password=x hash={HASHED}", "line 1: one of max_peers, and one of password and hash"),
        ("a hash=x", "line 1: a hash is scrypt:15:SALT:KEY; `rooms hash` prints it behind"),
        ('a password="x', "line 1: it cannot be read from column 3 on"),
        ('"a"b', "line 1: it cannot be read from column 1 on"),
    ],
)
def test_fault(text: str, fault: str) -> None:
    with pytest.raises(BadContentError) as raised:
        parse(text)
    assert str(raised.value).startswith(fault)
    assert redact(str(raised.value)) == str(raised.value), "the log shows the hint as it is"


def test_all_faults_at_once() -> None:
    with pytest.raises(BadContentError, match=r"line 1: .*; line 3: ") as raised:
        parse("a b\nc\nd e\n")
    assert [each.partition(":")[0] for each in raised.value.faults] == ["line 1", "line 3"]


def test_many_faults(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("a b\n" * 1000)
    with pytest.raises(BadContentError) as raised:
        RoomFile.read(tmp_path / "rooms")
    assert len(raised.value.faults) == 21
    assert raised.value.faults[-2].startswith(f"{tmp_path}/rooms, line 20: two names")
    assert raised.value.faults[-1] == "980 more faults"


@pytest.mark.parametrize(
    "line",
    [
        'a password="sesame',
        "a sesame",
        "a password=sesame password=sesame",
        "a hash=sesame",
        "a sesame=x",
    ],
)
def test_faults_show_no_password(line: str) -> None:
    with pytest.raises(BadContentError) as raised:
        parse(line)
    assert "sesame" not in str(raised.value)
    assert "sesame" not in repr(parse("a password=sesame"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadContentError, match=r"nowhere cannot be read: No such file"):
        RoomFile.read(tmp_path / "nowhere")


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadContentError, match=r"pipe cannot be read: it is no regular file"):
        RoomFile.read(tmp_path / "pipe")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_bytes(b"a\n\xff\n")
    with pytest.raises(BadContentError, match=r"rooms is not UTF-8 \(byte 2\)"):
        RoomFile.read(tmp_path / "rooms")


def test_far_too_long(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(BadContentError, match=r"rooms cannot be read: it has more than \d+ bytes"):
        RoomFile.read(tmp_path / "rooms")


def test_what_was_read_last_is_not_read_again(tmp_path: Path) -> None:
    """A server reads it beside the event loop, to check it, and then in it."""
    path = tmp_path / "rooms"
    path.write_text("".join(f"room-{number} max_peers=6 password=x\n" for number in range(20_000)))
    costs, found = [], []
    for _ in range(2):
        since = time.thread_time()
        found.append(RoomFile.read(path).rooms)
        costs.append(time.thread_time() - since)
    assert costs[1] < costs[0] / 4
    assert found[0] == found[1]
    assert len(found[1]) == 20_000
    path.write_text("other\n")
    assert [*RoomFile.read(path).rooms] == ["other"]


def test_faults_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("a b\n")
    with pytest.raises(BadContentError, match=r"/rooms, line 1: two names"):
        RoomFile.read(tmp_path / "rooms")


@pytest.mark.parametrize(
    ("mode", "text", "doubtful"),
    [
        (0o600, "a password=x", False),
        (0o640, "a password=x", False),
        (0o644, "a password=x", True),
        (0o660, f"a hash={HASHED}", True),
        (0o644, "a", False),
    ],
)
def test_mode(tmp_path: Path, mode: int, text: str, doubtful: bool) -> None:
    (tmp_path / "rooms").write_text(text)
    (tmp_path / "rooms").chmod(mode)
    doubt = RoomFile.read(tmp_path / "rooms").doubt
    assert doubt.endswith(f"chmod 640 {tmp_path / 'rooms'}") == doubtful
    assert (f"(mode {mode:04o})" in doubt) == doubtful
