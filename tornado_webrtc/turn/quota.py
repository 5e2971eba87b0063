"""How much one user and one client may have: allocations at a time, challenges per second.

Allocations are counted by user and by client prefix, since anyone may ask an
open server for another user name. Answers to whom has not shown a credential
are rationed by prefix alone, since their source address may be forged.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address

__all__ = ["AllocationLimits", "AllocationQuotas", "ChallengeLimits", "Limit", "client_prefixes"]

BURST_S = 4
"""A bucket that was left alone grants the challenges of so many seconds at once."""

WIDE_FACTOR = 4
"""How many clients' worth of challenges the network around a client may have."""

MAX_PREFIXES = 65536

Key = tuple[str, str]
"""A kind of answers, and a prefix."""


class Limit(StrEnum):
    """What kept an allocation from being made, by the name of its setting."""

    ALL = "max_allocations"
    USER = "max_allocations_per_user"
    CLIENT = "max_allocations_per_ip"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationLimits:
    """Allocations at a time; 0 for no limit.

    Attributes:
        total: Of the whole server.
        per_user: Of one user.
        per_client: Of one IPv4 address or IPv6 /64.
    """

    total: int = 0
    per_user: int = 0
    per_client: int = 0


class AllocationQuotas:
    """Counts allocations.

    Args:
        limits: How many there may be.

    Attributes:
        limits: May be replaced; allocations above a lowered limit stay.
    """

    def __init__(self, limits: AllocationLimits) -> None:
        self.limits = limits
        self._total = 0
        self._users: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._total

    def take(self, user: str, client_ip: str) -> Limit | None:
        """Count one more allocation.

        Returns:
            None if it may be made; otherwise it was not counted, and this limit
            is reached.
        """
        client, _ = client_prefixes(client_ip)
        limits = self.limits
        if _is_reached(limits.per_user, self._users[user]):
            return Limit.USER
        if _is_reached(limits.per_client, self._clients[client]):
            return Limit.CLIENT
        if _is_reached(limits.total, self._total):
            return Limit.ALL
        self._total += 1
        self._users[user] += 1
        self._clients[client] += 1
        return None

    def give_back(self, user: str, client_ip: str) -> None:
        """Count one allocation less.

        Raises:
            ValueError: None was taken with that user, or from that client.
        """
        client, _ = client_prefixes(client_ip)
        if not (self._users[user] and self._clients[client]):
            raise ValueError(f"no allocation of {user!r} from {client_ip} was counted")
        self._total -= 1
        for counter, key in ((self._users, user), (self._clients, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


def _is_reached(limit: int, count: int) -> bool:
    return 0 < limit <= count


class ChallengeLimits:
    """Grants answers to clients that have not shown a credential.

    Each client has a bucket, and so has the network around it, with four times
    as much: an office behind one address gets in, a forged address is hit by
    little. A refusal takes from neither.

    Args:
        rate: Answers per second and client; 0 for no limit.
        size: Clients, and networks, that are remembered; those that were not
            seen for longest are forgotten.
    """

    def __init__(self, rate: float, size: int = MAX_PREFIXES) -> None:
        self._narrow = _Buckets(size)
        self._wide = _Buckets(size)
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Replace the rate; what was granted still counts."""
        self._narrow.set_rate(rate)
        self._wide.set_rate(rate * WIDE_FACTOR)

    def take(self, client_ip: str, now: float, kind: str = "") -> bool:
        """Tell whether a client may be answered now, and count it if so.

        Args:
            client_ip: Its address.
            now: Monotonic seconds.
            kind: Answers of each kind are counted apart.
        """
        narrow, wide = ((kind, prefix) for prefix in client_prefixes(client_ip))
        # Both are asked in any case, so that neither forgets who is being refused.
        if not all([self._narrow.has(narrow, now), self._wide.has(wide, now)]):
            return False
        self._narrow.take(narrow, now)
        self._wide.take(wide, now)
        return True


class _Buckets:
    """A token bucket per key, kept as the moment at which it is full again.

    Half a token is lent, so that rounding never refuses the last of a burst.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._full_at: OrderedDict[Key, float] = OrderedDict()
        self._interval_s = 0.0
        self._slack_s = 0.0

    def set_rate(self, rate: float) -> None:
        self._interval_s = 1 / rate if rate else 0.0
        self._slack_s = (max(1.0, rate * BURST_S) - 0.5) * self._interval_s

    def has(self, key: Key, now: float) -> bool:
        full_at = self._full_at.get(key)
        if full_at is None or not self._interval_s:
            return True
        self._full_at.move_to_end(key)
        return full_at - now <= self._slack_s

    def take(self, key: Key, now: float) -> None:
        if not self._interval_s:
            return
        self._full_at[key] = max(self._full_at.get(key, now), now) + self._interval_s
        if len(self._full_at) > self._size:
            self._full_at.popitem(last=False)


def client_prefixes(ip: str) -> tuple[str, str]:
    """What counts as one client, and as the network around it.

    Args:
        ip: A client's address, in canonical form.

    Returns:
        An IPv4 address and its /24, or the /64 and the /48 of an IPv6 address;
        good as keys only. An IPv4-mapped address counts as IPv4.
    """
    if ":" not in ip:
        return ip, ip.rpartition(".")[0]
    address = IPv6Address(ip)
    if address.ipv4_mapped is not None:
        return client_prefixes(str(address.ipv4_mapped))
    value = int(address)
    return f"{value >> 64:x}::/64", f"{value >> 80:x}::/48"
