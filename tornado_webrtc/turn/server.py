"""The TURN server without its sockets: bytes and the time in, actions out (RFC 8656).

    receive(five_tuple, data)   what a client sent: a datagram, or a frame of a stream
    answer(number, …)           what a question of an earlier call came to
    disconnected(five_tuple)    a stream ended
    expire()                    call it at `next_deadline()`

The requests of one five-tuple are handled strictly in order, also when one has
to wait for an answer; retransmissions of a waiting request are dropped, since
its answer will be theirs too.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.stun.attribute import XOR_MAPPED_ADDRESS
from tornado_webrtc.stun.message import Message, MessageClass, Method, decode, is_stun
from tornado_webrtc.turn.action import (
    Action,
    AllocationDeleted,
    Answer,
    Ask,
    CloseRelay,
    OpenedRelay,
    RemoveAllocation,
    Unpermit,
)
from tornado_webrtc.turn.allocate import allocate, close_unused
from tornado_webrtc.turn.allocation import Allocation, AllocationTable, Relay, Reservation
from tornado_webrtc.turn.authentication import Authenticator, reject_unknown_attributes
from tornado_webrtc.turn.deadline import Deadlines
from tornado_webrtc.turn.nonce import NonceSource
from tornado_webrtc.turn.permission import bind_channel, create_permission
from tornado_webrtc.turn.policy import PeerPolicy, Reason, Verdict
from tornado_webrtc.turn.quota import AllocationQuotas, ChallengeLimits
from tornado_webrtc.turn.refresh import refresh
from tornado_webrtc.turn.relaying import channel_data, send_indication
from tornado_webrtc.turn.request import RejectionError, Request, Steps
from tornado_webrtc.turn.settings import TurnSettings

__all__ = ["TurnServer"]

MAX_WAITING_REQUESTS = 16
"""Requests of one five-tuple that wait behind one whose answer is still open."""


@dataclass(slots=True, eq=False)
class _Task:
    """A request whose steps wait for an answer."""

    request: Request
    steps: Steps


class TurnServer:
    """State of one TURN server: allocations, reservations, open questions.

    Args:
        settings: Limits and life times.
        nonces: Makes and checks nonces.
        policy: Which peers may be reached.
        quotas: How many allocations a user and an address may have.
        challenges: How many unauthenticated answers an address may get.
        relay_ips: The addresses of this relay itself, local and advertised.
        random: Returns so many unpredictable bytes.

    Attributes:
        counters: How often what happened, by name.
    """

    def __init__(
        self,
        settings: TurnSettings,
        *,
        nonces: NonceSource,
        policy: PeerPolicy,
        quotas: AllocationQuotas,
        challenges: ChallengeLimits,
        relay_ips: Collection[str],
        random: Callable[[int], bytes],
    ) -> None:
        self.settings = settings
        self.allocations = AllocationTable()
        self.reservations: dict[bytes, Reservation] = {}
        self.quotas = quotas
        self.deadlines = Deadlines()
        self.authenticator = Authenticator(settings.realm, nonces)
        self.counters: Counter[str] = Counter()
        self._policy = policy
        self._challenges = challenges
        self._relay_ips = frozenset(relay_ips)
        self._random = random
        self._tasks: dict[int, _Task] = {}
        self._waiting: dict[FiveTuple, deque[Message]] = {}
        self._task_of: dict[FiveTuple, int] = {}
        self._last_number = 0
        self._last_id = 0

    # --- what comes in ------------------------------------------------------

    def receive(self, five_tuple: FiveTuple, data: bytes, now: float, wall: float) -> list[Action]:
        """Handle what a client sent; nothing is raised for any input."""
        expired = self.expire(now)
        if not is_stun(data):
            return expired + channel_data(self, five_tuple, data, now)
        try:
            message = decode(data)
        except DecodeError:
            return expired + self.dropped("malformed")
        if message.message_class is MessageClass.REQUEST:
            return expired + self._request(five_tuple, message, now, wall)
        if message.message_class is MessageClass.INDICATION and message.method == Method.SEND:
            return expired + send_indication(self, five_tuple, message, now)
        return expired + self.dropped("unexpected")

    def answer(self, number: int, answer: Any, now: float, wall: float) -> list[Action]:
        """Go on with a request whose question was answered."""
        expired = self.expire(now)
        task = self._tasks.pop(number, None)
        if task is None:
            unused = close_unused(answer) if isinstance(answer, OpenedRelay) else []
            return [*expired, *unused]
        task.request.now, task.request.wall = now, wall
        return expired + self._advance(task, answer)

    def disconnected(self, five_tuple: FiveTuple, now: float) -> list[Action]:
        """A stream ended: its allocation goes with it (RFC 8656 section 3.1)."""
        self._waiting.pop(five_tuple, None)
        number = self._task_of.pop(five_tuple, None)
        if number is not None:
            self._tasks.pop(number).steps.close()
        allocation = self.allocations.get(five_tuple, now)
        return self.delete(allocation, "disconnected") if allocation is not None else []

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next, monotonic seconds."""
        return self.deadlines.next()

    def expire(self, now: float) -> list[Action]:
        """Forget everything whose time is over."""
        actions: list[Action] = []
        next_deadline = self.deadlines.next()
        if next_deadline is None or now < next_deadline:
            return actions
        for kind, *rest in self.deadlines.due(now):
            if kind == "reservation":
                actions.append(self._drop_reservation(rest[0]))
            else:
                actions += self._expire_of_allocation(kind, *rest)
        return actions

    def _expire_of_allocation(
        self, kind: str, five_tuple: FiveTuple, detail: Any = None
    ) -> list[Action]:
        allocation = self.allocations.find(five_tuple)
        if allocation is None:
            return []
        if kind == "allocation":
            return self.delete(allocation, "expired")
        if kind == "channel":
            allocation.unbind(detail)
            return []
        allocation.permissions.pop(detail, None)
        return [Unpermit(allocation, detail)]

    # --- requests -----------------------------------------------------------

    def _request(
        self, five_tuple: FiveTuple, message: Message, now: float, wall: float
    ) -> list[Action]:
        if message.method == Method.BINDING:
            return self._binding(Request(message, five_tuple, now, wall))
        handler = _HANDLERS.get(message.method)
        if handler is None:
            return self.dropped("unknown-method")
        if five_tuple in self._task_of:
            return self._wait(five_tuple, message)
        request = Request(message, five_tuple, now, wall)
        return self._advance(_Task(request, handler(self, request)), None)

    def _wait(self, five_tuple: FiveTuple, message: Message) -> list[Action]:
        current = self._tasks[self._task_of[five_tuple]].request.message
        waiting = self._waiting.setdefault(five_tuple, deque())
        known = {each.transaction_id for each in (current, *waiting)}
        if message.transaction_id in known:
            return self.dropped("retransmission")
        if len(waiting) >= MAX_WAITING_REQUESTS:
            return self.dropped("too-many-waiting")
        waiting.append(message)
        return []

    def _advance(self, task: _Task, answer: Any) -> list[Action]:
        """Run a request's steps as far as they go, then those that waited behind it."""
        request = task.request
        five_tuple = request.five_tuple
        self._task_of.pop(five_tuple, None)
        try:
            question = task.steps.send(answer)
        except StopIteration:
            actions = request.actions
        except RejectionError as rejection:
            actions = self._rejected(request, rejection)
        except DecodeError:
            actions = self._rejected(request, RejectionError(400))
        else:
            self._last_number += 1
            self._tasks[self._last_number] = task
            self._task_of[five_tuple] = self._last_number
            actions, request.actions = request.actions, []
            return [*actions, Ask(self._last_number, question)]
        return [*actions, *self._next(five_tuple, request.now, request.wall)]

    def _next(self, five_tuple: FiveTuple, now: float, wall: float) -> list[Action]:
        waiting = self._waiting.get(five_tuple)
        if not waiting:
            self._waiting.pop(five_tuple, None)
            return []
        return self._request(five_tuple, waiting.popleft(), now, wall)

    def _rejected(self, request: Request, rejection: RejectionError) -> list[Action]:
        """Answer with an error; without a key only as often as the client's address may ask."""
        self.counters[f"error-{rejection.code}"] += 1
        client = request.five_tuple.client.host
        if request.key is None and not self._challenges.take(client, request.now):
            return self.dropped("challenge-limit")
        return [*request.actions, Answer(request.five_tuple, request.error(rejection))]

    def _binding(self, request: Request) -> list[Action]:
        """Tell a client its address as seen from here (RFC 8489 section 6.3.1)."""
        try:
            reject_unknown_attributes(request)
        except RejectionError as rejection:
            return self._rejected(request, rejection)
        if not self._challenges.take(request.five_tuple.client.host, request.now):
            return self.dropped("challenge-limit")
        self.counters["binding"] += 1
        mapped = request.success([(XOR_MAPPED_ADDRESS, request.five_tuple.client)])
        return [Answer(request.five_tuple, mapped)]

    # --- for the handlers ---------------------------------------------------

    def lifetime(self, requested: int | None) -> int:
        """The life time to grant, in seconds (RFC 8656 section 7.2)."""
        default, maximum = self.settings.default_lifetime_s, self.settings.max_lifetime_s
        return min(max(default, requested or 0), maximum)

    def may_reach(self, ip: str) -> bool:
        """Whether a peer's address may be relayed to: own relays by hairpin, others by policy."""
        return self._verdict(ip).allowed

    def is_hairpin(self, ip: str) -> bool:
        """Whether only live relays may be reached at an address, since it is this relay's own."""
        return self._verdict(ip).reason is Reason.HAIRPIN

    def _verdict(self, ip: str) -> Verdict:
        return self._policy.verdict(ip, hairpin=ip in self._relay_ips)

    def next_id(self) -> int:
        """A number for an allocation, never used before."""
        self._last_id += 1
        return self._last_id

    def add(self, allocation: Allocation) -> None:
        """Take a new allocation in."""
        self.allocations.add(allocation)
        self.deadlines.set(("allocation", allocation.five_tuple), allocation.expires_at)

    def extend(self, allocation: Allocation, expires_at: float) -> None:
        """Let an allocation live until a moment."""
        allocation.expires_at = expires_at
        self.deadlines.set(("allocation", allocation.five_tuple), expires_at)

    def delete(self, allocation: Allocation, reason: str) -> list[Action]:
        """End an allocation with all that hangs on it."""
        five_tuple = allocation.five_tuple
        self.allocations.pop(five_tuple)
        self.deadlines.cancel(("allocation", five_tuple))
        for ip in allocation.permissions:
            self.deadlines.cancel(("permission", five_tuple, ip))
        for number in allocation.channels:
            self.deadlines.cancel(("channel", five_tuple, number))
        self.quotas.give_back(allocation.user, five_tuple.client.host)
        return [RemoveAllocation(allocation), AllocationDeleted(allocation, reason)]

    def reserve(self, relay: Relay, request: Request) -> bytes:
        """Keep a relay for a later Allocate request; returns its RESERVATION-TOKEN."""
        token = self._random(8)
        expires_at = request.now + self.settings.reservation_lifetime_s
        client_ip = request.five_tuple.client.host
        self.reservations[token] = Reservation(
            relay, request.username, request.user, client_ip, expires_at
        )
        self.deadlines.set(("reservation", token), expires_at)
        return token

    def _drop_reservation(self, token: bytes) -> CloseRelay:
        reservation = self.reservations.pop(token)
        self.quotas.give_back(reservation.user, reservation.client_ip)
        return CloseRelay(reservation.relay)

    def dropped(self, reason: str) -> list[Action]:
        """Count something that gets no answer."""
        self.counters[f"dropped-{reason}"] += 1
        return []


_HANDLERS: dict[int, Callable[[TurnServer, Request], Steps]] = {
    Method.ALLOCATE: allocate,
    Method.REFRESH: refresh,
    Method.CREATE_PERMISSION: create_permission,
    Method.CHANNEL_BIND: bind_channel,
}
"""What each request does; Binding needs no steps and stands apart."""
