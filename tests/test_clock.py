"""The clock: the process's own time by default, any other one for a test."""

import dataclasses
import time

import pytest

from tornado_webrtc.clock import Clock


def test_now_is_monotonic_time_and_wall_is_unix_time() -> None:
    clock = Clock()
    before = time.monotonic(), time.time()
    now, wall = clock.now(), clock.wall()
    after = time.monotonic(), time.time()
    assert before[0] <= now <= after[0]
    assert before[1] <= wall <= after[1]


def test_each_time_can_be_another() -> None:
    clock = Clock(now=lambda: 7.0, wall=lambda: 1_700_000_000.0)
    assert (clock.now(), clock.wall()) == (7.0, 1_700_000_000.0)


def test_nobody_turns_the_clock_behind_ones_back() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Clock().now = lambda: 0.0  # type: ignore[misc]
