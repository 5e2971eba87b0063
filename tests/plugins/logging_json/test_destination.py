"""Files that rotate or are moved away, torn lines, and what cannot be written."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tornado_webrtc.plugins.logging_json.destination import make_destination

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 30.0


def open_file(path: Path, rotation: str = "size", max_bytes: int = 100) -> logging.Handler:
    return make_destination(path, rotation, max_bytes, backups=2)


def write(destination: logging.Handler, *lines: str) -> None:
    for line in lines:
        destination.emit(logging.makeLogRecord({"msg": line}))


@pytest.mark.parametrize("rotation", ["size", "external"])
def test_lines_are_added(tmp_path: Path, rotation: str) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    destination = open_file(path, rotation, 10**6)
    write(destination, '{"a":"%s"}', "ü")
    destination.close()
    assert path.read_text() == 'before\n{"a":"%s"}\nü\n'


@pytest.mark.parametrize("rotation", ["size", "external"])
def test_new_file_is_not_for_everybody(tmp_path: Path, rotation: str) -> None:
    before = os.umask(0)
    try:
        open_file(tmp_path / "log", rotation).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640


def test_rotation_by_size(tmp_path: Path) -> None:
    destination = open_file(tmp_path / "log", max_bytes=100)
    write(destination, *(str(number) * 40 for number in range(9)))
    destination.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert (tmp_path / "log").read_text() == "8" * 40 + "\n"
    assert (tmp_path / "log.1").read_text().split() == ["6" * 40, "7" * 40]


def test_logrotate_may_move_the_file_away(tmp_path: Path) -> None:
    path = tmp_path / "log"
    destination = open_file(path, "external")
    write(destination, "a" * 200)
    path.rename(tmp_path / "log.old")
    write(destination, "b")
    path.unlink()
    write(destination, "c")
    destination.close()
    assert (tmp_path / "log.old").read_text() == "a" * 200 + "\n"
    assert path.read_text() == "c\n"


@pytest.mark.parametrize("rotation", ["size", "external"])
def test_torn_line_is_ended(tmp_path: Path, rotation: str) -> None:
    path = tmp_path / "log"
    path.write_text('{"half":')
    destination = open_file(path, rotation, 10**6)
    write(destination, "whole")
    destination.close()
    assert path.read_text() == '{"half":\nwhole\n'


@pytest.mark.parametrize("rotation", ["size", "external"])
def test_full_disk_is_an_error_for_each_line_and_nothing_is_kept(rotation: str) -> None:
    destination = open_file(Path("/dev/full"), rotation, 10**6)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            write(destination, "x" * 100_000)
    destination.close()


def test_disk_that_has_room_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    destination = open_file(path, "external")
    with pytest.raises(OSError, match="No space left"):
        write(destination, "lost")
    path.unlink()
    write(destination, "written")
    destination.close()
    assert path.read_text() == "written\n"


@pytest.mark.parametrize("rotation", ["size", "external"])
def test_file_that_cannot_be_opened(tmp_path: Path, rotation: str) -> None:
    with pytest.raises(OSError, match="No such file"):
        open_file(tmp_path / "nowhere" / "log", rotation)


def test_folder_that_vanishes(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    destination = open_file(folder / "log", "external")
    write(destination, "a")
    (folder / "log").unlink()
    folder.rmdir()
    with pytest.raises(OSError, match="No such file"):
        write(destination, "b")
    folder.mkdir()
    write(destination, "c")
    destination.close()
    assert (folder / "log").read_text() == "c\n"


# --- standard output -------------------------------------------------------------------------

STDOUT = """
import logging, os, sys
from tornado_webrtc.plugins.logging_json.destination import make_destination
destination = make_destination(None, "size", 1, 1)
for line in {lines!r}:
    try:
        destination.emit(logging.makeLogRecord({{"msg": line}}))
    except OSError as error:
        print(error.strerror, file=sys.stderr)
destination.close()
destination.close()
"""


def run_python(code: str, redirection: str = "") -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, code]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    return subprocess.run(
        command, capture_output=True, timeout=DEADLINE_S, env=environ, check=False
    )


def test_standard_output_is_utf8_whatever_the_locale() -> None:
    done = run_python(STDOUT.format(lines=["ü", "b"]))
    assert (done.stdout, done.stderr) == ("ü\nb\n".encode(), b"")


def test_standard_output_on_a_full_disk() -> None:
    done = run_python(STDOUT.format(lines=["a", "b"]), "> /dev/full")
    assert done.stderr.decode().splitlines() == ["No space left on device"] * 2


def test_standard_output_that_nobody_reads() -> None:
    broken = "import os; out, into = os.pipe(); os.dup2(into, 1); os.close(into); os.close(out)"
    done = run_python(f"{broken}\n{STDOUT.format(lines=['a', 'b'])}")
    assert done.stderr.decode().splitlines() == ["Broken pipe"] * 2


def test_standard_output_that_is_closed_is_not_somebody_elses_socket() -> None:
    done = run_python(f"import socket; kept = socket.socket()\n{STDOUT.format(lines=['a'])}", ">&-")
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "OSError: standard output is closed"


NONBLOCKING = """
import logging, os, threading
from tornado_webrtc.plugins.logging_json import destination
out, into = os.pipe()
os.set_blocking(into, False)
os.dup2(into, 1)
made = destination.make_destination(None, "size", 1, 1)
total = 0
def read():
    global total
    while total < 1000001:
        total += len(os.read(out, 65536))
reader = threading.Thread(target=read)
reader.start()
made.emit(logging.makeLogRecord({"msg": "x" * 1000000}))
reader.join()
destination.STALL_MS = 1
try:
    made.emit(logging.makeLogRecord({"msg": "y" * 1000000}))
except BlockingIOError:
    print("stalled", file=__import__("sys").stderr)
os.set_blocking(out, False)
try:
    while os.read(out, 65536):
        pass
except BlockingIOError:
    pass
made.emit(logging.makeLogRecord({"msg": "z"}))
print(os.read(out, 100), file=__import__("sys").stderr)
"""


def test_standard_output_that_does_not_block() -> None:
    done = run_python(NONBLOCKING)
    assert done.returncode == 0, done.stderr
    stalled, line = done.stderr.decode().splitlines()
    assert stalled == "stalled"
    assert line.endswith("\\nz\\n'"), "a line that was torn is ended before the next"
