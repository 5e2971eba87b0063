"""Sends a server so many datagrams per second, and counts what comes back.

Run as a program of its own: it must not take its time from the server's event loop.
Input, as JSON: `host` to send from, `server`, `messages` in hexadecimal, `per_s`,
`count`. Output, as JSON: `sent`, `received`, `seconds`.
"""

import json
import socket
import sys
import time
from typing import Any

TICK_S = 0.001
LAST_ANSWERS_S = 0.5


def flood(
    sock: socket.socket, server: tuple[str, int], messages: list[bytes], per_s: int, count: int
) -> dict[str, Any]:
    """Send them in turn, at this rate or as quickly as this machine can."""
    began = time.monotonic()
    sent = received = 0
    while sent < count:
        due = min(count, int((time.monotonic() - began) * per_s))
        for number in range(sent, due):
            sock.sendto(messages[number % len(messages)], server)
        sent = max(sent, due)
        received += drain(sock)
        time.sleep(TICK_S)
    time.sleep(LAST_ANSWERS_S)
    received += drain(sock)
    return {"sent": sent, "received": received, "seconds": time.monotonic() - began}


def drain(sock: socket.socket) -> int:
    """Count what has come until now."""
    received = 0
    while True:
        try:
            sock.recv(65536)
        except BlockingIOError:
            return received
        received += 1


def main() -> None:
    """Do what standard input says."""
    what = json.load(sys.stdin)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((what["host"], 0))
        sock.setblocking(False)
        messages = [bytes.fromhex(each) for each in what["messages"]]
        json.dump(
            flood(sock, tuple(what["server"]), messages, what["per_s"], what["count"]), sys.stdout
        )


if __name__ == "__main__":
    main()
