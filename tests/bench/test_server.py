"""Servers start on a free port, say where they are, and end."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

import tornado_webrtc
from bench.errors import BenchError
from bench.machine import choose_cores
from bench.server import (
    Running,
    answers,
    coturn,
    coturn_command,
    coturn_version,
    free_port,
    our_versions,
    ours,
)

CORE = choose_cores().server


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNADO_WEBRTC__TURN__REALM", "not-for-the-benchmark")
    with ours(tmp_path, CORE) as running:
        assert os.sched_getaffinity(running.pid) == {CORE}
        assert answers(running.udp)
        with socket.create_connection(("127.0.0.1", running.tcp)):
            pass
    assert not is_running(running.pid)
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600


def test_address() -> None:
    running = Running("x", 1, 17, 18)
    assert running.address("udp") == "127.0.0.1:17"
    assert running.address("tcp") == "127.0.0.1:18"


def test_coturn_listens_on_loopback_only(tmp_path: Path) -> None:
    command = coturn_command("/usr/bin/turnserver", tmp_path, 17)
    assert command[0] == "/usr/bin/turnserver"
    assert {"--listening-port=17", "--listening-ip=127.0.0.1", "--relay-threads=1"} <= set(command)
    assert {"--relay-ip=127.0.0.1", f"--userdb={tmp_path}/turnserver.db"} <= set(command)


def test_server_that_fails(tmp_path: Path) -> None:
    program = tmp_path / "turnserver"
    program.write_text("#!/bin/sh\necho cannot bind\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BenchError, match=r"(?s)did not start.*cannot bind"):
        coturn(str(program), tmp_path, CORE).__enter__()


def test_nobody_answers() -> None:
    assert not answers(free_port())


def test_a_free_port_is_free_for_both() -> None:
    port = free_port()
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", port))
        udp.bind(("127.0.0.1", port))


def test_our_versions() -> None:
    found = our_versions("asyncio")
    assert found["tornado-webrtc"] == tornado_webrtc.__version__
    assert found["event loop"] == "asyncio"


def test_coturn_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert coturn_version() is None
    program = tmp_path / "turnserver"
    program.write_text("#!/bin/sh\necho\necho 4.6.1\n")
    program.chmod(0o755)
    subprocess.run([program], check=True, capture_output=True)
    assert coturn_version() == (str(program), "4.6.1")
