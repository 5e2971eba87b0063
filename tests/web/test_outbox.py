"""The outbox: frames in order, one write in flight, bounded, lists replaced where they stand."""

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.web.outbox import Outbox


class Wire:
    """A slow connection: each write leaves when the test says so."""

    def __init__(self, limit_bytes: int = 100) -> None:
        self.writes: list[bytes] = []
        self.events: list[str] = []
        self.in_flight: deque[asyncio.Future[None]] = deque()
        self.outbox = Outbox(self.write, limit_bytes, lambda: self.events.append("overflow"))

    def write(self, frame: bytes) -> asyncio.Future[None]:
        assert not self.in_flight, "only one write at a time"
        self.writes.append(frame)
        self.in_flight.append(asyncio.get_running_loop().create_future())
        return self.in_flight[0]

    async def leave(self, error: Exception | None = None) -> None:
        """Let the write in flight leave, or fail."""
        future = self.in_flight.popleft()
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
        await asyncio.sleep(0)

    async def leave_all(self) -> list[bytes]:
        while self.in_flight:
            await self.leave()
        return self.writes

    def finish(self) -> None:
        self.outbox.finish(lambda: self.events.append("empty"))


async def test_first_frame_is_written_at_once_and_does_not_wait() -> None:
    wire = Wire(limit_bytes=1)
    wire.outbox.put(b"larger than the limit")
    assert wire.writes == [b"larger than the limit"]
    assert wire.outbox.waiting_bytes == 0
    assert wire.events == []


async def test_frames_leave_one_after_another_in_order() -> None:
    wire = Wire()
    for frame in (b"1", b"22", b"333"):
        wire.outbox.put(frame)
    assert wire.writes == [b"1"]
    assert wire.outbox.waiting_bytes == 5
    await wire.leave()
    assert wire.writes == [b"1", b"22"]
    assert wire.outbox.waiting_bytes == 3
    assert await wire.leave_all() == [b"1", b"22", b"333"]
    wire.outbox.put(b"4")
    assert wire.writes[-1] == b"4"
    assert wire.outbox.waiting_bytes == 0


async def test_as_much_as_the_limit_may_wait() -> None:
    wire = Wire(limit_bytes=10)
    wire.outbox.put(b"in flight")
    wire.outbox.put(b"12345")
    wire.outbox.put(b"67890")
    assert wire.events == []
    assert await wire.leave_all() == [b"in flight", b"12345", b"67890"]


async def test_overflow_drops_all_that_waits_and_is_told_once() -> None:
    wire = Wire(limit_bytes=10)
    wire.outbox.put(b"in flight")
    for _ in range(5):
        wire.outbox.put(b"123456")
    assert wire.events == ["overflow"]
    assert wire.outbox.waiting_bytes == 0
    wire.outbox.put_list(b"[]")
    assert await wire.leave_all() == [b"in flight"]


async def test_limit_zero_is_no_limit() -> None:
    wire = Wire(limit_bytes=0)
    for _ in range(50):
        wire.outbox.put(bytes(1000))
    assert wire.outbox.waiting_bytes == 49_000
    assert wire.events == []


# --- lists ------------------------------------------------------------------------


async def test_list_that_waits_is_replaced_where_it_stands() -> None:
    wire = Wire()
    wire.outbox.put(b"first")
    wire.outbox.put_list(b"[1]")
    wire.outbox.put(b"offer")
    wire.outbox.put_list(b"[1, 2, 3]")
    assert wire.outbox.waiting_bytes == len(b"[1, 2, 3]offer")
    wire.outbox.put_list(b"[]")
    assert wire.outbox.waiting_bytes == len(b"[]offer")
    assert await wire.leave_all() == [b"first", b"[]", b"offer"]


async def test_list_in_flight_is_not_replaced() -> None:
    wire = Wire()
    wire.outbox.put_list(b"[1]")
    wire.outbox.put_list(b"[2]")
    wire.outbox.put_list(b"[3]")
    assert await wire.leave_all() == [b"[1]", b"[3]"]


