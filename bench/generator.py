"""The load generator, `turnload/`: compiled when needed, run, its report understood."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bench.errors import BenchError
from bench.process import started

__all__ = ["PASSWORD", "USER", "Sample", "compile_generator", "parse", "run_generator"]

SOURCE = Path(__file__).with_name("turnload")
USER, PASSWORD = "bench", "loopback-only"
COMPILE_S = 120.0
RUN_S = 120.0
INSTALL = "on Debian: apt-get install gcc libc6-dev libssl-dev"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of the generator found; the names are those of its JSON report.

    Attributes:
        allocations: How many were asked for.
        ready: How many could be used.
        pps: Delivered packets per second.
        loss_pct: Packets that never arrived.
        cpu_us_per_packet: CPU time of the server, system calls included.
        cpu_pct: How busy the server was, in per cent of a core.
        p50_us: Median latency from sender to receiver.
        p99_us: Latency that one packet in a hundred exceeds.
        gen_idle_pct: Time in which the generator had nothing to do.
        foreign_pct: CPU used by neither server nor generator, in per cent of a core.
        gen_drops: Packets lost in the generator's own buffers.
        bad: Packets that came, but not as they had been sent.
        alloc_per_s: Allocations made per second, the 401 that comes first included.
        alloc_cpu_us: CPU time of the server for each.
    """

    allocations: float
    ready: float
    pps: float
    loss_pct: float
    cpu_us_per_packet: float
    cpu_pct: float
    p50_us: float
    p99_us: float
    gen_idle_pct: float
    foreign_pct: float
    gen_drops: float
    bad: float
    alloc_per_s: float
    alloc_cpu_us: float


def parse(report: str) -> Sample:
    """Read the JSON object that the generator prints at its end.

    Raises:
        BenchError: If it is not that, or lacks a figure.
    """
    try:
        found = json.loads(report)
        return Sample(**{each.name: float(found[each.name]) for each in fields(Sample)})
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(
            f"turnload's report is not understood ({error!r}): {report[:200]!r}"
        ) from error


def compile_generator(folder: Path) -> Path:
    """Compile the generator, unless the folder has it from the same source already.

    Raises:
        BenchError: If there is no C compiler, or the source does not compile.
    """
    program = folder / "turnload"
    sources = sorted(SOURCE.glob("*.[ch]"))
    newest = max(source.stat().st_mtime for source in sources)
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError(f"no C compiler (cc) was found; {INSTALL}")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"turnload.{os.getpid()}"  # another one may be compiling, or running it
    command = [compiler, "-O2", "-flto", "-Wall", "-Wextra", "-o", str(fresh)]
    command += [*(str(source) for source in sources if source.suffix == ".c"), "-lcrypto"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}:\n{done.stderr}{compile_hint(done.stderr)}")
    return fresh.replace(program)


def compile_hint(messages: str) -> str:
    """Say what to install, if that is what the compiler's messages are about."""
    if "openssl/" in messages or "-lcrypto" in messages:
        return f"The headers of OpenSSL are missing; {INSTALL}"
    return f"It needs Linux, a C compiler and the headers of OpenSSL; {INSTALL}"


def run_generator(
    program: Path, core: int, server: str, pid: int, options: Sequence[str]
) -> Sample:
    """Put load on a server.

    Args:
        program: The compiled generator.
        core: Where it runs.
        server: ADDRESS:PORT.
        pid: The server's process, whose CPU time is wanted.
        options: See `Scenario.arguments`.

    Raises:
        BenchError: If it could not measure.
    """
    command = [str(program), "--json", "--quiet", f"--pid={pid}", *options]
    command += [server, USER, PASSWORD]
    with started(command, core, subprocess.PIPE, subprocess.PIPE) as process:
        try:
            report, messages = process.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{' '.join(command)}: not done after {RUN_S:g} s") from error
    if process.returncode:
        raise BenchError(f"{' '.join(command)}: {messages.decode().strip() or 'failed'}")
    return parse(report.decode())
