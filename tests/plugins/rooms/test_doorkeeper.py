"""Verdicts about passwords: limits, the queue of slow ones, what is remembered."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.wire import DEADLINE_S, until
from tornado_webrtc.plugins.rooms import doorkeeper as module
from tornado_webrtc.plugins.rooms.doorkeeper import MAX_WAITING, Doorkeeper, Verdict
from tornado_webrtc.plugins.rooms.password import HashedPassword, KnownPassword

RIGHT, WRONG = Verdict.RIGHT, Verdict.WRONG
HASHED = HashedPassword.make("sesame", 14)


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def doorkeeper(time: Time) -> AsyncIterator[Doorkeeper]:
    made = Doorkeeper(time, 3)
    yield made
    await made.close()


class Slow(HashedPassword):
    """A hash that takes until it is let go, and counts how often it is computed."""

    go = threading.Event()
    computed = 0

    def hold(self) -> None:
        """Let those who come from now on wait; who is there already may go, however late he is."""
        type(self).go = threading.Event()

    def has_computed(self, count: int) -> bool:
        return self.computed == count

    def matches(self, password: str) -> bool:
        go = self.go
        type(self).computed += 1
        assert go.wait(DEADLINE_S)
        return password == "sesame"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(Slow, "go", threading.Event())
    monkeypatch.setattr(Slow, "computed", 0)
    return Slow(14, b"", b"")


@pytest.mark.parametrize("expected", [KnownPassword.of("sesame"), HASHED])
async def test_right_and_wrong(
    doorkeeper: Doorkeeper, time: Time, expected: KnownPassword | HashedPassword
) -> None:
    assert await doorkeeper.judge(expected, "sesame", "a") is RIGHT
    for _ in range(3):
        assert await doorkeeper.judge(expected, "sesam", "a") is WRONG
    assert await doorkeeper.judge(expected, "sesame", "a") is Verdict.EXHAUSTED
    assert await doorkeeper.judge(expected, "sesam", "a") is Verdict.EXHAUSTED
    assert await doorkeeper.judge(expected, "sesame", "b") is RIGHT
    time.now += 60
    assert await doorkeeper.judge(expected, "sesame", "a") is RIGHT


async def test_right_ones_are_not_counted(doorkeeper: Doorkeeper) -> None:
    for _ in range(10):
        assert await doorkeeper.judge(HASHED, "sesame", "a") is RIGHT


async def test_right_password_is_hashed_once(doorkeeper: Doorkeeper, slow: Slow) -> None:
    slow.go.set()
    for _ in range(3):
        assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
    assert slow.computed == 1
    doorkeeper.keep_only({None, slow, HASHED})
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
    assert slow.computed == 1
    doorkeeper.keep_only({None, HASHED})
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
    assert slow.computed == 2


async def test_who_knows_the_password_does_not_wait_for_guesses(
    doorkeeper: Doorkeeper, slow: Slow
) -> None:
    slow.go.set()
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
    slow.hold()
    guess = asyncio.create_task(doorkeeper.judge(slow, "sesam", "b"))
    await until(lambda: slow.computed == 2)
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
    slow.go.set()
    assert await guess is WRONG


async def test_queue_is_bounded_and_the_loop_goes_on(doorkeeper: Doorkeeper, slow: Slow) -> None:
    waiting = [
        asyncio.create_task(doorkeeper.judge(slow, f"guess {n}", f"client {n}"))
        for n in range(MAX_WAITING)
    ]
    await until(lambda: slow.computed == 1)
    assert await doorkeeper.judge(slow, "sesame", "a") is Verdict.BUSY
    slow.go.set()
    assert Counter(await asyncio.gather(*waiting)) == {WRONG: MAX_WAITING}
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT


async def test_a_crowd_that_guesses_does_not_keep_out_who_does_not(
    doorkeeper: Doorkeeper, slow: Slow
) -> None:
    crowd = [f"client {n}" for n in range(MAX_WAITING)]
    for client in crowd:
        assert await doorkeeper.judge(HASHED, "sesam", client) is WRONG
    guesses = [asyncio.create_task(doorkeeper.judge(slow, "guess", client)) for client in crowd]
    await until(lambda: slow.computed == 1)
    knows = asyncio.create_task(doorkeeper.judge(slow, "sesame", "a"))
    assert await guesses[-1] is Verdict.BUSY, "it has given way"
    slow.go.set()
    assert await knows is RIGHT
    assert slow.computed < MAX_WAITING
    assert Counter(await asyncio.gather(*guesses)) == {WRONG: MAX_WAITING - 1, Verdict.BUSY: 1}


async def test_one_that_guesses_many_at_once_does_not_either(time: Time, slow: Slow) -> None:
    doorkeeper = Doorkeeper(time, 0)
    guesses = [
        asyncio.create_task(doorkeeper.judge(slow, f"guess {n}", "x")) for n in range(MAX_WAITING)
    ]
    await until(lambda: slow.computed == 1)
    knows = asyncio.create_task(doorkeeper.judge(slow, "sesame", "a"))
    assert await guesses[-1] is Verdict.BUSY
    slow.go.set()
    assert await knows is RIGHT
    assert Counter(await asyncio.gather(*guesses)) == {WRONG: MAX_WAITING - 1, Verdict.BUSY: 1}
    await doorkeeper.close()


async def test_many_with_the_right_password_cost_one_hash(
    doorkeeper: Doorkeeper, slow: Slow
) -> None:
    waiting = [
        asyncio.create_task(doorkeeper.judge(slow, "sesame", "school")) for _ in range(MAX_WAITING)
    ]
    await until(lambda: slow.computed == 1)
    slow.go.set()
    assert Counter(await asyncio.gather(*waiting)) == {RIGHT: MAX_WAITING}
    assert slow.computed == 1


async def test_guesses_at_once_are_no_more_guesses(doorkeeper: Doorkeeper, slow: Slow) -> None:
    slow.go.set()
    verdicts = await asyncio.gather(
        *(doorkeeper.judge(slow, f"guess {n}", "a") for n in range(MAX_WAITING))
    )
    assert Counter(verdicts) == {WRONG: 3, Verdict.EXHAUSTED: MAX_WAITING - 3}
    assert slow.computed == 3


async def test_who_hangs_up_has_guessed(doorkeeper: Doorkeeper, slow: Slow) -> None:
    """Otherwise one client could let the server hash without end."""
    for n in range(1, 4):
        guess = asyncio.create_task(doorkeeper.judge(slow, f"guess {n}", "a"))
        await until(partial(slow.has_computed, n))
        guess.cancel()
        slow.go.set()
        await asyncio.wait({guess})
        await until(doorkeeper._thread._work_queue.empty)
        slow.hold()
    slow.go.set()
    assert await doorkeeper.judge(slow, "guess 4", "a") is Verdict.EXHAUSTED
    assert slow.computed == 3


async def test_nobody_waits_for_longer_than_a_hook_may_take(
    doorkeeper: Doorkeeper, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    first = asyncio.create_task(doorkeeper.judge(slow, "guess", "a"))
    await until(lambda: slow.computed == 1)
    assert await doorkeeper.judge(slow, "sesame", "b") is Verdict.BUSY
    slow.go.set()
    assert await first is WRONG
    assert await doorkeeper.judge(slow, "sesame", "b") is RIGHT


async def test_who_is_exhausted_takes_no_place_in_the_queue(
    doorkeeper: Doorkeeper, slow: Slow
) -> None:
    for _ in range(3):
        assert await doorkeeper.judge(HASHED, "sesam", "a") is WRONG
    waiting = [
        asyncio.create_task(doorkeeper.judge(slow, "sesame", client))
        for client in ["x", *("a" * MAX_WAITING), "b"]
    ]
    await until(lambda: slow.computed == 1)
    slow.go.set()
    verdicts = await asyncio.gather(*waiting)
    assert Counter(verdicts) == {RIGHT: 2, Verdict.EXHAUSTED: MAX_WAITING}


async def test_who_gives_up_leaves_the_queue(doorkeeper: Doorkeeper, slow: Slow) -> None:
    waiting = [
        asyncio.create_task(doorkeeper.judge(slow, "guess", f"client {n}"))
        for n in range(MAX_WAITING)
    ]
    await until(lambda: slow.computed == 1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    slow.go.set()
    assert await doorkeeper.judge(slow, "sesame", "a") is RIGHT
