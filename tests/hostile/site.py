"""A real server process to be attacked, and what can be seen of it from outside.

Its log goes to a file, its memory and open files are read from `/proc`, and the
sizes of its tables from a plugin that is put into its plugin folder (tables.py).
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.serverprocess import LISTENING, ROOT
from tests.wire import WireClient, trusting_context

START_S = 30.0
STOP_S = 20.0
DEADLINE_S = 40.0
POLL_S = 0.02

SDP_MARK = "v=0"
CANDIDATE_MARK = "candidate:"
TOKEN_MARK = "t0ken-th4t-n0-l0g-may-sh0w"
PRIVATE = (SDP_MARK, CANDIDATE_MARK, TOKEN_MARK)

_BUSY_MACHINE = re.compile(r"WARNING plugin \w+: \w+ blocked the whole server")
_COMPLAINT = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) |^Traceback", re.MULTILINE)


@dataclass
class Site:
    """A running server.

    Attributes:
        process: The server's process.
        port: Where it listens on the loopback interface.
        tls: Whether it speaks TLS there.
        log_path: Where its log goes.
    """

    process: subprocess.Popen[bytes]
    port: int
    tls: bool
    log_path: Path

    async def connect(self, **options: Any) -> WireClient:
        """Open a WebSocket; see `WireClient.connect`."""
        return await WireClient.connect(self.port, tls=self.tls, **options)

    async def open_stream(
        self, *, tls: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and say nothing on it yet, unless it is TLS's hello."""
        context = trusting_context() if tls else None
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)

    def stop(self) -> None:
        """Stop it, unless it was killed; it has to end well, and its log has to be as it should."""
        if self.process.poll() != -signal.SIGKILL:
            self.process.terminate()
            status = self.process.wait(STOP_S)
            assert status == 0, f"the server ended with status {status}"
        complaints = self.log_complaints()
        assert not complaints, "\n".join(complaints)

    # --- what it shows --------------------------------------------------------

    def log_size(self) -> int:
        """How long the log is at the moment."""
        return self.log_path.stat().st_size

    def log(self, since: int = 0) -> str:
        """The log, from a size that `log_size` returned."""
        return self.log_path.read_bytes()[since:].decode()

    def complaints(self, since: int = 0) -> list[str]:
        """What is wrong with the log, and whether the process has ended."""
        status = self.process.poll()
        ended = [] if status is None else [f"the server ended with status {status}"]
        return ended + self.log_complaints(since)

    def log_complaints(self, since: int = 0) -> list[str]:
        """What is wrong with the log, from a size on."""
        log = self.log(since)
        found = [
            f"in the log: {line}"
            for line in log.splitlines()
            if _COMPLAINT.search(line) and not _BUSY_MACHINE.search(line)
        ]
        found += [f"private text in the log: {each}" for each in PRIVATE if each in log]
        found += [
            f"not printable in the log: {line!r}"
            for line in log.split("\n")
            if not line.isprintable()
        ]
        return found

    def memory_bytes(self) -> int:
        """The memory that it occupies (VmRSS of proc(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        return int(kilobytes) * 1024

    def cpu_s(self) -> float:
        """The processor time that it has used (stat of proc(5)), rounded to 10 ms."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208

    async def tables(self) -> dict[str, int]:
        """The sizes of its tables; see tables.py."""
        reader, writer = await self.open_stream(tls=self.tls)
        writer.write(b"GET /debug/tables HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), DEADLINE_S)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        tables: dict[str, int] = json.loads(body)
        return tables

    async def until_tables(self, **expected: int) -> dict[str, int]:
        """Wait until tables have the expected sizes; `living_X` stands for ``living.X``."""
        wanted = {name.replace("living_", "living."): size for name, size in expected.items()}
        deadline = time.monotonic() + DEADLINE_S
        while True:
            tables = await self.tables()
            wrong = {name: tables[name] for name, size in wanted.items() if tables[name] != size}
            if not wrong:
                return tables
            assert time.monotonic() < deadline, f"expected {wanted}, still {wrong}"
            await asyncio.sleep(POLL_S)


async def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, and fail if it does not come true in time."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {deadline_s:g} s: {what}"
        await asyncio.sleep(POLL_S)


def reset(client: WireClient) -> None:
    """End a connection with RST instead of FIN, as a lost link or a killed app may do."""
    sock = client.writer.get_extra_info("socket")
    if sock is not None:  # not closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


@contextmanager
def running_site(
    folder: Path,
    *,
    tls: bool = False,
    event_loop: str = "auto",
    log_level: str = "INFO",
    plugin: str = "",
    **signaling: object,
) -> Iterator[Site]:
    """Make a configuration in a folder and serve it until the context ends.

    Args:
        folder: Does not exist yet.
        tls: Whether to serve over TLS.
        event_loop: Which event loop it runs on.
        log_level: What is logged.
        plugin: The source of one more plugin.
        **signaling: Keys of `[signaling]`.
    """
    module = [sys.executable, "-m", "tornado_webrtc"]
    init = ["init", str(folder), "--port", "0", "--bind", "127.0.0.1"]
    made = [*module, *init, "--tls" if tls else "--no-tls"]
    subprocess.run(made, cwd=ROOT, check=True, timeout=START_S, stdout=subprocess.DEVNULL)
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(Path(__file__).with_name("tables.py"), plugins / "tables.py")
    if plugin:
        (plugins / "hostile_test.py").write_text(plugin, encoding="utf-8")
    environ = {
        "TORNADO_WEBRTC__PLUGINS__PATH": str(plugins),
        "TORNADO_WEBRTC__PLUGINS__DISABLED": "turn",
        "TORNADO_WEBRTC__GENERAL__EVENT_LOOP": event_loop,
        "TORNADO_WEBRTC__GENERAL__DRAIN_S": "0",
        "TORNADO_WEBRTC__GENERAL__LOG_LEVEL": log_level,
        **{f"TORNADO_WEBRTC__SIGNALING__{key.upper()}": str(v) for key, v in signaling.items()},
    }
    with _running([*module, "--conf", str(folder / "server.ini")], environ, folder / "log") as site:
        yield site


@contextmanager
def _running(command: list[str], environ: Mapping[str, str], log_path: Path) -> Iterator[Site]:
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environ}, stdout=log, stderr=log
        )
    try:
        scheme, port = wait_listening(process, log_path)
        site = Site(process, port, scheme == "https", log_path)
        yield site
        site.stop()
    finally:
        process.kill()
        process.wait()


def wait_listening(process: subprocess.Popen[bytes], log_path: Path) -> tuple[str, int]:
    """Wait until a server's log says where it listens: scheme and port."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := LISTENING.search(log_path.read_text(encoding="utf-8")):
            return found[1], int(found[2])
        time.sleep(POLL_S)
    raise AssertionError(f"the server does not listen; its log: {log_path.read_text()}")
