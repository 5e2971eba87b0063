"""The process: log lines, file limit, event loop, and what systemd is told."""

import asyncio
import os
import re
import resource
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ExpectLog
from tornado_webrtc.process import loop_factory, notify_systemd, raise_file_limit

DEADLINE_S = 30.0


def run_python(code: str, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run code in a process of its own; return what it wrote to stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**inherited, **(environ or {})},
        check=True,
    )
    return done.stdout, done.stderr


# --- log ------------------------------------------------------------------------

LOG = """
import logging
from tornado_webrtc.process import configure_logging
logging.basicConfig(format="not this: %(message)s")
configure_logging({level!r})
for name in ("tornado_webrtc.access", "asyncio", "somebody.else"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "%s says %s", name, logging.getLevelName(level))
"""
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def test_log_goes_to_stderr_with_the_time() -> None:
    out, log = run_python(LOG.format(level="INFO"))
    assert out == ""
    lines = log.splitlines()
    assert all(re.match(STAMP, line) for line in lines)
    assert [re.sub(STAMP, "", line) for line in lines] == [
        f"{level:7} {name} says {level}"
        for name in ("tornado_webrtc.access", "asyncio", "somebody.else")
        for level in ("INFO", "WARNING")
    ]


def test_journal_adds_the_time_itself() -> None:
    _, log = run_python(LOG.format(level="WARNING"), {"JOURNAL_STREAM": "8:12345"})
    assert log.splitlines() == [
        f"WARNING {name} says WARNING"
        for name in ("tornado_webrtc.access", "asyncio", "somebody.else")
    ]


def test_debug_level_leaves_out_the_chatter_of_asyncio() -> None:
    _, log = run_python(LOG.format(level="DEBUG"), {"JOURNAL_STREAM": "8:12345"})
    debug = [line for line in log.splitlines() if line.startswith("DEBUG")]
    assert debug == [
        "DEBUG   tornado_webrtc.access says DEBUG",
        "DEBUG   somebody.else says DEBUG",
    ]


# --- files ------------------------------------------------------------------------

LIMIT = """
import resource
from tornado_webrtc.process import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("soft", [64, 128])
def test_file_limit_is_raised_to_what_the_system_allows(soft: int) -> None:
    out, log = run_python(LIMIT.format(soft=soft, hard=128))
    assert out.split() == ["128", "128", "128"]
    assert log == ""


def test_file_limit_that_cannot_be_raised_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    """As with a hard limit above fs.nr_open, which only root can bring about."""

    def refuse(_resource: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _resource: (1024, 2**30))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    expect_log(r"^the limit of 1024 open files cannot be raised: not allowed to raise")
    assert raise_file_limit() == 1024


# --- systemd ----------------------------------------------------------------------


@pytest.fixture(params=["path", "abstract"])
def service_manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """Listen as systemd does, at a path or (``@``) in the abstract namespace."""
    name = f"@tornado-webrtc-{secrets.token_hex(8)}"
    if request.param == "path":
        name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(name.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield manager


def test_systemd_is_told(service_manager: socket.socket) -> None:
    assert notify_systemd("READY=1")
    assert notify_systemd("STOPPING=1\nSTATUS=adiós")
    assert service_manager.recv(1024) == b"READY=1"
    assert service_manager.recv(1024) == "STOPPING=1\nSTATUS=adiós".encode()


@pytest.mark.parametrize("address", [None, "", "relative/path", "vsock:2:1234"])
def test_nobody_is_told_outside_of_systemd(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify_systemd("READY=1")


def test_manager_that_is_gone_is_a_warning_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, expect_log: ExpectLog
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    expect_log(r"^systemd cannot be told 'READY=1': .*No such file")
    assert not notify_systemd("READY=1")


# --- event loop -------------------------------------------------------------------


def loop_module(event_loop: str) -> str:
    """Run something on the loop that is made for a setting; return whose loop it was."""

    async def which() -> str:
        await asyncio.sleep(0)
        return type(asyncio.get_running_loop()).__module__

    with asyncio.Runner(loop_factory=loop_factory(event_loop)) as runner:
        return runner.run(which()).partition(".")[0]


@pytest.fixture
def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)


def test_asyncio_loop_is_used_even_where_uvloop_is_installed() -> None:
    assert loop_module("asyncio") == "asyncio"


@pytest.mark.parametrize("event_loop", ["uvloop", "auto"])
def test_uvloop_is_used_where_it_is_installed(event_loop: str) -> None:
    pytest.importorskip("uvloop")
    assert loop_module(event_loop) == "uvloop"


@pytest.mark.usefixtures("without_uvloop")
@pytest.mark.parametrize("event_loop", ["asyncio", "auto"])
def test_asyncio_loop_is_used_without_uvloop(event_loop: str) -> None:
    assert loop_module(event_loop) == "asyncio"


@pytest.mark.usefixtures("without_uvloop")
def test_uvloop_that_is_asked_for_has_to_be_there() -> None:
    with pytest.raises(ImportError):
        loop_factory("uvloop")
