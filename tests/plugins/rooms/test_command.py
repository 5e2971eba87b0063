"""`tornado-webrtc rooms hash`: from a pipe and from a terminal, and into the file."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.service import ROOT
from tornado_webrtc.cli import main
from tornado_webrtc.plugins.rooms.room_file import parse

DEADLINE_S = 30.0


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "server.ini"
    path.write_text("[rooms]\n")
    return path


def test_hash_opens_the_room(conf: Path) -> None:
    result = CliRunner().invoke(main, ["--conf", str(conf), "rooms", "hash"], input="open sesame\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("hash=scrypt:15:")
    expected = parse(f"vault {result.stdout}")["vault"].password
    assert expected is not None
    assert (expected.matches("open sesame"), expected.matches("sesame")) == (True, False)


def test_empty_password(conf: Path) -> None:
    result = CliRunner().invoke(main, ["--conf", str(conf), "rooms", "hash"], input="\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: the password is empty\n"


def test_terminal_does_not_show_it(conf: Path) -> None:
    own, theirs = pty.openpty()
    command = [sys.executable, "-m", "tornado_webrtc", "--conf", str(conf), "rooms", "hash"]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    try:
        shown = answered(own, [b"Password: ", b"confirmation: "], b"open sesame\n")
    finally:
        process.kill()
        process.wait()
        os.close(own)
    assert "hash=scrypt:15:" in shown
    assert "sesame" not in shown


def answered(terminal: int, questions: list[bytes], answer: bytes) -> str:
    """Type the answer to each question; returns all that the terminal showed."""
    shown, deadline = b"", time.monotonic() + DEADLINE_S
    asked = b""
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        shown, asked = shown + part, asked + part
        if questions and asked.endswith(questions[0]):
            del questions[0]
            asked = b""
            os.write(terminal, answer)
    assert not questions, shown
    return shown.decode()
