"""Requests whose steps wait for an answer: at most one for each five-tuple.

A look-up of a credential can be asked for by anybody who was sent a nonce, so
those are limited, for all clients together and for each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.turn.quota import client_prefixes
from tornado_webrtc.turn.request import Request, Steps

__all__ = ["PendingTasks", "Task"]


@dataclass(slots=True, eq=False)
class Task:
    """A request and how it goes on."""

    request: Request
    steps: Steps

    @property
    def is_lookup(self) -> bool:
        """Whether it is not known yet who sent it."""
        return self.request.key is None


class PendingTasks:
    """Tasks by the numbers of their questions.

    Args:
        max_lookups: How many may wait to be authenticated; 0 for no limit.
        max_lookups_per_client: The same of one IPv4 address or IPv6 /64.
    """

    def __init__(self, max_lookups: int, max_lookups_per_client: int) -> None:
        self._max_lookups = max_lookups
        self._max_per_client = max_lookups_per_client
        self._tasks: dict[int, Task] = {}
        self._numbers: dict[FiveTuple, int] = {}
        self._lookups: Counter[str] = Counter()
        self._total_lookups = 0
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task) -> int | None:
        """Give a task's question a number, never used before; None if too many wait."""
        if task.is_lookup:
            client = _client(task)
            if 0 < self._max_per_client <= self._lookups[client]:
                return None
            if 0 < self._max_lookups <= self._total_lookups:
                return None
            self._lookups[client] += 1
            self._total_lookups += 1
        self._last_number += 1
        self._tasks[self._last_number] = task
        self._numbers[task.request.five_tuple] = self._last_number
        return self._last_number

    def __contains__(self, number: int) -> bool:
        return number in self._tasks

    def pop(self, number: int) -> Task:
        """Take the task out whose question has this number; raises `KeyError`."""
        task = self._tasks.pop(number)
        del self._numbers[task.request.five_tuple]
        if task.is_lookup:
            client = _client(task)
            self._total_lookups -= 1
            self._lookups[client] -= 1
            if not self._lookups[client]:
                del self._lookups[client]
        return task

    def number_of(self, five_tuple: FiveTuple) -> int | None:
        """The number of a client's open question."""
        return self._numbers.get(five_tuple)

    def of(self, five_tuple: FiveTuple) -> Task | None:
        """A client's task that waits."""
        number = self._numbers.get(five_tuple)
        return None if number is None else self._tasks[number]


def _client(task: Task) -> str:
    return client_prefixes(task.request.five_tuple.client.host)[0]
