"""What holds for every test.

Nothing is logged that the test does not expect, no asyncio task outlives its
test, and the environment, the working directory, the loggers and the plugin
namespace are afterwards what they were before.
"""

import asyncio
import inspect
import logging
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

import tornado_webrtc.plugins

# How long an example takes says how busy the machine is, nothing else.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")

NOBODY = 65534
GUARDED = ("asyncio", "tornado", "tornado_webrtc")

# Complaints about slow code: on a busy machine they say nothing.
_SLOW = re.compile(
    r"Executing <.*> took \d+\.\d+ seconds|plugin \w+: .* blocked the whole server", re.DOTALL
)
_SLOW_CALLBACK_S = 10.0
_TASK_GRACE_S = 10.0

ExpectLog = Callable[[str], None]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With `NO_SKIPS` set, as in CI, let a test fail that lacks a part of the machine."""
    report = yield
    if report.skipped and os.environ.get("NO_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


class LogGuard(logging.Handler):
    """Collects warnings and errors, and knows which of them are expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []
        self.expected: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def expect(self, pattern: str) -> None:
        """Demand at least one message that the pattern matches, and allow more of them."""
        self.expected.append(pattern)

    def complaints(self) -> list[str]:
        messages = [record.getMessage() for record in self.records]
        missing = [
            f"expected a log message that matches {pattern!r}, none came"
            for pattern in self.expected
            if not any(re.search(pattern, message) for message in messages)
        ]
        unexpected = [
            f"unexpected log message: {self.format(record)}"
            for record, message in zip(self.records, messages, strict=True)
            if not _SLOW.match(message)
            and not any(re.search(pattern, message) for pattern in self.expected)
        ]
        return missing + unexpected


def _logger_names() -> list[str]:
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in GUARDED]
    return sorted({*known, *GUARDED})


@pytest.fixture(autouse=True)
def log_guard() -> Iterator[LogGuard]:
    """Fail the test on every warning or error in the log that it did not expect."""
    loggers = [logging.root, *map(logging.getLogger, _logger_names())]
    before = [
        (each, each.level, each.propagate, each.disabled, each.handlers[:]) for each in loggers
    ]
    guard = LogGuard()
    for name in GUARDED:
        logging.getLogger(name).addHandler(guard)
    yield guard
    for logger, level, propagate, disabled, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.disabled = disabled
        logger.handlers[:] = handlers
    if complaints := guard.complaints():
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture
def expect_log(log_guard: LogGuard) -> ExpectLog:
    """Return a function that takes a regular expression of an expected log message."""
    return log_guard.expect


@pytest.fixture(autouse=True)
def clean_environment() -> Iterator[None]:
    """Start without this package's variables; put variables and working directory back."""
    before = dict(os.environ)
    folder = os.getcwd()  # noqa: PTH109
    for name in before:
        if name.startswith("TORNADO_WEBRTC_") or name in {"STATE_DIRECTORY", "NOTIFY_SOCKET"}:
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)
    os.chdir(folder)


@pytest.fixture(autouse=True)
def clean_plugin_namespace() -> Iterator[None]:
    """Forget the plugin folders that a test added and the plugins that it imported."""
    namespace = tornado_webrtc.plugins
    prefix = f"{namespace.__name__}."
    path = list(namespace.__path__)
    modules = {name for name in sys.modules if name.startswith(prefix)}
    yield
    namespace.__path__[:] = path
    for name in [name for name in sys.modules if name.startswith(prefix)]:
        if name not in modules:
            del sys.modules[name]
            vars(namespace).pop(name.removeprefix(prefix), None)


@pytest.fixture
def turn_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the TURN server use free ports, and an address that nobody has doubts about."""
    for key, value in (
        ("BIND", "127.0.0.1,"),
        ("PORT", "0"),
        ("PORT_TCP", "0"),
        ("PUBLIC_IP", "93.184.216.34/127.0.0.1,"),
    ):
        monkeypatch.setenv(f"TORNADO_WEBRTC__TURN__{key}", value)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of an ordinary user, as whom the test runs even if root started it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=False) as name:
        folder = Path(name)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o700)


@pytest.fixture
async def no_leaked_tasks(log_guard: LogGuard) -> AsyncIterator[None]:
    """Fail the test when a task that began during it, or its fixtures, is still running."""
    asyncio.get_running_loop().slow_callback_duration = _SLOW_CALLBACK_S
    before = asyncio.all_tasks()
    yield
    if leaked := asyncio.all_tasks() - before - {asyncio.current_task()}:
        _, pending = await asyncio.wait(leaked, timeout=_TASK_GRACE_S)
        if pending:
            pytest.fail(f"tasks still running: {sorted(map(repr, pending))}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Let every async test begin with, and so end with, `no_leaked_tasks`."""
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.fixturenames.insert(0, "no_leaked_tasks")
