"""A plugin's function fails alone: as a `PluginError`, in the log, and not too often there."""

import asyncio
import contextlib
import functools
import logging
import sys
import time
from collections.abc import Callable

import pytest

from tornado_webrtc import isolation
from tornado_webrtc.errors import PluginError
from tornado_webrtc.isolation import Isolation, discard, plugin_logger
from tornado_webrtc.repeats import REPEAT_S

ExpectLog = Callable[[str], None]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(error: BaseException) -> object:
    raise error


async def forever() -> None:
    await asyncio.Event().wait()


async def late_failure(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


def test_result_and_arguments_are_passed_on() -> None:
    assert Isolation(1).call("lamp", "start", divmod, 7, 2) == (3, 1)
    assert Isolation(1).call("lamp", "start", dict, what=1) == {"what": 1}


FAILURES = [
    ValueError("no light"),
    SystemExit("no light"),
    asyncio.CancelledError("no light"),
    StopIteration("no light"),
]


@pytest.mark.parametrize("error", FAILURES)
def test_whatever_is_raised_becomes_a_plugin_error(
    error: BaseException, expect_log: ExpectLog
) -> None:
    expect_log(f"^plugin lamp: start raised {type(error).__name__}$")
    with pytest.raises(PluginError, match=f"start raised {type(error).__name__}: no light") as got:
        Isolation(1).call("lamp", "start", fail, error)
    assert got.value.plugin == "lamp"
    assert got.value.__cause__ is error


def test_keyboard_interrupt_is_not_the_plugins() -> None:
    with pytest.raises(KeyboardInterrupt):
        Isolation(1).call("lamp", "start", fail, KeyboardInterrupt())


async def test_awaitables_have_results() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(4)
    assert await Isolation(1).wait("lamp", "start", asyncio.sleep(0, 3)) == 3
    assert await Isolation(1).wait("lamp", "start", future) == 4


@pytest.mark.parametrize(
    ("error", "logged"),
    [(ValueError("no light"), "raised ValueError"), (PluginError("other", "dim"), "failed: dim")],
)
async def test_late_exception(error: Exception, logged: str, expect_log: ExpectLog) -> None:
    expect_log(f"^plugin lamp: start {logged}$")
    with pytest.raises(PluginError, match=r"^plugin lamp: ") as got:
        await Isolation(1).wait("lamp", "start", late_failure(error))
    assert got.value.__cause__ is error


async def test_late_exit_does_not_end_the_event_loop(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: start raised RuntimeError")
    with pytest.raises(PluginError, match=r"sys\.exit"):
        await Isolation(1).wait("lamp", "start", late_failure(SystemExit(3)))


async def test_cancellation_from_within_is_a_failure(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: start was cancelled from within")
    with pytest.raises(PluginError):
        await Isolation(1).wait("lamp", "start", late_failure(asyncio.CancelledError()))


async def test_time_out(expect_log: ExpectLog) -> None:
    expect_log(r"plugin lamp: start did not finish within 0\.01 s")
    cleaned = asyncio.Event()

    async def tidy() -> None:
        try:
            await forever()
        finally:
            cleaned.set()

    with pytest.raises(PluginError, match="did not finish"):
        await Isolation(0.01).wait("lamp", "start", tidy())
    async with asyncio.timeout(5):
        await cleaned.wait()


async def test_time_out_of_one_call(expect_log: ExpectLog) -> None:
    expect_log(r"did not finish within 0\.02 s")
    with pytest.raises(PluginError):
        await Isolation(60).wait("lamp", "start", forever(), 0.02)


async def test_swallowed_cancellation_does_not_hold_up_the_caller(
    expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("did not finish within")
    released = asyncio.Event()
    ended: list[bool] = []

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        for _ in range(20):
            await asyncio.sleep(0)
        ended.append(True)
        raise ValueError("nobody hears this")

    calls = Isolation(0.01)
    async with asyncio.timeout(5):
        with pytest.raises(PluginError):
            await calls.wait("lamp", "start", stubborn())
    released.set()
    monkeypatch.setattr(calls, "_timeout_s", 5)
    await calls.settle()
    assert ended


async def test_cancellation_of_the_caller_passes_through() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        try:
            began.set()
            await forever()
        finally:
            ended.set()

    task = asyncio.create_task(Isolation(60).wait("lamp", "start", slow()))
    async with asyncio.timeout(5):
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()


async def test_background_is_settled(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: peer_left raised ValueError")
    done: list[str] = []

    async def note(word: str) -> None:
        await asyncio.sleep(0)
        done.append(word)

    calls = Isolation(5)
    calls.wait_later("lamp", "peer_left", note("a"))
    calls.wait_later("lamp", "peer_left", late_failure(ValueError()))
    calls.wait_later("lamp", "peer_left", note("b"))
    assert done == []
    await calls.settle()
    assert done == ["a", "b"]


async def test_background_has_a_time_out(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: peer_left did not finish within")
    calls = Isolation(0.01)
    calls.wait_later("lamp", "peer_left", forever())
    async with asyncio.timeout(5):
        await calls.settle()


def test_background_needs_an_event_loop(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: peer_left is asynchronous, but no event loop runs")
    with pytest.raises(PluginError):
        Isolation(1).wait_later("lamp", "peer_left", forever())


async def test_telling(expect_log: ExpectLog) -> None:
    expect_log("plugin lamp: left raised ValueError")
    done: list[str] = []

    async def note(word: str) -> None:
        done.append(word)

    calls = Isolation(5)
    calls.tell("lamp", "left", lambda: done.append("at once"))
    calls.tell("lamp", "left", lambda: calls.call("lamp", "left", fail, ValueError()))
    calls.tell("lamp", "left", lambda: note("in the background"), after="join")
    assert done == ["at once"]
    await calls.settle()
    assert done == ["at once", "in the background"]


async def test_telling_after_what_nobody_waits_for_any_more() -> None:
    """Of that plugin and that function only, and about the same subject."""
    done: list[str] = []
    began, released = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        await released.wait()
        done.append("join")

    calls, about, other = Isolation(60), object(), object()
    task = asyncio.create_task(calls.wait("lamp", "join", slow(), None, about))
    async with asyncio.timeout(5):
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for plugin, after in (("lamp", "join"), ("lamp", "other"), ("radio", "join"), ("lamp", "")):
            told = functools.partial(done.append, f"{plugin} after {after}")
            calls.tell(plugin, "left", told, after=after, subject=about)
        told = functools.partial(done.append, "about another one")
        calls.tell("lamp", "left", told, after="join", subject=other)
        assert done == ["lamp after other", "radio after join", "lamp after ", "about another one"]
        released.set()
        await calls.settle()
    assert done[4:] == ["join", "lamp after join"]
    told = functools.partial(done.append, "nothing to wait for")
    calls.tell("lamp", "left", told, after="join", subject=about)
    assert done[6:] == ["nothing to wait for"]


async def test_telling_does_not_wait_without_end() -> None:
    began, released, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        await released.wait()

    calls, about = Isolation(0.02), object()
    task = asyncio.create_task(calls.wait("lamp", "join", stubborn(), 60, about))
    async with asyncio.timeout(5):
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        calls.tell("lamp", "left", told.set, after="join", subject=about)
        assert not told.is_set()
        await told.wait()
        released.set()
        await calls.settle()


async def test_discarded_awaitables_leave_nothing_behind() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    discard(future)
    discard(forever())
    assert future.cancelled()


def test_blocking_is_reported(expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch) -> None:
    expect_log(r"^plugin lamp: start blocked the whole server.*\(\d+\.\d s\)$")
    monkeypatch.setattr(isolation, "BLOCKED_S", 0.001)
    Isolation(1).call("lamp", "start", time.sleep, 0.002)


def fully(seconds: float) -> None:
    """Keep the event loop from everything else."""
    time.sleep(seconds)


async def test_blocking_between_two_waits_is_reported(
    caplog: pytest.LogCaptureFixture, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log(r"^plugin lamp: the handler of dim blocked the whole server.*\(\d+\.\d s\)$")
    monkeypatch.setattr(isolation, "BLOCKED_S", 0.05)

    async def dim() -> str:
        await asyncio.sleep(0)
        fully(0.06)
        await asyncio.sleep(0)
        return "dark"

    assert await Isolation(10).wait("lamp", "the handler of dim", dim()) == "dark"
    assert len([each for each in caplog.records if "blocked" in each.getMessage()]) == 1


async def test_blocking_when_it_is_cancelled_is_reported(
    expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log("plugin lamp: peer_left did not finish")
    expect_log("plugin lamp: peer_left blocked the whole server")
    monkeypatch.setattr(isolation, "BLOCKED_S", 0.05)

    async def tidy() -> None:
        try:
            await forever()
        finally:
            fully(0.06)

    calls = Isolation(0.01)
    calls.wait_later("lamp", "peer_left", tidy())
    await calls.settle()


async def test_waiting_is_not_blocking(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of it may well be slow on a busy machine, but not as slow as all of its waits."""
    monkeypatch.setattr(isolation, "BLOCKED_S", 0.5)
    await Isolation(10).wait("lamp", "start", asyncio.sleep(0.6))
    await Isolation(10).wait("lamp", "start", asyncio.to_thread(time.sleep, 0.6))
    assert "blocked" not in caplog.text


async def test_where_no_server_runs_none_is_blocked(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "BLOCKED_S", 0.0)

    async def block() -> None:
        fully(0.002)

    calls = Isolation(10, serves=False)
    calls.call("lamp", "Plugin()", time.sleep, 0.002)
    await calls.wait("lamp", "check", block())
    assert caplog.messages == []


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_same_failure_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, expect_log: ExpectLog
) -> None:
    expect_log("start raised ValueError")
    clock = Clock()
    calls = Isolation(1, clock)

    def attempt(times: int) -> None:
        for number in range(times):
            with pytest.raises(PluginError):
                calls.call("lamp", "start", fail, ValueError(number))

    attempt(5)
    clock.now += REPEAT_S - 1
    attempt(2)
    clock.now += 1
    attempt(1)
    clock.now += REPEAT_S
    attempt(1)
    first, second, third = records(caplog)
    assert first.name == "tornado_webrtc.plugins.lamp"
    assert first.exc_info is not None
    assert first.exc_info[0] is ValueError
    assert second.getMessage().endswith("start raised ValueError; 7 times since it was last logged")
    assert third.getMessage().endswith("start raised ValueError")


def test_other_failures_are_logged_for_themselves(
    caplog: pytest.LogCaptureFixture, expect_log: ExpectLog
) -> None:
    expect_log("raised")
    calls = Isolation(1, Clock())

    def elsewhere() -> None:
        raise ValueError

    for plugin, what, function in [
        ("lamp", "start", lambda: fail(ValueError())),
        ("lamp", "stop", lambda: fail(ValueError())),
        ("bell", "start", lambda: fail(ValueError())),
        ("lamp", "start", lambda: fail(TypeError())),
        ("lamp", "start", elsewhere),
    ]:
        with pytest.raises(PluginError):
            calls.call(plugin, what, function)
    assert len([each for each in records(caplog) if each.exc_info]) == 5


def test_text_is_not_a_format(caplog: pytest.LogCaptureFixture, expect_log: ExpectLog) -> None:
    expect_log("100 %s")
    Isolation(1).failure("lamp", "start", "is 100 %s of nothing")
    assert records(caplog)[0].getMessage() == "plugin lamp: start is 100 %s of nothing"


def test_failures_that_the_caller_reports(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    quiet = Isolation(1, level=logging.DEBUG)
    with pytest.raises(PluginError, match="plugin p: f raised ValueError: x"):
        quiet.call("p", "f", fail, ValueError("x"))
    with pytest.raises(PluginError, match=r"^plugin p: no$"):
        quiet.call("p", "f", fail, PluginError("q", "no"))
    quiet.failure("p", "f", "is odd")
    assert [each.levelno for each in caplog.records] == [logging.DEBUG] * 3
    assert caplog.records[0].exc_info


def test_logger_is_below_the_servers() -> None:
    assert plugin_logger("lamp") is logging.getLogger("tornado_webrtc.plugins.lamp")
    assert "tornado_webrtc.plugins.lamp" not in sys.modules
