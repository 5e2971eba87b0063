"""When to try again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.plugins.webhook.retry import (
    FIRST_S,
    LONGEST_S,
    MAX_RETRY_AFTER_S,
    Backoff,
    retry_after,
)

WALL = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


def test_pauses_double_up_to_a_minute() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    pauses, now = [], 100.0
    for _ in range(9):
        backoff.failed(now, now)
        pauses.append(backoff.until - now)
        now = backoff.until
    assert pauses == [FIRST_S, 2, 4, 8, 16, 32, LONGEST_S, LONGEST_S, LONGEST_S]
    assert backoff.failures == 9


@given(st.floats(0, 1))
def test_chance_takes_off_half_at_most(chance: float) -> None:
    backoff = Backoff(chance=lambda: chance)
    backoff.failed(5.0, 5.0)
    assert 5.0 + FIRST_S / 2 <= backoff.until <= 5.0 + FIRST_S


def test_chances_differ() -> None:
    untils = set()
    for _ in range(20):
        backoff = Backoff()
        backoff.failed(0.0, 0.0)
        untils.add(backoff.until)
    assert len(untils) > 1


def test_requests_that_were_under_way_together_fail_together() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(8):
        backoff.failed(1.0, 1.5)
    assert (backoff.failures, backoff.until) == (1, 2.5)


def test_what_the_receiver_asks_for() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    backoff.failed(0.0, 0.0, asked_s=30.0)
    assert backoff.until == 30.0
    backoff.failed(0.0, 0.0, asked_s=0.001)
    assert backoff.until == 30.0, "another answer does not shorten it"


def test_success_ends_it() -> None:
    backoff = Backoff()
    backoff.failed(0.0, 0.5)
    assert backoff.succeeded(0.5)
    assert (backoff.failures, backoff.until) == (0, 0.0)


def test_success_of_one_that_was_under_way_already_changes_nothing() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    backoff.failed(0.0, 0.5, asked_s=30.0)
    assert not backoff.succeeded(0.4)
    assert (backoff.failures, backoff.until) == (1, 30.5)
    assert backoff.succeeded(30.5)


def test_a_week_of_failures() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    for _ in range(10_000):
        backoff.failed(backoff.until, backoff.until)
    assert backoff.failures == 10_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0.0),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("86400", MAX_RETRY_AFTER_S),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("soon", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", MAX_RETRY_AFTER_S),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text, WALL) == seconds


@given(st.text())
def test_retry_after_may_be_anything(text: str) -> None:
    assert 0.0 <= retry_after(text, WALL) <= MAX_RETRY_AFTER_S
