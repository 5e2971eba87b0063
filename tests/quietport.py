"""Ports for what has to be at the same place again, or where nobody is to be found."""

import random
import socket
from contextlib import suppress
from pathlib import Path

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000


def quiet_port() -> int:
    """A port that nobody uses, nor is given by the kernel to whoever asks for any."""
    return quiet_ports(1)[0]


def quiet_ports(count: int) -> list[int]:
    """So many of them; nobody uses them over TCP or UDP."""
    first, last = map(int, GIVEN.read_text().split())
    never_given = [*range(LOWEST, first), *range(last + 1, 1 << 16)]
    found: list[int] = []
    while len(found) < count:
        port = random.choice(never_given)  # noqa: S311 - it is no secret
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        with tcp, udp, suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found