async def test_list_that_has_left_is_not_replaced() -> None:
    wire = Wire()
    wire.outbox.put(b"first")
    wire.outbox.put_list(b"[1]")
    await wire.leave()
    wire.outbox.put_list(b"[2]")
    assert await wire.leave_all() == [b"first", b"[1]", b"[2]"]


async def test_same_list_again_waits_once() -> None:
    wire = Wire()
    frame = b"[the very same object]"
    wire.outbox.put(b"first")
    for _ in range(3):
        wire.outbox.put_list(frame)
    assert wire.outbox.waiting_bytes == len(frame)
    assert await wire.leave_all() == [b"first", frame]


async def test_list_that_grew_too_large_overflows() -> None:
    wire = Wire(limit_bytes=10)
    wire.outbox.put(b"first")
    wire.outbox.put_list(b"[1]")
    wire.outbox.put_list(b"[1, 2, 3, 4]")
    wire.outbox.put_list(b"[]")
    assert wire.events == ["overflow"]
    assert await wire.leave_all() == [b"first"]


# --- the end ----------------------------------------------------------------------


async def test_finish_calls_back_at_once_when_nothing_waits() -> None:
    wire = Wire()
    wire.finish()
    assert wire.events == ["empty"]


async def test_finish_lets_all_leave_and_takes_nothing_more() -> None:
    wire = Wire()
    wire.outbox.put(b"1")
    wire.outbox.put(b"2")
    wire.finish()
    wire.outbox.put(b"too late")
    wire.outbox.put_list(b"too late")
    await wire.leave()
    assert wire.events == []
    await wire.leave()
    assert wire.writes == [b"1", b"2"]
    assert wire.events == ["empty"]


async def test_finishing_twice_calls_back_once() -> None:
    wire = Wire()
    wire.outbox.put(b"1")
    wire.finish()
    wire.finish()
    await wire.leave_all()
    assert wire.events == ["empty"]


async def test_discard_forgets_what_waits_and_calls_nobody_back() -> None:
    wire = Wire()
    wire.outbox.put(b"1")
    wire.outbox.put(b"2")
    wire.finish()
    wire.outbox.discard()
    assert wire.outbox.waiting_bytes == 0
    assert await wire.leave_all() == [b"1"]
    assert wire.events == []


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("closed")])
async def test_failed_write_is_the_end(error: Exception) -> None:
    wire = Wire()
    wire.outbox.put(b"1")
    wire.outbox.put(b"2")
    await wire.leave(error)
    wire.outbox.put(b"3")
    wire.finish()
    assert wire.writes == [b"1"]
    assert wire.outbox.waiting_bytes == 0
    assert wire.events == []


async def test_cancelled_write_is_the_end() -> None:
    wire = Wire()
    wire.outbox.put(b"1")
    wire.outbox.put(b"2")
    wire.in_flight.popleft().cancel()
    await asyncio.sleep(0)
    assert wire.writes == [b"1"]
    assert wire.outbox.waiting_bytes == 0


# --- any order of events ------------------------------------------------------------


@given(steps=st.lists(st.sampled_from(["put", "list", "leave"]), max_size=60))
def test_every_frame_leaves_once_in_order_and_the_last_list_among_them(steps: list[str]) -> None:
    async def play() -> None:
        wire = Wire(limit_bytes=0)
        put: list[bytes] = []
        for number, step in enumerate(steps):
            frame = f"{step} {number}".encode()
            if step == "put":
                wire.outbox.put(frame)
                put.append(frame)
            elif step == "list":
                wire.outbox.put_list(frame)
            elif wire.in_flight:
                await wire.leave()
        writes = await wire.leave_all()
        assert [frame for frame in writes if frame.startswith(b"put")] == put
        lists = [frame for frame in writes if frame.startswith(b"list")]
        sent = [int(frame.split()[1]) for frame in lists]
        assert sent == sorted(set(sent))
        if "list" in steps:
            assert sent[-1] == len(steps) - 1 - steps[::-1].index("list")
        assert wire.outbox.waiting_bytes == 0

    asyncio.run(play())
