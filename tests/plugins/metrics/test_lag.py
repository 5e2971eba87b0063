"""The event loop's lag: measured in a loop that is blocked, remembered for a while."""

import asyncio
import time

import pytest

from tests.wire import until
from tornado_webrtc.plugins.metrics.lag import INTERVAL_S, WINDOW_S, LoopLag


def count(lag: LoopLag) -> float:
    return lag.histogram.buckets()[-1][1]


async def test_a_blocked_loop_is_noticed() -> None:
    lag = LoopLag()
    lag.start()
    try:
        time.sleep(INTERVAL_S + 0.2)  # noqa: ASYNC251 - to block is the point
        assert lag.largest() >= 0.19, "while it lasts"
        await until(lambda: count(lag) >= 1)
        assert lag.largest() >= 0.19
        assert dict(lag.histogram.buckets())["0.1"] < count(lag)
    finally:
        lag.stop()


async def test_it_goes_on_and_can_be_stopped() -> None:
    lag = LoopLag()
    lag.start()
    await until(lambda: count(lag) >= 2)
    lag.stop()
    seen = count(lag)
    await asyncio.sleep(2 * INTERVAL_S)
    assert count(lag) == seen
    lag.stop()


@pytest.mark.parametrize(
    ("passed_s", "largest_s"),
    [(0, 3), (WINDOW_S, 3), (2 * WINDOW_S - 1, 3), (2 * WINDOW_S, 0), (5 * WINDOW_S, 0)],
)
def test_the_largest_is_forgotten(passed_s: float, largest_s: float) -> None:
    now = 1000.0
    lag = LoopLag(lambda: now)
    lag.note(3)
    now += passed_s
    assert lag.largest() == largest_s


def test_a_later_one_counts_beside_an_earlier_one() -> None:
    now = 1000.0
    lag = LoopLag(lambda: now)
    lag.note(3)
    now += WINDOW_S
    lag.note(1)
    assert lag.largest() == 3
    now += WINDOW_S
    assert lag.largest() == 1
    now += WINDOW_S
    assert lag.largest() == 0
    assert (count(lag), lag.histogram.total) == (2, 4)
