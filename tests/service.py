"""The server as a service: a process of its own, with systemd at the other end of a socket."""

import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_S = 30.0


def ini(settings: Mapping[str, str]) -> str:
    """A configuration file that says this: texts by ``section.key``."""
    sections: dict[str, list[str]] = {}
    for key, text in settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {text}\n")
    return "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


class Served:
    """`tornado-webrtc` until the end of a `with` block.

    Args:
        folder: Where it runs, and where its log and the socket are put.
        arguments: The command line.
        code: Python code to run instead of the package.
        environ: More variables than this process has.

    Attributes:
        told: What systemd was told besides: ``STATUS=`` and ``WATCHDOG=1``.
    """

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[object],
        code: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.told: list[str] = []
        how = ["-c", code] if code else ["-m", "tornado_webrtc"]
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(DEADLINE_S)
        self._log = folder / "log"
        own = {"PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(folder / "notify")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *how, *map(str, arguments)],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, **own, **(environ or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        self._notify.close()

    @property
    def log(self) -> str:
        """All that it has written until now."""
        return self._log.read_text()

    def heard(self) -> str:
        """What systemd is told next of its life; fails at once if the process ends instead."""
        while (message := self.heard_next()).startswith(("STATUS=", "WATCHDOG=")):
            self.told.append(message)
        return message

    def told_now(self) -> list[str]:
        """What systemd has been told of its life since, without waiting for more."""
        heard = []
        while select.select([self._notify], [], [], 0)[0]:
            heard.append(self._notify.recv(1024).decode())
        return [each for each in heard if not each.startswith(("STATUS=", "WATCHDOG="))]

    def heard_next(self) -> str:
        """What systemd is told next, whatever it is."""
        deadline = time.monotonic() + DEADLINE_S
        while not select.select([self._notify], [], [], 0.05)[0]:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
        return self._notify.recv(1024).decode()

    def port(self) -> int:
        """The port that its log names."""
        deadline = time.monotonic() + DEADLINE_S
        pattern = re.compile(r"listening on https?://127\.0\.0\.1:(\d+)$", re.M)
        while not (listening := pattern.search(self.log)):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        return int(listening[1])

    def exit_code(self) -> int:
        """Wait until it ends."""
        return self.process.wait(DEADLINE_S)
