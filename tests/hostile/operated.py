"""A whole installation under attack: TURN, an admin socket, a folder for state.

It can be run again and again from the same folder, with limits of the system
around it, and be told to read its configuration again.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser.serverprocess import ROOT
from tests.hostile.site import Site, wait_listening
from tests.plugins.turn.client import TcpWire, TurnClient, UdpWire
from tests.quietport import quiet_ports
from tests.service import ini
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.clock import Clock
from tornado_webrtc.credential import mint
from tornado_webrtc.stun.address import TransportAddress

HOST = "127.0.0.1"
PEER = "127.0.0.3"
"""Where peers of TURN clients are: not the relay's own address."""

SECRET = "known-to-the-hostile-tests"
TTL_S = 3600
ADVERTISED = "93.184.216.34"
"""What clients are told is the relay's address: one that nobody has doubts about."""

BASIS = {
    "general.bind": f"{HOST},",
    "general.port": "0",
    "general.state_dir": "state",
    "general.drain_s": "5",
    "turn.bind": f"{HOST},",
    "turn.port": "0",
    "turn.port_tcp": "0",
    "turn.public_ip": f"{ADVERTISED}/{HOST},",
    "turn.secret": SECRET,
    "turn.allow_peers": "127.0.0.0/8,",
    "turn.challenges_per_s": "0",
    "turn.api_per_minute": "0",
    "plugins.path": "plugins,",
}
"""What every configuration says, unless a test says something else."""

_TURN_PORTS = re.compile(r"TURN on UDP port (\d+), TCP port (\d+)")


@dataclass
class OperatedSite(Site):
    """A running server with TURN and a socket for operators.

    Attributes:
        admin_path: The socket.
        turn_udp: Where it takes TURN clients over UDP.
        turn_tcp: The same over TCP.
        secret: What it makes TURN credentials with.
        expected: Patterns of warnings and errors that are right to be in the log.
    """

    admin_path: Path
    turn_udp: TransportAddress
    turn_tcp: TransportAddress
    secret: str = SECRET
    expected: list[str] = field(default_factory=list)

    def log_complaints(self, since: int = 0) -> list[str]:
        """What is wrong with the log, but for what is expected."""
        patterns = [re.compile(each) for each in self.expected]
        found = super().log_complaints(since)
        return [line for line in found if not any(each.search(line) for each in patterns)]

    def expect(self, pattern: str) -> None:
        """Allow, from now on, complaints in the log that a pattern matches."""
        self.expected.append(pattern)

    async def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask through the admin socket; see `AdminClient.request`."""
        client = AdminClient(self.admin_path)
        return await asyncio.to_thread(client.request, method, path, body)

    def credential(self, name: str) -> tuple[str, str]:
        """User name and password for TURN, as `/api/turn` makes them."""
        made = mint(self.secret, name, TTL_S, Clock().wall())
        return made.username, made.password

    def udp(self, name: str = "alice", *, host: str = HOST) -> TurnClient:
        """A TURN client over UDP; its wire has to be closed."""
        return TurnClient(UdpWire(host, self.turn_udp), *self.credential(name))

    async def tcp(self, name: str = "alice", *, host: str = HOST) -> TurnClient:
        """A TURN client over TCP; its wire has to be closed."""
        streams = await asyncio.open_connection(*self.turn_tcp, local_addr=(host, 0))
        return TurnClient(TcpWire(*streams), *self.credential(name))

    def reload(self) -> None:
        """Have it read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask over HTTP: status and body; 0 if the connection ends without an answer."""
        try:
            reader, writer = await self.open_stream(tls=self.tls)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        except ConnectionError:
            return 0, b""
        writer.close()
        return (int(head.split()[1]), body) if head else (0, b"")


class Installation:
    """A folder with a configuration.

    Args:
        folder: Does not exist yet; a short name, since a Unix socket is put into it.
        settings: What differs from the basis, texts by ``section.key``.
        plugins: The sources of more plugins, by name.
        tls: Whether it has a certificate.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        plugins: Mapping[str, str] | None = None,
        tls: bool = False,
    ) -> None:
        self.folder = folder
        self.conf = folder / "server.ini"
        self.admin_path = folder / "admin.sock"
        self.settings = BASIS | {"admin.socket": str(self.admin_path)}
        if tls:
            self.settings |= {"general.cert": "cert.pem", "general.key": "key.pem"}
        (folder / "plugins").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("tables.py"), folder / "plugins" / "tables.py")
        for name, source in (plugins or {}).items():
            (folder / "plugins" / f"{name}.py").write_text(source, encoding="utf-8")
        if tls:
            make = ["cert", "make", folder / "cert.pem", folder / "key.pem", "localhost", HOST]
            command = [sys.executable, "-m", "tornado_webrtc", *map(str, make)]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        self.write(settings or {})

    def write(self, changes: Mapping[str, str]) -> None:
        """Write the configuration with other settings."""
        self.settings |= changes
        self.conf.write_text(ini(self.settings), encoding="utf-8")

    def fix_ports(self) -> None:
        """Have it use the same free ports at every start."""
        ports = [str(port) for port in quiet_ports(3)]
        self.write(dict(zip(("general.port", "turn.port", "turn.port_tcp"), ports, strict=True)))

    @contextmanager
    def run(
        self, *, within: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> Iterator[OperatedSite]:
        """Serve until the context ends; unless it was killed, it has to end well.

        Args:
            within: A command that runs the server's, in the same process.
            environ: More variables than this process has.
        """
        command = [*within, sys.executable, "-m", "tornado_webrtc", "--conf", str(self.conf)]
        log_path = self.folder / "log"
        since = log_path.stat().st_size if log_path.exists() else 0
        if since:
            log_path.rename(log_path.with_name(f"log.{os.urandom(4).hex()}"))
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(environ or {})}, stdout=log, stderr=log
            )
        try:
            site = self._site(process, log_path)
            yield site
            site.stop()
        finally:
            process.kill()
            process.wait()

    def _site(self, process: subprocess.Popen[bytes], log_path: Path) -> OperatedSite:
        scheme, port = wait_listening(process, log_path)
        ports = _TURN_PORTS.search(log_path.read_text(encoding="utf-8"))
        assert ports, log_path.read_text(encoding="utf-8")
        udp, tcp = (TransportAddress(HOST, int(each)) for each in ports.groups())
        return OperatedSite(process, port, scheme == "https", log_path, self.admin_path, udp, tcp)
