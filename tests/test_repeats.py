"""Repeats: logged once, counted for a minute, logged again."""

from tornado_webrtc.repeats import REPEAT_S, Repeats


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_first_time_is_logged_and_then_once_a_minute() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert [repeats.add("a") for _ in range(4)] == [1, 0, 0, 0]
    clock.now += REPEAT_S - 1
    assert repeats.add("a") == 0
    clock.now += 1
    assert repeats.add("a") == 5, "with this one"
    assert repeats.add("a") == 0
    clock.now += 10 * REPEAT_S
    assert repeats.add("a") == 2


def test_keys_are_counted_apart() -> None:
    repeats = Repeats(Clock())
    assert [repeats.add(key) for key in ("a", ("a", 1), "b", "a")] == [1, 1, 1, 0]


def test_counts_with_the_real_clock() -> None:
    repeats = Repeats()
    assert [repeats.add("a"), repeats.add("a")] == [1, 0]
