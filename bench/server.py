"""The servers that are compared, each in a process of its own on the loopback interface."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import tornado

import tornado_webrtc
from bench.errors import BenchError
from bench.generator import PASSWORD, USER
from bench.process import started

__all__ = ["Running", "coturn", "coturn_version", "our_versions", "ours"]

START_S = 20.0
BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"are you here"  # RFC 8489 section 5
PORTS = re.compile(r"TURN on UDP port (\d+), TCP port (\d+)")

EventLoop = Literal["auto", "asyncio", "uvloop"]

# No limit is measured: the generator is one user with one address and many allocations.
CONFIGURATION = """\
[general]
bind = 127.0.0.1,
port = 0
event_loop = {event_loop}
drain_s = 0
state_dir = {folder}/state

[turn]
bind = 127.0.0.1,
public_ip = 127.0.0.1
port = 0
port_tcp = 0
users_file = {folder}/users
allow_peers = 127.0.0.0/8,
challenges_per_s = 1000000
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    name: str
    pid: int
    udp: int
    tcp: int

    def address(self, transport: Literal["udp", "tcp"]) -> str:
        """Return where clients of a transport connect to."""
        return f"127.0.0.1:{self.udp if transport == 'udp' else self.tcp}"


@contextmanager
def ours(folder: Path, core: int, event_loop: EventLoop = "auto") -> Iterator[Running]:
    """Run this project's server until the context ends."""
    users = folder / "users"
    users.touch(mode=0o600)
    users.write_text(f"{USER}:{PASSWORD}\n")
    configuration = folder / "server.ini"
    configuration.write_text(CONFIGURATION.format(event_loop=event_loop, folder=folder))
    log = folder / "ours.log"
    command = [sys.executable, "-m", "tornado_webrtc", "--conf", str(configuration)]

    def ports() -> tuple[int, int] | None:
        found = PORTS.search(log.read_text(errors="replace"))
        return (int(found[1]), int(found[2])) if found else None

    with logged(command, core, log) as process:
        yield Running("ours", process.pid, *wait_for(ports, process, log))


@contextmanager
def coturn(program: str, folder: Path, core: int) -> Iterator[Running]:
    """Run coturn with one relay thread until the context ends."""
    port, log = free_port(), folder / "coturn.log"

    def ports() -> tuple[int, int] | None:
        return (port, port) if answers(port) else None

    with logged(coturn_command(program, folder, port), core, log) as process:
        yield Running("coturn", process.pid, *wait_for(ports, process, log))


def coturn_command(program: str, folder: Path, port: int) -> list[str]:
    """Return how to start coturn: one relay thread, loopback only, nothing kept."""
    return [
        program,
        "-n",  # no configuration file
        f"--listening-port={port}",
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        "--relay-threads=1",
        "--allow-loopback-peers",
        "--lt-cred-mech",
        f"--user={USER}:{PASSWORD}",
        "--realm=bench",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--simple-log",
        "--no-stdout-log",
        f"--log-file={folder / 'turnserver.log'}",
        f"--pidfile={folder / 'turnserver.pid'}",
        f"--userdb={folder / 'turnserver.db'}",
    ]


@contextmanager
def logged(command: Sequence[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with its output in a file until the context ends."""
    with log.open("wb") as output, started(command, core, output, output) as process:
        yield process


def wait_for(
    ports: Callable[[], tuple[int, int] | None], process: subprocess.Popen[bytes], log: Path
) -> tuple[int, int]:
    """Wait until a server says or shows where it listens.

    Raises:
        BenchError: If it ended instead, or takes too long.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := ports():
            return found
        time.sleep(0.02)
    raise BenchError(f"the server did not start; its log:\n{log.read_text(errors='replace')}")


def answers(port: int) -> bool:
    """Tell whether a STUN server answers on a UDP port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.1)
        try:
            client.connect(("127.0.0.1", port))
            client.send(BINDING_REQUEST)
            return client.recv(1500)[:2] == b"\x01\x01"
        except OSError:
            return False


def free_port() -> int:
    """Find a port that is free for TCP and UDP; coturn cannot find one by itself."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def our_versions(event_loop: EventLoop) -> dict[str, str]:
    """Return the versions of our server and of what it runs on."""
    try:
        uvloop = f"uvloop {version('uvloop')}" if event_loop != "asyncio" else "asyncio"
    except PackageNotFoundError:
        uvloop = "asyncio"
    return {
        "tornado-webrtc": tornado_webrtc.__version__,
        "Python": sys.version.split()[0],
        "Tornado": tornado.version,
        "event loop": uvloop,
    }


def coturn_version() -> tuple[str, str] | None:
    """Return coturn's program and version, None if it is not installed."""
    if (program := shutil.which("turnserver")) is None:
        return None
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=START_S, check=False
    )
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return program, found[0] if found else "unknown"
