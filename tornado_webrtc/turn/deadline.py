"""One deadline for everything that expires: allocations, permissions, channels, reservations.

A heap knows what is due next. What was changed or cancelled stays in it and is
skipped when its turn comes; when such entries outnumber the live ones the heap
is made anew, so that a change costs little and memory stays in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tornado_webrtc.stun.address import FiveTuple

__all__ = [
    "AllocationEnds",
    "ChannelEnds",
    "Deadlines",
    "Due",
    "PermissionEnds",
    "QuestionEnds",
    "ReservationEnds",
]

MIN_GARBAGE = 64


@dataclass(frozen=True, slots=True)
class AllocationEnds:
    """An allocation was not refreshed."""

    five_tuple: FiveTuple


@dataclass(frozen=True, slots=True)
class PermissionEnds:
    """An allocation's permission was not refreshed."""

    five_tuple: FiveTuple
    ip: str


@dataclass(frozen=True, slots=True)
class ChannelEnds:
    """An allocation's channel binding was not refreshed."""

    five_tuple: FiveTuple
    number: int


@dataclass(frozen=True, slots=True)
class ReservationEnds:
    """A reserved port was not asked for."""

    token: bytes


@dataclass(frozen=True, slots=True)
class QuestionEnds:
    """A question was not answered."""

    number: int


Due: TypeAlias = AllocationEnds | PermissionEnds | ChannelEnds | ReservationEnds | QuestionEnds
"""What has a deadline."""


class Deadlines:
    """When what expires, in monotonic seconds."""

    def __init__(self) -> None:
        # A serial number keeps keys from being compared, and equal times in order.
        self._heap: list[tuple[float, int, Due]] = []
        self._serials: dict[Due, int] = {}
        self._last_serial = 0

    def __len__(self) -> int:
        return len(self._serials)

    def set(self, key: Due, at: float) -> None:
        """Let a key be due at a moment; an earlier setting of it no longer counts."""
        self._last_serial += 1
        self._serials[key] = self._last_serial
        heappush(self._heap, (at, self._last_serial, key))
        self._tidy()

    def cancel(self, key: Due) -> None:
        """Let a key never be due; nothing happens if it was not set."""
        if self._serials.pop(key, None) is not None:
            self._tidy()

    def next(self) -> float | None:
        """The moment at which the next key is due; None if there is none."""
        while self._heap and not self._is_live(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Due]:
        """Take out the keys whose moment has come, the earliest first."""
        keys: list[Due] = []
        while (at := self.next()) is not None and at <= now:
            _, _, key = heappop(self._heap)
            del self._serials[key]
            keys.append(key)
        return keys

    def _is_live(self, entry: tuple[float, int, Due]) -> bool:
        return self._serials.get(entry[2]) == entry[1]

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._serials) + MIN_GARBAGE:
            self._heap = [entry for entry in self._heap if self._is_live(entry)]
            heapify(self._heap)
