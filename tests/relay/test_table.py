"""Buckets and counters; what a table does is in `suite/`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.relay.table import FROM_PEER, TO_PEER, Bucket, Counters, datagram_bytes, grant


def test_bucket_passes_while_anything_is_left() -> None:
    bucket = Bucket(rate=100, burst=10)
    assert grant([bucket], TO_PEER, 9, 5.0)
    assert grant([bucket], TO_PEER, 1500, 5.0), "no datagram is too large"
    assert not grant([bucket], TO_PEER, 0, 5.0)


def test_debt_is_paid_first() -> None:
    bucket = Bucket(rate=100, burst=10)
    assert grant([bucket], TO_PEER, 110, 5.0)
    assert not grant([bucket], TO_PEER, 1, 6.0)
    assert grant([bucket], TO_PEER, 1, 6.01)


def test_directions_have_levels_of_their_own() -> None:
    bucket = Bucket(rate=100, burst=10)
    assert grant([bucket], TO_PEER, 10, 5.0)
    assert not grant([bucket], TO_PEER, 1, 5.0)
    assert grant([bucket], FROM_PEER, 10, 5.0)
    assert not grant([bucket], FROM_PEER, 1, 5.0)


def test_a_rest_fills_up_to_the_burst_and_no_further() -> None:
    bucket = Bucket(rate=100, burst=10)
    assert grant([bucket], TO_PEER, 10, 0.0)
    assert grant([bucket], TO_PEER, 10, 3600.0)
    assert not grant([bucket], TO_PEER, 1, 3600.0)


def test_rate_zero_is_no_limit_and_may_become_one() -> None:
    bucket = Bucket(rate=0, burst=0)
    for _ in range(10):
        assert grant([bucket], TO_PEER, 65535, 1.0)
    bucket.rate, bucket.burst = 100, 10
    assert not grant([bucket], TO_PEER, 1, 0.0)
    assert grant([bucket], TO_PEER, 1, 1.0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_all_buckets_have_to_grant_or_none_pays(order: tuple[int, int]) -> None:
    full, empty = Bucket(rate=100, burst=10), Bucket(rate=100, burst=10)
    assert grant([empty], TO_PEER, 10, 1.0)
    both = [(full, empty)[index] for index in order]
    for _ in range(10):
        assert not grant(both, TO_PEER, 10, 1.0)
    assert grant([full], TO_PEER, 10, 1.0)
    assert not grant([full], TO_PEER, 10, 1.0)


def test_headers_count() -> None:
    """RFC 791: 20 bytes, RFC 8200: 40, RFC 768: 8."""
    ipv4, ipv6 = ("127.0.0.1", 1), ("::1", 1, 0, 0)
    assert datagram_bytes(0, len(ipv4)) == 28
    assert datagram_bytes(1000, len(ipv4)) == 1028
    assert datagram_bytes(1000, len(ipv6)) == 1048


def test_no_bucket_is_no_limit() -> None:
    assert grant((), TO_PEER, 65535, 0.0)


@given(
    rate=st.floats(1.0, 1e6),
    burst=st.floats(1.0, 1e6),
    datagrams=st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(0, 65535)), max_size=60),
)
def test_never_more_than_burst_rate_and_one_datagram(
    rate: float, burst: float, datagrams: list[tuple[float, int]]
) -> None:
    bucket, now, granted = Bucket(rate, burst), 100.0, 0
    for pause, size in datagrams:
        now += pause
        granted += size * grant([bucket], TO_PEER, size, now)
    assert granted <= burst + rate * (now - 100.0) + 65535 + 1e-3


def test_drops_are_summed_up() -> None:
    counters = Counters(1, 2, 3, 4, 10, 20, 30, 40, 50, 60)
    assert counters.dropped == 210
    assert Counters() == (0,) * 10
