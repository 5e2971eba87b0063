"""The TURN server without its sockets: bytes and the time in, actions out (RFC 8656).

    receive(five_tuple, data)   what a client sent: a datagram, or a frame of a stream
    answer(number, …)           what a question of an earlier call came to
    unreachable(allocation, …)  ICMP's answer to what was relayed
    disconnected(five_tuple)    a stream ended
    expire()                    call it at `next_deadline()`

The requests of one five-tuple are handled strictly in order, also when one has
to wait for an answer; retransmissions of a waiting request are dropped, since
its answer will be theirs too. Nothing comes to wait behind a request whose
sender is not known yet.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.address import IPV4, IPV6, FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import ICMP, XOR_MAPPED_ADDRESS, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import (
    TRANSACTION_ID_BYTES,
    Message,
    MessageClass,
    Method,
    decode,
    encode,
    is_stun,
)
from tornado_webrtc.stun.value import Icmp
from tornado_webrtc.turn.action import (
    Action,
    AllocationDeleted,
    Ask,
    CloseRelay,
    OpenedRelay,
    Permit,
    Question,
    Refused,
    RemoveAllocation,
    Respond,
    Unpermit,
    Withdraw,
)
from tornado_webrtc.turn.allocate import allocate, close_unused
from tornado_webrtc.turn.allocation import Allocation, AllocationTable, Relay, Reservation
from tornado_webrtc.turn.authentication import Authenticator, reject_unknown_attributes
from tornado_webrtc.turn.deadline import (
    AllocationEnds,
    ChannelEnds,
    Deadlines,
    PermissionEnds,
    QuestionEnds,
    ReservationEnds,
)
from tornado_webrtc.turn.nonce import NonceSource
from tornado_webrtc.turn.pending import PendingTasks, Task
from tornado_webrtc.turn.permission import bind_channel, create_permission
from tornado_webrtc.turn.policy import PeerPolicy, Reason, Verdict
from tornado_webrtc.turn.quota import AllocationLimits, AllocationQuotas, ChallengeLimits
from tornado_webrtc.turn.refresh import refresh
from tornado_webrtc.turn.relaying import channel_data, send_indication
from tornado_webrtc.turn.request import RejectionError, Request, Steps
from tornado_webrtc.turn.settings import TurnSettings

__all__ = ["TurnServer"]

MAX_STRANGER_BYTES = 2048
"""What a client without an allocation has to say is never longer."""

MAX_WAITING_REQUESTS = 16
"""Requests of one five-tuple that wait behind one whose answer is still open."""


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
        accepting: Whether there may be new allocations; those that are there go on.
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
        self.accepting = True
        self._policy = policy
        self._challenges = challenges
        self._relay_ips = frozenset(relay_ips)
        self._random = random
        self._pending = PendingTasks(settings.max_lookups, settings.max_lookups_per_client)
        self._waiting: dict[FiveTuple, deque[Message]] = {}
        self._last_id = 0

    # --- what comes in ------------------------------------------------------

    def receive(self, five_tuple: FiveTuple, data: bytes, now: float, wall: float) -> list[Action]:
        """Handle what a client sent; nothing is raised for any input."""
        expired = self.expire(now)
        if not is_stun(data):
            return expired + channel_data(self, data)
        if len(data) > MAX_STRANGER_BYTES and self.allocations.get(five_tuple) is None:
            return expired + self.dropped("too-long")
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
        if number not in self._pending:
            unused = close_unused(answer) if isinstance(answer, OpenedRelay) else []
            return [*expired, *unused]
        task = self._take(number)
        task.request.now, task.request.wall = now, wall
        return expired + self._advance(task, partial(task.steps.send, answer))

    def unreachable(
        self, allocation: Allocation, peer: TransportAddress, error: Icmp
    ) -> list[Action]:
        """Tell a client that its datagram did not reach a peer (RFC 8656 section 11.5)."""
        if error.type not in _REPORTED_ICMP_TYPES[peer.family]:
            return []
        told = encode(
            Method.DATA,
            MessageClass.INDICATION,
            self._random(TRANSACTION_ID_BYTES),
            [(XOR_PEER_ADDRESS, peer), (ICMP, error)],
        )
        return [Respond(allocation.five_tuple, told)]

    def disconnected(self, five_tuple: FiveTuple, now: float) -> list[Action]:
        """A stream ended: its allocation goes with it (RFC 8656 section 3.1)."""
        self._waiting.pop(five_tuple, None)
        actions: list[Action] = []
        number = self._pending.number_of(five_tuple)
        if number is not None:
            self._take(number).steps.close()
            actions.append(Withdraw(number))
        allocation = self.allocations.get_live(five_tuple, now)
        return actions + (self.delete(allocation, "disconnected") if allocation else [])

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next, monotonic seconds."""
        return self.deadlines.next()

    def expire(self, now: float) -> list[Action]:
        """Forget everything whose time is over."""
        actions: list[Action] = []
        next_deadline = self.deadlines.next()
        if next_deadline is None or now < next_deadline:
            return actions
        for due in self.deadlines.due(now):
            match due:
                case ReservationEnds(token):
                    actions.append(self._drop_reservation(token))
                case QuestionEnds(number):
                    actions += self._give_up(number, now)
                case _:
                    actions += self._expire_of_allocation(due)
        return actions

    def _expire_of_allocation(
        self, due: AllocationEnds | PermissionEnds | ChannelEnds
    ) -> list[Action]:
        allocation = self.allocations.get(due.five_tuple)
        if allocation is None:
            return []
        if isinstance(due, AllocationEnds):
            return self.delete(allocation, "expired")
        if isinstance(due, ChannelEnds):
            allocation.unbind(due.number)
            return []
        del allocation.permissions[due.ip]
        return [Unpermit(allocation, due.ip)]

    # --- requests -----------------------------------------------------------

    def _request(
        self, five_tuple: FiveTuple, message: Message, now: float, wall: float
    ) -> list[Action]:
        if message.method == Method.BINDING:
            return self._binding(Request(message, five_tuple, now, wall))
        handler = _HANDLERS.get(message.method)
        if handler is None:
            return self.dropped("unknown-method")
        if (current := self._pending.of(five_tuple)) is not None:
            return self._wait(current, message)
        request = Request(message, five_tuple, now, wall)
        steps = handler(self, request)
        return self._advance(Task(request, steps), partial(next, steps))

    def _wait(self, current: Task, message: Message) -> list[Action]:
        five_tuple = current.request.five_tuple
        waiting = self._waiting.get(five_tuple, ())
        known = {each.transaction_id for each in (current.request.message, *waiting)}
        if message.transaction_id in known:
            return self.dropped("retransmission")
        if current.is_lookup or len(waiting) >= MAX_WAITING_REQUESTS:
            return self.dropped("too-many-waiting")
        self._waiting.setdefault(five_tuple, deque()).append(message)
        return []

    def _advance(self, task: Task, resume: Callable[[], Question]) -> list[Action]:
        """Run a request's steps as far as they go, then those that waited behind it."""
        request = task.request
        try:
            question = resume()
        except StopIteration:
            actions = request.actions
        except RejectionError as rejection:
            actions = self._rejected(request, rejection)
        except DecodeError:
            actions = self._rejected(request, RejectionError(400))
        else:
            number = self._pending.add(task)
            if number is None:
                refusal = RejectionError(500, cause="too many look-ups wait for an answer")
                return self._advance(task, partial(task.steps.throw, refusal))
            until = request.now + self.settings.question_timeout_s
            self.deadlines.set(QuestionEnds(number), until)
            actions, request.actions = request.actions, []
            return [*actions, Ask(number, question)]
        return [*actions, *self._next(request.five_tuple, request.now, request.wall)]

    def _take(self, number: int) -> Task:
        self.deadlines.cancel(QuestionEnds(number))
        return self._pending.pop(number)

    def _give_up(self, number: int, now: float) -> list[Action]:
        """Nobody answered a question: the request is answered with 500 (Server Error)."""
        task = self._pending.pop(number)
        task.request.wall += now - task.request.now
        task.request.now = now
        refusal = RejectionError(500, cause="a plugin did not answer in time")
        rejected = self._advance(task, partial(task.steps.throw, refusal))
        return [Withdraw(number), *rejected]

    def _next(self, five_tuple: FiveTuple, now: float, wall: float) -> list[Action]:
        waiting = self._waiting.get(five_tuple)
        if not waiting:
            self._waiting.pop(five_tuple, None)
            return []
        return self._request(five_tuple, waiting.popleft(), now, wall)

    def _rejected(self, request: Request, rejection: RejectionError) -> list[Action]:
        """Answer with an error; without a key only as often as the client's address may ask."""
        self.counters[f"error-{rejection.code}"] += 1
        actions = request.actions
        if rejection.cause:
            said = (request.five_tuple, request.username, rejection.code, rejection.cause)
            actions.append(Refused(*said))
        if request.key is None and rejection.rationed and not self._may_answer(request):
            return actions + self.dropped("challenge-limit")
        return [*actions, Respond(request.five_tuple, request.error(rejection))]

    def _binding(self, request: Request) -> list[Action]:
        """Tell a client its address as seen from here (RFC 8489 section 6.3.1)."""
        try:
            reject_unknown_attributes(request)
        except RejectionError as rejection:
            return self._rejected(request, rejection)
        if not self._may_answer(request):
            return self.dropped("challenge-limit")
        self.counters["binding"] += 1
        mapped = request.success([(XOR_MAPPED_ADDRESS, request.five_tuple.client)])
        return [Respond(request.five_tuple, mapped)]

    def _may_answer(self, request: Request) -> bool:
        """Ration answers to nobody in particular.

        Those over UDP may go to a forged address: they must keep neither that
        address's Bindings from its challenges nor its TCP clients from anything.
        """
        five_tuple = request.five_tuple
        if five_tuple.is_stream:
            kind = "stream"
        else:
            kind = "binding" if request.message.method == Method.BINDING else "challenge"
        return self._challenges.take(five_tuple.client.host, request.now, kind)

    # --- other rules --------------------------------------------------------

    def change(
        self,
        settings: TurnSettings,
        *,
        policy: PeerPolicy,
        limits: AllocationLimits,
        challenges_per_s: float,
    ) -> list[Action]:
        """Let other rules hold from now on; realm and families have to stay.

        Allocations above a lowered limit stay. Permissions for peers that may not be
        reached any more end at once, and with them what channels relay.
        """
        self.settings = settings
        self.quotas.limits = limits
        self._challenges.set_rate(challenges_per_s)
        self._policy = policy
        return [action for allocation in self.allocations for action in self._review(allocation)]

    def _review(self, allocation: Allocation) -> list[Action]:
        actions: list[Action] = []
        for ip, permission in tuple(allocation.permissions.items()):
            if not self.verdict(ip).allowed:
                del allocation.permissions[ip]
                self.deadlines.cancel(PermissionEnds(allocation.five_tuple, ip))
                actions.append(Unpermit(allocation, ip))
            elif permission.hairpin != self.is_hairpin(ip):
                permission.hairpin = not permission.hairpin
                actions.append(Permit(allocation, ip, permission.expires_at, permission.hairpin))
        return actions

    # --- for the handlers ---------------------------------------------------

    def lifetime(self, requested: int | None) -> int:
        """The life time to grant, in seconds (RFC 8656 section 7.2)."""
        default, maximum = self.settings.default_lifetime_s, self.settings.max_lifetime_s
        return min(max(default, requested or 0), maximum)

    def is_hairpin(self, ip: str) -> bool:
        """Whether only live relays may be reached at an address, since it is this relay's own."""
        return self.verdict(ip).reason is Reason.HAIRPIN

    def verdict(self, ip: str) -> Verdict:
        """Whether a peer's address may be relayed to: own relays by hairpin, others by policy."""
        return self._policy.verdict(ip, hairpin=ip in self._relay_ips)

    def next_id(self) -> int:
        """A number for an allocation, never used before."""
        self._last_id += 1
        return self._last_id

    def add(self, allocation: Allocation) -> None:
        """Take a new allocation in."""
        self.allocations.add(allocation)
        self.deadlines.set(AllocationEnds(allocation.five_tuple), allocation.expires_at)

    def extend(self, allocation: Allocation, expires_at: float) -> None:
        """Let an allocation live until a moment."""
        allocation.expires_at = expires_at
        self.deadlines.set(AllocationEnds(allocation.five_tuple), expires_at)

    def delete(self, allocation: Allocation, reason: str) -> list[Action]:
        """End an allocation with all that hangs on it; nothing is left to do for one that ended."""
        five_tuple = allocation.five_tuple
        if self.allocations.get(five_tuple) is not allocation:
            return []
        self.allocations.pop(five_tuple)
        self.deadlines.cancel(AllocationEnds(five_tuple))
        for ip in allocation.permissions:
            self.deadlines.cancel(PermissionEnds(five_tuple, ip))
        for number in allocation.channels:
            self.deadlines.cancel(ChannelEnds(five_tuple, number))
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
        self.deadlines.set(ReservationEnds(token), expires_at)
        return token

    def _drop_reservation(self, token: bytes) -> CloseRelay:
        reservation = self.reservations.pop(token)
        self.quotas.give_back(reservation.user, reservation.client_ip)
        return CloseRelay(reservation.relay)

    def dropped(self, reason: str) -> list[Action]:
        """Count something that gets no answer."""
        self.counters[f"dropped-{reason}"] += 1
        return []


_REPORTED_ICMP_TYPES = {
    IPV4: frozenset({3, 11}),  # Destination Unreachable, Time Exceeded
    IPV6: frozenset({1, 2, 3}),  # and Packet Too Big
}
"""Those that RFC 8656 section 11.5 passes on."""

_HANDLERS: dict[int, Callable[[TurnServer, Request], Steps]] = {
    Method.ALLOCATE: allocate,
    Method.REFRESH: refresh,
    Method.CREATE_PERMISSION: create_permission,
    Method.CHANNEL_BIND: bind_channel,
}
"""What each request does; Binding needs no steps and stands apart."""
