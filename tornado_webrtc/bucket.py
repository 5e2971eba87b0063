"""Token buckets: how much of something may happen per second, with some slack."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

__all__ = ["BucketTable", "TokenBucket", "client_prefix"]


class TokenBucket:
    """Grants `rate` tokens a second and up to `burst` at once.

    Args:
        rate: Tokens per second, above 0.
        burst: Tokens that a full bucket holds, at least 1.
        now: Monotonic seconds; the bucket begins full.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token.

        Returns:
            0.0 if one was there and was taken; otherwise nothing was taken,
            and the seconds until one will be there.
        """
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self.rate


class BucketTable:
    """A bucket per key, the least recently used forgotten when there are too many.

    Args:
        rate: Tokens per second and key; 0 for no limit.
        burst: Tokens that a full bucket holds.
        size: Keys that are remembered.
    """

    def __init__(self, rate: float, burst: float, size: int = 65536) -> None:
        self._rate = rate
        self._burst = burst
        self._size = size
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Take a token from the key's bucket; returns as `TokenBucket.take` does."""
        if not self._rate:
            return 0.0
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > self._size:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)


def client_prefix(ip: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    if address.version == 4:  # noqa: PLR2004
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
