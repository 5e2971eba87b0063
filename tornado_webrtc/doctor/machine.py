"""This machine: Python, event loop, limits, clock.

A server that runs already may have other limits: only it knows.
"""

from __future__ import annotations

import ctypes
import platform
import resource
from collections.abc import AsyncIterator
from pathlib import Path

from tornado_webrtc.doctor.case import Case, ok, problem, warning
from tornado_webrtc.finding import Finding
from tornado_webrtc.process import loop_factory

__all__ = ["clock", "clock_finding", "limits", "runtime"]

FEW_FILES = 4096
RECEIVE_BUFFER_BYTES = 4 << 20
"""What the server asks for, for the port that all TURN clients over UDP send to."""

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")

# <sys/timex.h>
TIME_ERROR = 5
STA_UNSYNC = 0x0040


async def runtime(case: Case) -> AsyncIterator[Finding]:
    """Python, the event loop, and how data is relayed."""
    yield ok("python", f"{platform.python_implementation()} {platform.python_version()}")
    wanted = case.config.general.event_loop if case.config else "auto"
    try:
        name = loop_factory(wanted).__module__.partition(".")[0]
    except ImportError:
        hint = "pip install uvloop, or set [general] event_loop = auto"
        yield problem("event loop", "uvloop is asked for and not installed", hint)
    else:
        more = "" if name == "uvloop" else "; uvloop would be faster where it can be installed"
        yield ok("event loop", f"{name}{more}", event_loop=name)
    text = "each datagram passes through Python: the only way this version has"
    yield ok("relaying", f"{text}; {platform.system()} {platform.release()}", tier=0)


async def limits(_case: Case) -> AsyncIterator[Finding]:
    """Open files, and buffers for UDP."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield files_finding(soft, hard)
    if (most := _rmem_max()) is not None:
        yield buffer_finding(most)


def _rmem_max() -> int | None:
    try:
        return int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        return None


def files_finding(soft: int, hard: int) -> Finding:
    """Judge the limits of open files; the server raises the soft one to the hard one."""
    if hard == resource.RLIM_INFINITY:
        return ok("open files", "no limit here", soft=soft)
    text = f"{hard} here; one for each client and one for each allocation"
    if hard >= FEW_FILES:
        return ok("open files", text, soft=soft, hard=hard)
    hint = "raise it: LimitNOFILE=65536 in the systemd unit, or `ulimit -Hn`"
    return warning("open files", text, hint, soft=soft, hard=hard)


def buffer_finding(rmem_max: int) -> Finding:
    """Judge the largest receive buffer that the kernel grants."""
    if rmem_max >= RECEIVE_BUFFER_BYTES:
        return ok("UDP buffers", f"up to {rmem_max >> 10} kB", rmem_max=rmem_max)
    return warning(
        "UDP buffers",
        f"up to {rmem_max >> 10} kB, the server asks for {RECEIVE_BUFFER_BYTES >> 10}: data is"
        " lost in bursts",
        f"run: sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}, and put it into /etc/sysctl.d",
        rmem_max=rmem_max,
    )


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def read_clock() -> tuple[int, int] | None:
    """The state of the kernel's clock and its flags (ntp_adjtime(3)); None where it has none."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):
        return None
    return None if state < 0 else (state, timex.status)


async def clock(_case: Case) -> AsyncIterator[Finding]:
    """Whether something keeps this machine's clock right."""
    yield clock_finding(read_clock())


def clock_finding(known: tuple[int, int] | None) -> Finding:
    """Judge the state of the kernel's clock."""
    hint = "run an NTP client: `timedatectl set-ntp true` starts systemd-timesyncd"
    if known is None:
        return warning("clock", "whether anything sets it right cannot be found out", hint)
    state, status = known
    if state == TIME_ERROR or status & STA_UNSYNC:
        return warning(
            "clock",
            "nothing sets it right (the kernel says: unsynchronised); credentials and certificates"
            " depend on it",
            f"{hint}; in a container its host does it",
            synchronised=False,
        )
    return ok("clock", "synchronised", synchronised=True)
