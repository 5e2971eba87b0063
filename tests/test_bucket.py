"""Token buckets: never more than rate and burst allow, and no client starves another."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.bucket import BucketTable, TokenBucket, client_prefix


def test_full_bucket_grants_its_burst_at_once() -> None:
    bucket = TokenBucket(rate=1.0, burst=3.0, now=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_refusal_says_when_a_token_will_be_there() -> None:
    bucket = TokenBucket(rate=4.0, burst=1.0, now=0.0)
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == 0.25
    assert bucket.take(0.125) == 0.125
    assert bucket.take(0.25) == 0.0


def test_refusal_takes_nothing() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0, now=0.0)
    bucket.take(0.0)
    for _ in range(100):
        assert bucket.take(0.5) == 0.5
    assert bucket.take(1.0) == 0.0


def test_rest_fills_up_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(rate=10.0, burst=2.0, now=0.0)
    bucket.take(0.0)
    assert [bucket.take(3600.0) == 0.0 for _ in range(3)] == [True, True, False]


@given(
    rate=st.floats(0.01, 1000.0),
    burst=st.floats(1.0, 100.0),
    pauses=st.lists(st.floats(0.0, 10.0), max_size=50),
)
def test_never_more_than_burst_and_rate(rate: float, burst: float, pauses: list[float]) -> None:
    bucket = TokenBucket(rate, burst, now=0.0)
    now, granted = 0.0, 0
    for pause in pauses:
        now += pause
        wait_s = bucket.take(now)
        assert 0.0 <= wait_s <= 1.0 / rate
        granted += wait_s == 0.0
    assert granted <= burst + rate * now + 1e-6


@given(rate=st.floats(0.01, 1000.0), burst=st.floats(1.0, 20.0), now=st.floats(0.0, 1e9))
def test_who_waits_as_told_gets_a_token(rate: float, burst: float, now: float) -> None:
    bucket = TokenBucket(rate, burst, now)
    while not (wait_s := bucket.take(now)):
        pass
    rounding_s = 4 * math.ulp(now + wait_s) + 1e-9 / rate
    assert bucket.take(now + wait_s + rounding_s) == 0.0


def test_keys_do_not_share_a_bucket() -> None:
    table = BucketTable(rate=1.0, burst=1.0)
    assert table.take("a", 0.0) == 0.0
    assert table.take("a", 0.0) == 1.0
    assert table.take("b", 0.0) == 0.0
    assert len(table) == 2


def test_rate_zero_is_no_limit_and_remembers_nobody() -> None:
    table = BucketTable(rate=0.0, burst=1.0)
    assert {table.take("a", 0.0) for _ in range(1000)} == {0.0}
    assert len(table) == 0


def test_table_forgets_whom_it_has_not_seen_for_longest() -> None:
    table = BucketTable(rate=1.0, burst=1.0, size=2)
    table.take("old", 0.0)
    table.take("new", 0.0)
    assert table.take("old", 0.0) == 1.0  # refused, but seen
    table.take("newest", 0.0)
    assert len(table) == 2
    assert table.take("old", 0.0) == 1.0
    assert table.take("new", 0.0) == 0.0, "it was forgotten, its bucket is full again"


@pytest.mark.parametrize(
    ("ip", "prefix"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_one_client_is_an_ipv4_address_or_an_ipv6_network(ip: str, prefix: str) -> None:
    assert client_prefix(ip) == prefix
