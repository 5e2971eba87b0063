"""The machine: its cores, how to stay on one of them, and what it is."""

import os
import platform
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cores", "choose_cores", "describe", "model_name", "pinned", "raise_file_limit"]

TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core is whose."""

    server: int
    generator: int

    @property
    def note(self) -> str:
        """Say what is wrong with the choice, if anything is."""
        if self.server == self.generator:
            return "one core for server and generator: the figures say little"
        if self.generator in siblings(self.server):
            return "the two cores are two threads of one: the figures disturb each other"
        return ""


def siblings(core: int, topology: Path = TOPOLOGY) -> set[int]:
    """Return the logical cores that share the hardware of this one; at least itself."""
    path = topology / f"cpu{core}" / "topology" / "thread_siblings_list"
    found = {core}
    try:
        ranges = path.read_text().strip().split(",")
        for each in ranges:
            first, _, last = each.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        pass  # not every kernel says so
    return found


def choose_cores(topology: Path = TOPOLOGY) -> Cores:
    """Choose from the cores that this process may use; two real ones, if there are."""
    usable = sorted(os.sched_getaffinity(0))
    server, *others = usable
    shared = siblings(server, topology)
    apart = [core for core in others if core not in shared]
    return Cores(server, (apart or others or [server])[0])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Start processes on one core: they inherit what holds for this thread."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> None:
    """Allow this process and those it starts as many sockets as they may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def model_name(cpuinfo: str) -> str:
    """Find the name of the CPU in the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine() or "unknown"


def describe(cores: Cores) -> dict[str, str]:
    """Say what the figures were measured on."""
    one, five, _ = os.getloadavg()
    return {
        "CPU": f"{model_name(Path('/proc/cpuinfo').read_text())}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "pinned": f"servers to core {cores.server}, generator to core {cores.generator}",
        "load": f"{one:.2f} in the last minute, {five:.2f} in five, before it began",
        **({"note": cores.note} if cores.note else {}),
    }
