"""The server in a container, as seen from the machine around it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.container.buildah import DEADLINE_S, ROOT, descendants
from tests.wire import trusting_context

LOOPBACK = {
    "TORNADO_WEBRTC__GENERAL__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__GENERAL__PORT": "0",
    "TORNADO_WEBRTC__TURN__BIND": "127.0.0.1,",
    "TORNADO_WEBRTC__TURN__PORT": "0",
    "TORNADO_WEBRTC__TURN__PORT_TCP": "0",
    "TORNADO_WEBRTC__TURN__PUBLIC_IP": "127.0.0.1",
}
"""Free ports of this machine, whose network the container shares."""


class Contained:
    """A server that runs.

    Args:
        process: What runs it.
        log: The file with what it says.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """All that it has said until now."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """Where it is ready: waits for that."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := re.search(r"listening on (https?://\S+:\d+)$", self.log, re.M)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return found[1]

    @property
    def port(self) -> int:
        """The port of its page."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The server itself, which is the innermost of the processes around it."""
        return descendants(self.process.pid)[0]

    def status(self, path: str) -> int:
        """The status of a page."""
        try:
            with urllib.request.urlopen(  # noqa: S310 - its own URL
                self.url + path, timeout=DEADLINE_S, context=trusting_context()
            ) as response:
                code: int = response.status
        except urllib.error.HTTPError as refused:
            with refused:
                code = refused.code
        return code

    def doctor(self) -> dict[str, dict[str, Any]]:
        """What `tornado-webrtc doctor` finds from outside, by subject."""
        done = subprocess.run(
            [sys.executable, "-m", "tornado_webrtc", "doctor", "--json", self.url],
            cwd=self._log.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        findings = json.loads(done.stdout)["findings"]
        return {each["subject"]: each for each in findings}

    def terminate(self) -> None:
        """Tell the server to stop, as `docker stop` does."""
        os.kill(self.pid, signal.SIGTERM)

    def exit_code(self) -> int:
        """Wait until it has ended."""
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        """Leave no process behind."""
        for pid in descendants(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Contained]:
    """Run a server until the end of the block.

    Args:
        command: What runs it in its container.
        log: The file to write what it says to.
        environ: Variables for the command, not for the server.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **(environ or {})},
        )
    server = Contained(process, log)
    try:
        yield server
    finally:
        server.end()
