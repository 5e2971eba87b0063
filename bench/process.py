"""Processes that are started on one core, and are ended whatever happens."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from bench.errors import BenchError
from bench.machine import pinned

__all__ = ["deferred_signals", "started"]

ROOT = Path(__file__).resolve().parents[1]
STOP_S = 10.0
Output = IO[bytes] | int


@contextmanager
def started(
    command: Sequence[str], core: int, output: Output, errors: Output
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on one core until the context ends.

    Raises:
        BenchError: If it cannot be started.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TORNADO_WEBRTC_")
    }
    process = None
    try:
        try:
            with deferred_signals(), pinned(core):
                process = subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=output, stderr=errors
                )
        except OSError as error:
            raise BenchError(f"{command[0]} does not start: {error}") from error
        yield process
    finally:
        if process is not None:
            with deferred_signals():
                _end(process)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: a process that is being started is nobody's yet."""
    pending: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        pending.append(number)

    before = {each: signal.signal(each, remember) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pending:
        signal.raise_signal(pending[0])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
