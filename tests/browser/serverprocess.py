"""A real server in a process of its own, for browsers to talk to."""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"listening on (https?)://\S*?:(\d+)")
COMPLAINT = re.compile(r" (ERROR|CRITICAL) |^Traceback|never awaited|never retrieved")
# Of a machine that is busy with other things too.
START_S = 60.0
STOP_S = 30.0

# All participants come from one address, and more quickly than people do. Clients are
# told nothing but the loopback address, whatever others this machine has.
LOOPBACK = {
    "TORNADO_WEBRTC__GENERAL__DRAIN_S": "0",
    "TORNADO_WEBRTC__TURN__API_PER_MINUTE": "0",
    "TORNADO_WEBRTC__TURN__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PUBLIC_IP": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PORT": "0",
    "TORNADO_WEBRTC__TURN__PORT_TCP": "0",
}
MODULE = (sys.executable, "-m", "tornado_webrtc")
PLAIN = {"TORNADO_WEBRTC__GENERAL__CERT": "", "TORNADO_WEBRTC__GENERAL__KEY": ""}


@dataclass(frozen=True)
class ServerAddress:
    """Where a server listens on the loopback interface, and which process it is."""

    scheme: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"


@contextmanager
def running_server(
    folder: Path,
    *,
    tls: bool = True,
    port: int = 0,
    plugins: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    **turn: str,
) -> Iterator[ServerAddress]:
    """Make a configuration in a folder and serve it until the context ends.

    Args:
        folder: Where to make it; one that has been made is served again.
        tls: HTTPS, or plain HTTP.
        port: Where to listen; 0: anywhere.
        plugins: Plugins of one file to run as well.
        environ: Further settings, as environment variables.
        turn: Keys of the section `[turn]`.
    """
    if not (folder / "server.ini").exists():
        _make(folder)
    added = {f"TORNADO_WEBRTC__TURN__{key.upper()}": value for key, value in turn.items()}
    added |= {"TORNADO_WEBRTC__GENERAL__PORT": str(port), **(environ or {})}
    if plugins:
        added["TORNADO_WEBRTC__PLUGINS__PATH"] = f"{folder / 'plugins'},"
        (folder / "plugins").mkdir(exist_ok=True)
        for file in plugins:
            shutil.copy(file, folder / "plugins")
    command = [*MODULE, "--conf", str(folder / "server.ini")]
    with running_command(command, added if tls else PLAIN | added) as address:
        yield address


def _make(folder: Path) -> None:
    init = [*MODULE, "init", str(folder), "--port", "0"]
    made = subprocess.run(
        init, cwd=ROOT, check=False, capture_output=True, text=True, timeout=START_S
    )
    assert made.returncode == 0, made.stderr


@contextmanager
def running_command(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[ServerAddress]:
    """Run a server command until the context ends; its log says where it listens.

    Nothing that browsers do may make it log an error.
    """
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **LOOPBACK, **environ},
        stderr=subprocess.PIPE,
        text=True,
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
    complaints = [line for line in _rest(lines) if COMPLAINT.search(line)]
    assert not complaints, "".join(complaints)


def _drain(stream: Iterator[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)


def _rest(lines: queue.SimpleQueue[str]) -> Iterator[str]:
    with suppress(queue.Empty):
        while True:
            yield lines.get_nowait()


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
            return ServerAddress(found[1], int(found[2]), process.pid)
    raise AssertionError(f"the server did not start to listen; its log: {''.join(seen)}")
