"""The utilities of Debian's coturn package: how they are run, and what they print."""

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.turnprocess import PASSWORD, USER, Counts, TurnProcess

DEADLINE_S = 50.0
PEER_DEADLINE_S = 10.0
PEER_ATTEMPTS = 5
ROUNDS = 3
PROBE = b"are you there?"

USER_FROM_FILE = ("-u", USER, "-w", PASSWORD)
"""A user of the server's `users_file`."""

# What a client prints when the server did something that it does not expect.
COMPLAINTS = re.compile(r"ERROR|WARNING|[Ww]rong|[Uu]nknown|!!!")

# The client takes channel numbers from 0x4000 to 0x7FFF at random. The last is none that
# ChannelBind allows (RFC 5766 section 11.2), and one may be taken already.
UNLUCKY = "channel bind: error 400"


@dataclass(frozen=True)
class Outcome:
    """How a utility ended.

    Attributes:
        exit_status: Its exit status.
        output: All that it printed.
    """

    exit_status: int
    output: str

    @property
    def sent(self) -> int:
        """Messages that turnutils_uclient sent."""
        return self._number(r"tot_send_msgs=(\d+)")

    @property
    def received(self) -> int:
        """Messages that came back to it."""
        return self._number(r"tot_recv_msgs=(\d+)")

    @property
    def lost(self) -> int:
        """Messages that did not."""
        return self._number(r"Total lost packets (\d+)")

    @property
    def send_dropped(self) -> int:
        """Messages that it could not even send."""
        return self._number(r"total send dropped (\d+)")

    @property
    def unlucky(self) -> bool:
        """Whether it ended because of its choice of channels."""
        return self.exit_status != 0 and UNLUCKY in self.output

    @property
    def complaints(self) -> list[str]:
        """Lines that say that the server did something wrong."""
        return [line for line in self.output.splitlines() if COMPLAINTS.search(line)]

    def _number(self, pattern: str) -> int:
        found = re.findall(pattern, self.output)
        assert found, self.output
        return int(found[-1])


def utility(name: str) -> str:
    """The path of a utility."""
    path = shutil.which(name)
    assert path, f"{name} is missing: install the package coturn"
    return path


async def run(name: str, *arguments: str) -> Outcome:
    """Run a utility to its end."""
    process = await asyncio.create_subprocess_exec(
        utility(name), *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
        raise AssertionError(f"{name} does not end: {output.decode()}") from None
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode())


def uclient(port: int, *flags: str, host: str = "127.0.0.1") -> tuple[str, ...]:
    """The command line of turnutils_uclient."""
    return ("turnutils_uclient", "-p", str(port), *flags, host)


async def lucky(
    turn: TurnProcess, *commands: tuple[str, ...]
) -> tuple[Counts, tuple[Outcome, ...]]:
    """Run clients at the same time, and all of them again if one has bad luck with its channels.

    What an unlucky client leaves behind lives on, so the server is counted anew.

    Returns:
        The server's counts before the last round, and how that ended.
    """
    before, rounds = await turn.counts(), 1
    while True:
        outcomes = await asyncio.gather(*[run(*command) for command in commands])
        if rounds == ROUNDS or not any(outcome.unlucky for outcome in outcomes):
            return before, tuple(outcomes)
        before, rounds = await turn.rested(), rounds + 1


@contextmanager
def running_peer(folder: Path) -> Iterator[int]:
    """Run turnutils_peer, which sends back what comes to a port and the next one."""
    for _ in range(PEER_ATTEMPTS):
        port = _free_pair()
        command = [utility("turnutils_peer"), "-L", "127.0.0.1", "-p", str(port)]
        with (folder / "peer.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            if _echoes(process, port) and _echoes(process, port + 1):
                yield port
                return
        finally:
            process.kill()
            process.wait()
    raise AssertionError((folder / "peer.log").read_text())


def _free_pair() -> int:
    """A UDP port that is free, and so is the next one."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
        ):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _echoes(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a port sends something back; False if the process ends instead."""
    deadline = time.monotonic() + PEER_DEADLINE_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(0.1)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.send(PROBE)
                if client.recv(1024) == PROBE:
                    return True
            except (TimeoutError, ConnectionRefusedError):
                continue
    return False
