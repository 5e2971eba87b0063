"""A real server in a process of its own, for browsers to talk to."""

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"listening on (https?)://\S*?:(\d+)")
START_S = 20.0
STOP_S = 10.0

# All participants come from one address, and more quickly than people do.
UNLIMITED = {"TORNADO_WEBRTC__TURN__API_PER_MINUTE": "0"}
PLAIN = {"TORNADO_WEBRTC__GENERAL__CERT": "", "TORNADO_WEBRTC__GENERAL__KEY": ""}


@dataclass(frozen=True)
class ServerAddress:
    """Where a server listens on the loopback interface."""

    scheme: str
    port: int

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"


@contextmanager
def running_server(folder: Path, *, tls: bool = True) -> Iterator[ServerAddress]:
    """Make a configuration in a folder and serve it until the context ends."""
    module = [sys.executable, "-m", "tornado_webrtc"]
    init = [*module, "init", str(folder), "--port", "0"]
    subprocess.run(init, cwd=ROOT, check=True, capture_output=True, timeout=START_S)
    with running_command([*module, "--conf", str(folder / "server.ini")], tls=tls) as address:
        yield address


@contextmanager
def running_command(command: Sequence[str], *, tls: bool) -> Iterator[ServerAddress]:
    """Run a server command until the context ends; its log says where it listens."""
    extra = UNLIMITED if tls else UNLIMITED | PLAIN
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **extra}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_drain, args=(process.stderr, lines), daemon=True)
    reader.start()
    try:
        yield _address(process, lines)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()
            reader.join(STOP_S)
            process.stderr.close()


def _drain(stream: Iterator[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)


def _address(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> ServerAddress:
    seen: list[str] = []
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            seen.append(lines.get(timeout=0.1))
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        if found := LISTENING.search(seen[-1]):
            return ServerAddress(found[1], int(found[2]))
    raise AssertionError(f"the server did not start to listen; its log: {''.join(seen)}")
