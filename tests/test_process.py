"""The process: log lines, file limit, event loop, and what systemd is told."""

import asyncio
import logging
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
from tornado_webrtc import process
from tornado_webrtc.process import (
    Supervision,
    loop_factory,
    notify_systemd,
    raise_file_limit,
    warn_of_limits,
    watchdog_interval,
)

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


CARELESS = """
import logging
from tornado_webrtc.process import configure_logging
configure_logging("INFO")
logging.info("the client sent %s", {"token": "s3cr3t"})
logging.info("%d tokens", "token=s3cr3t")
try:
    raise ValueError("redis://user:s3cr3t@cache.example is down")
except ValueError:
    logging.exception("password=%s", "s3cr3t")
"""


def test_what_no_log_may_hold_is_taken_out() -> None:
    out, log = run_python(CARELESS, {"JOURNAL_STREAM": "8:12345"})
    assert "s3cr3t" not in out + log
    lines = log.splitlines()
    assert lines[0] == "INFO    the client sent {'token': '[redacted]'}"
    assert lines[1].startswith("INFO root: %d tokens [TypeError: the arguments do not fit, at ")
    assert lines[2] == "ERROR   password=[redacted]"
    assert lines[-1] == "ValueError: redis://[redacted]@cache.example is down"


STALLED = """
import logging, sys
from tornado_webrtc.process import configure_logging, flush_logging
configure_logging("INFO")
for number in range({lines}):
    logging.info("%d %s", number, "x" * 1000)
print("done", flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["", "flush_logging(); raise ValueError('x')", "sys.exit(3)"])
def test_reader_that_stalls_stops_nobody_and_loses_nothing(end: str) -> None:
    code = STALLED.format(lines=2000, end=end)
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "JOURNAL_STREAM": "8:1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "done\n", "it waits for nobody to read"
        log = running.stderr.read()
    numbers = re.findall(r"^INFO    (\d+) x+$", log, re.MULTILINE)
    assert numbers == [str(number) for number in range(2000)]
    assert log.endswith("ValueError: x\n") is ("raise" in end), "what failed is said last"


def test_lines_that_are_too_many_are_counted() -> None:
    code = STALLED.format(lines=12000, end="sys.stdin.readline(); logging.info('late')")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "done\n"
        first = [running.stderr.readline() for _ in range(5000)]
        running.stdin.write("\n")
        running.stdin.flush()
        log = "".join(first) + running.stderr.read()
    found = re.search(r"WARNING (\d+) lines of the log are missing here: too many lines wait", log)
    assert found is not None
    assert len(re.findall(r"\bINFO    ", log)) + int(found[1]) == 12001
    assert log.rstrip().endswith("late")


def test_process_ends_though_nobody_reads() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STALLED.format(lines=500, end="")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.wait(DEADLINE_S) == 0


def test_standard_error_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert type(process._console()) is logging.StreamHandler


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


@pytest.mark.parametrize(("files", "warned"), [(4095, True), (4096, False)])
def test_small_file_limit_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog, files: int, warned: bool
) -> None:
    monkeypatch.setattr(process, "RMEM_MAX", Path("/nowhere"))
    if warned:
        expect_log("^only 4095 files may be open, .*LimitNOFILE=65536")
    warn_of_limits(files, 1)


@pytest.mark.parametrize(
    ("text", "wanted", "warned"),
    [("1000\n", 1001, True), ("1000\n", 1000, False), ("1000\n", 0, False), ("", 1001, False)],
)
def test_small_receive_buffer_is_a_warning_that_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: ExpectLog,
    text: str,
    wanted: int,
    warned: bool,
) -> None:
    (tmp_path / "rmem_max").write_text(text)
    monkeypatch.setattr(process, "RMEM_MAX", tmp_path / "rmem_max")
    if warned:
        expect_log(r"at most 1000 bytes .*run: sysctl -w net\.core\.rmem_max=1001$")
    warn_of_limits(4096, wanted)


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


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
    ],
)
def test_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], interval_s: float | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert watchdog_interval() == interval_s


async def heard(manager: socket.socket) -> str:
    async with asyncio.timeout(DEADLINE_S):
        return (await asyncio.get_running_loop().sock_recv(manager, 1024)).decode()


async def test_status_is_told_when_it_changes(
    service_manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STATUS_INTERVAL_S", 0.01)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    texts = iter(["a", "a", "a", "b", "b", "c"])
    supervision = Supervision(lambda: next(texts, "c"))
    supervision.start()
    assert [await heard(service_manager) for _ in range(4)] == [
        "WATCHDOG=1",
        "STATUS=a",
        "STATUS=b",
        "STATUS=c",
    ]
    supervision.stop()


async def test_watchdog_is_fed_twice_in_its_interval(
    service_manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    supervision = Supervision(lambda: "idle")
    loop = asyncio.get_running_loop()
    began = loop.time()
    supervision.start()
    messages = [await heard(service_manager) for _ in range(5)]
    assert messages.count("WATCHDOG=1") == 4
    assert loop.time() - began > 0.1
    supervision.stop()


async def test_watchdog_is_next_fed_after_half_of_its_interval(
    service_manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    supervision = Supervision(lambda: "idle")
    began = asyncio.get_running_loop().time()
    supervision.start()
    ended = asyncio.get_running_loop().time()
    assert began + 30 <= supervision._timers["watchdog"].when() <= ended + 30
    supervision.stop()


async def test_an_error_ends_nothing(
    service_manager: socket.socket, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    expect_log("systemd could not be told: status")
    monkeypatch.setattr(process, "STATUS_INTERVAL_S", 0.01)
    answers = iter([1, 0, 1])
    supervision = Supervision(lambda: f"{1 // next(answers, 2)}")
    supervision.start()
    assert [await heard(service_manager) for _ in range(2)] == ["STATUS=1", "STATUS=0"]
    supervision.stop()


async def test_nothing_is_told_outside_of_systemd() -> None:
    supervision = Supervision(lambda: "never asked for")
    supervision.start()
    assert supervision._timers == {}
    supervision.stop()


async def test_reload_begins_and_ends_whatever_comes_of_it(service_manager: socket.socket) -> None:
    async def fail() -> None:
        raise ValueError("a bad file")

    with pytest.raises(ValueError, match="a bad file"):
        await Supervision(str).reload(fail)
    assert service_manager.recv(1024).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert service_manager.recv(1024) == b"READY=1"


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
