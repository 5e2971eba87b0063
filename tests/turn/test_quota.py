"""Quotas: counts that never drift, challenges that never exceed rate and burst."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.turn.quota import (
    BURST_S,
    AllocationLimits,
    AllocationQuotas,
    ChallengeLimits,
    Limit,
    client_prefixes,
)

IP = "192.0.2.1"

# --- allocations ------------------------------------------------------------


def test_without_limits_everything_is_granted() -> None:
    quotas = AllocationQuotas(AllocationLimits())
    assert {quotas.take("alice", IP) for _ in range(1000)} == {None}
    assert len(quotas) == 1000


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (AllocationLimits(total=2), "max_allocations"),
        (AllocationLimits(per_user=2), "max_allocations_per_user"),
        (AllocationLimits(per_client=2), "max_allocations_per_ip"),
    ],
)
def test_limit_is_named_and_given_back(limits: AllocationLimits, limit: str) -> None:
    quotas = AllocationQuotas(limits)
    assert [quotas.take("alice", IP) for _ in range(3)] == [None, None, limit]
    assert len(quotas) == 2
    quotas.give_back("alice", IP)
    assert [quotas.take("alice", IP) for _ in range(2)] == [None, limit]


def test_users_and_clients_are_counted_apart() -> None:
    quotas = AllocationQuotas(AllocationLimits(total=4, per_user=1, per_client=2))
    assert quotas.take("alice", IP) is None
    assert quotas.take("alice", "192.0.2.2") is Limit.USER
    assert quotas.take("bob", IP) is None
    assert quotas.take("carol", IP) is Limit.CLIENT, "another name does not help"
    assert quotas.take("carol", "2001:db8::1") is None
    assert quotas.take("dave", "2001:db8::ffff:2") is None
    assert quotas.take("erin", "2001:db8::3") is Limit.CLIENT, "nor another address of a /64"
    assert quotas.take("erin", "192.0.2.9") is Limit.ALL


def test_limits_can_be_replaced() -> None:
    quotas = AllocationQuotas(AllocationLimits())
    quotas.take("alice", IP)
    quotas.take("alice", IP)
    quotas.limits = AllocationLimits(total=1)
    assert quotas.take("bob", IP) is Limit.ALL
    quotas.give_back("alice", IP)
    assert quotas.take("bob", IP) is Limit.ALL
    quotas.give_back("alice", IP)
    assert quotas.take("bob", IP) is None


@pytest.mark.parametrize(("user", "ip"), [("bob", IP), ("alice", "192.0.2.2"), ("bob", "::1")])
def test_what_was_not_taken_cannot_be_given_back(user: str, ip: str) -> None:
    quotas = AllocationQuotas(AllocationLimits(total=1))
    quotas.take("alice", IP)
    with pytest.raises(ValueError, match=f"no allocation of '{user}' from {ip} was counted"):
        quotas.give_back(user, ip)
    assert len(quotas) == 1
    quotas.give_back("alice", IP)
    assert quotas.take("alice", IP) is None


def test_nothing_is_remembered_of_who_has_nothing() -> None:
    quotas = AllocationQuotas(AllocationLimits(per_user=1, per_client=1, total=1))
    for number in range(100):
        quotas.take("one", IP)
        quotas.take(f"refused {number}", f"2001:db8:{number:x}::1")
        quotas.give_back("one", IP)
    assert not quotas._users
    assert not quotas._clients


who = st.tuples(st.sampled_from("abc"), st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]))


@given(
    st.builds(
        AllocationLimits,
        total=st.integers(0, 6),
        per_user=st.integers(0, 3),
        per_client=st.integers(0, 3),
    ),
    st.lists(st.tuples(st.booleans(), who), max_size=60),
)
def test_counts_agree_with_a_list(
    limits: AllocationLimits, history: list[tuple[bool, tuple[str, str]]]
) -> None:
    quotas = AllocationQuotas(limits)
    live: list[tuple[str, str]] = []
    for arrives, (user, ip) in history:
        if arrives:
            users, clients = Counter(u for u, _ in live), Counter(i for _, i in live)
            full = (
                (limits.per_user and users[user] >= limits.per_user)
                or (limits.per_client and clients[ip] >= limits.per_client)
                or (limits.total and len(live) >= limits.total)
            )
            assert (quotas.take(user, ip) is not None) == bool(full)
            live += [] if full else [(user, ip)]
        elif (user, ip) in live:
            live.remove((user, ip))
            quotas.give_back(user, ip)
        assert len(quotas) == len(live)


# --- challenges -------------------------------------------------------------


def grants(limits: ChallengeLimits, ips: list[str], now: float) -> int:
    return sum(limits.take(ip, now) for ip in ips)


@pytest.mark.parametrize("now", [0.0, 1.5, 1e9])
def test_client_gets_fifty_a_second_in_bursts_of_two_hundred(now: float) -> None:
    limits = ChallengeLimits(50)
    assert grants(limits, [IP] * 1000, now) == 200
    assert grants(limits, [IP] * 1000, now + 1) == 50
    assert grants(limits, [IP] * 1000, now + 1.02) == 1
    assert grants(limits, [IP] * 1000, now + 3600) == 200


def test_network_gets_four_times_as_much() -> None:
    limits = ChallengeLimits(50)
    office = [f"192.0.2.{host}" for host in range(10)]
    assert grants(limits, office * 200, 0.0) == 800
    assert grants(limits, office * 200, 1.0) == 200
    assert limits.take("192.0.3.1", 1.0)


def test_ipv6_network_gets_four_times_as_much() -> None:
    limits = ChallengeLimits(50)
    assert grants(limits, [f"2001:db8:1::{host:x}" for host in range(1000)], 0.0) == 200
    assert grants(limits, [f"2001:db8:1:{net:x}::1" for net in range(1, 1000)], 0.0) == 600
    assert limits.take("2001:db8:2::1", 0.0)


def test_client_that_is_refused_takes_nothing_from_its_network() -> None:
    limits = ChallengeLimits(50)
    assert grants(limits, [IP] * 5000, 0.0) == 200
    assert grants(limits, ["192.0.2.2"] * 200, 0.0) == 200


def test_network_that_is_refused_takes_nothing_from_its_clients() -> None:
    limits = ChallengeLimits(50)
    assert grants(limits, [f"192.0.2.{host}" for host in range(1, 5)] * 200, 0.0) == 800
    assert grants(limits, ["192.0.2.5"] * 1000, 0.0) == 0
    assert grants(limits, ["192.0.2.5"] * 1000, 1.0) == 200


def test_rate_below_one_lets_single_requests_in() -> None:
    limits = ChallengeLimits(0.1)
    assert [limits.take(IP, now) for now in (0.0, 1.0, 4.0, 10.0)] == [True, False, False, True]


def test_rate_zero_is_no_limit_and_remembers_nobody() -> None:
    limits = ChallengeLimits(0)
    assert grants(limits, [IP] * 10_000, 0.0) == 10_000
    assert not limits._narrow._full_at


def test_rate_can_be_replaced() -> None:
    limits = ChallengeLimits(1)
    assert grants(limits, [IP] * 10, 0.0) == 4
    limits.set_rate(0)
    assert grants(limits, [IP] * 1000, 0.0) == 1000
    limits.set_rate(50)
    assert grants(limits, [IP] * 1000, 10.0) == 200


def test_clients_not_seen_for_longest_are_forgotten() -> None:
    limits = ChallengeLimits(0.25, size=2)
    old, new, newest = "192.0.2.1", "198.51.100.1", "203.0.113.1"
    assert limits.take(old, 0.0)
    assert limits.take(new, 0.0)
    assert not limits.take(old, 0.0)  # refused, but seen
    assert limits.take(newest, 0.0)
    assert len(limits._narrow._full_at) == len(limits._wide._full_at) == 2
    assert not limits.take(old, 0.0)
    assert limits.take(new, 0.0), "it was forgotten, its bucket is full again"


hosts = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"])


@given(
    rate=st.floats(0.25, 20),
    history=st.lists(st.tuples(st.floats(0, 2), st.lists(hosts, max_size=40)), max_size=12),
)
def test_never_more_than_burst_and_rate(
    rate: float, history: list[tuple[float, list[str]]]
) -> None:
    limits, granted, now = ChallengeLimits(rate), Counter[str](), 0.0
    for pause, ips in history:
        now += pause
        granted.update(ip for ip in ips if limits.take(ip, now))
    most = rate * (BURST_S + now) + 0.5 + 1e-6
    assert all(count <= most for count in granted.values())
    assert granted.total() <= 4 * rate * (BURST_S + now) + 0.5 + 1e-6


# --- prefixes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same_client", "same_network"),
    [
        ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.11", False, True),
        ("192.0.2.1", "192.0.21.1", False, False),
        ("192.0.2.1", "::ffff:192.0.2.1", True, True),
        ("192.0.2.1", "::192.0.2.1", False, False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
        ("fe80::1%eth0", "fe80::2%eth1", True, True),
    ],
)
def test_prefixes(one: str, other: str, same_client: bool, same_network: bool) -> None:
    client, network = client_prefixes(one)
    other_client, other_network = client_prefixes(other)
    assert (client == other_client) is same_client
    assert (network == other_network) is same_network
