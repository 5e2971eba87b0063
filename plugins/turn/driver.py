"""Carries out what the protocol asks for: on the relay table, on streams, through hooks.

Everything here happens per request of a client, nothing per relayed datagram of
a channel: that stays inside the table.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tornado_webrtc.hooks import (
    AllocationRequest,
    CredentialRequest,
    Denied,
    RelayRequest,
    SocketAddress,
    TurnAllocation,
    TurnTraffic,
)
from tornado_webrtc.relay import Bucket, Counters, SinkClient, Slot, UdpClient
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.integrity import long_term_key
from tornado_webrtc.stun.value import Icmp
from tornado_webrtc.turn import action as do
from tornado_webrtc.turn.allocation import Allocation
from tornado_webrtc.turn.server import TurnServer

from .credential import CredentialSource, peer_id_of
from .port import RelayPorts
from .public_address import Choice
from .refusal import RefusalLog

if TYPE_CHECKING:
    from tornado_webrtc.config import Turn
    from tornado_webrtc.relay import RelaySocket, RelayTable
    from tornado_webrtc.server import Server

    from .stream import Client

__all__ = ["Driver"]

BURST_S = 1.0

RESPONSE_BIT = 1
"""In the first byte of a message, success or error (RFC 8489 section 5)."""

_HOOKS: dict[type[do.Question], str] = {
    do.FindCredential: "turn_credential",
    do.MayAllocate: "permit_allocation",
    do.MayRelayTo: "permit_relay",
}
"""Whom to ask, if a plugin answers such questions."""


class Driver:
    """Joins one TURN server with one relay table.

    Args:
        turn: The protocol.
        table: The data plane.
        choice: Which addresses relays are bound to and clients are told.
        credentials: Whose passwords are known without asking plugins.
        server: For its configuration, clock and hooks.
        log: The plugin's logger.
    """

    def __init__(
        self,
        turn: TurnServer,
        table: RelayTable,
        choice: Choice,
        credentials: CredentialSource,
        server: Server,
        log: logging.Logger,
    ) -> None:
        self.turn = turn
        self.table = table
        self._credentials = credentials
        self._settings = server.config.turn
        self._clock = server.clock
        self._hooks = server.hooks
        self._bans = server.bans
        self._log = log
        self._refusals = RefusalLog(log, server.clock.now)
        ports = self._settings.relay_ports
        self._ports = RelayPorts(ports, choice, self._refusals, log, server.clock.now)
        self._slots: dict[int, Slot] = {}
        self._allocations: dict[Slot, Allocation] = {}
        self._traffic: dict[int, TurnTraffic] = {}
        self._ended = Counters()
        self._streams: dict[FiveTuple, Client] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._todo: deque[do.Action] = deque()
        self._is_performing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = False
        self._server_bucket = _buckets(self._settings.server_bytes_per_s)
        table.on_punt = self.receive
        table.on_icmp = self._unreachable

    # --- life ---------------------------------------------------------------

    def listen(self, addresses: Sequence[str], port: int) -> list[TransportAddress]:
        """Take clients over UDP; raises `ListenError`."""
        return self.table.listen(addresses, port)

    def start(self) -> None:
        """Begin to relay."""
        self.table.start()

    def stop(self) -> None:
        """Close every allocation and socket; what comes in later is ignored."""
        if self._stopped:
            return
        for number in tuple(self._tasks):
            self._withdraw(number)
        for allocation in self.turn.allocations:
            self._perform(self.turn.delete(allocation, "server stopped"))
        for reservation in self.turn.reservations.values():
            _socket(reservation.relay).close()
        self.turn.reservations.clear()
        self._stopped = True
        self._schedule()
        self.table.stop()

    def change(
        self, settings: Turn, credentials: CredentialSource, actions: Iterable[do.Action]
    ) -> None:
        """Let other settings hold from now on.

        Args:
            settings: The `[turn]` section.
            credentials: Whose passwords are known.
            actions: What comes of them for the allocations that are there.
        """
        old, self._settings = self._settings, settings
        self._credentials = credentials
        if settings.server_bytes_per_s != old.server_bytes_per_s:
            self._server_bucket = _buckets(settings.server_bytes_per_s)
        if _rates(settings) != _rates(old):
            for slot in self._allocations:
                own = _buckets(settings.allocation_bytes_per_s)
                self.table.set_buckets(slot, own + self._server_bucket)
        self._perform(actions)

    def end(self, allocation: Allocation, reason: str) -> None:
        """Delete an allocation; its client learns of it with its next request (437)."""
        self._perform(self.turn.delete(allocation, reason))

    def find(self, allocation_id: int) -> Allocation | None:
        """The allocation of a number."""
        slot = self._slots.get(allocation_id)
        return None if slot is None else self._allocations[slot]

    def relayed(self, allocation: Allocation) -> Counters:
        """What was relayed for an allocation until now."""
        return self.table.counters(self._slots[allocation.id])

    def counters(self) -> dict[str, int]:
        """How often what happened since the start, allocations that ended included.

        Beside the protocol's own names (`error-401`, `dropped-no-permission`) there are
        those of the data plane, all allocations together, as `relay-bytes-to-peer`
        or `relay-dropped-quota`. They are added up whenever somebody looks: nothing is
        counted twice for a datagram.
        """
        relayed = _sum(self._ended, *map(self.table.counters, self._slots.values()))
        named = {f"relay-{key.replace('_', '-')}": n for key, n in relayed._asdict().items()}
        return {**self.turn.counters, **named}

    def gauges(self) -> dict[str, int]:
        """Relay ports that there are and that are taken; each address family has its own."""
        reservations = self.turn.reservations.values()
        relays = [each.relay for each in (*self.turn.allocations, *reservations)]
        return self._ports.gauges(_socket(relay).family for relay in relays)

    # --- what comes in ------------------------------------------------------

    def receive(self, five_tuple: FiveTuple, data: bytes) -> None:
        """Handle what a client sent and the table does not relay by itself."""
        if self._stopped or (five_tuple.is_stream and five_tuple not in self._streams):
            return
        now, wall = self._clock.now(), self._clock.wall()
        self._perform(self.turn.receive(five_tuple, data, now, wall))

    def connected(self, five_tuple: FiveTuple, stream: Client) -> None:
        """A stream began; one with the same ends is over, even if nobody has noticed yet."""
        if predecessor := self._streams.get(five_tuple):
            predecessor.close()
        self._streams[five_tuple] = stream

    def disconnected(self, five_tuple: FiveTuple, stream: Client) -> None:
        """A stream ended."""
        if self._streams.get(five_tuple) is not stream:
            return
        del self._streams[five_tuple]
        now = self._clock.now()
        self._perform([*self.turn.expire(now), *self.turn.disconnected(five_tuple, now)])

    def has_allocation(self, five_tuple: FiveTuple) -> bool:
        """Whether a client has an allocation."""
        return self.turn.allocations.get_live(five_tuple, self._clock.now()) is not None

    # --- actions ------------------------------------------------------------

    def _perform(self, actions: Iterable[do.Action]) -> None:
        """Carry actions out, and those that they bring about: all in order, one at a time.

        A plugin that is told of something may end an allocation at once, about which
        there is more to do: its end comes after that.
        """
        self._todo += actions
        if self._is_performing:
            return
        self._is_performing = True
        try:
            while self._todo:
                self._carry_out(self._todo.popleft())
        finally:
            self._is_performing = False
        self._schedule()

    def _carry_out(self, action: do.Action) -> None:
        if isinstance(action, do.Ask):
            self._todo += self._ask(action)
        elif isinstance(action, do.Respond):
            self._respond(action.five_tuple, action.data)
        elif isinstance(action, do.Withdraw):
            self._withdraw(action.number)
        elif not self._on_table(action):
            self._tell(action)

    def _respond(self, five_tuple: FiveTuple, data: bytes) -> None:
        if not five_tuple.is_stream:
            self.table.send_to_client(five_tuple, data)
        elif stream := self._streams.get(five_tuple):
            if data[0] & RESPONSE_BIT:
                stream.answer(data)
            else:
                stream.write(data)

    def _on_table(self, action: do.Action) -> bool:
        """Do what the relay table has to do; False if it is not for the table."""
        match action:
            case do.AddAllocation(allocation):
                self._add(allocation)
            case do.RemoveAllocation(allocation):
                slot = self._slots.pop(allocation.id)
                del self._allocations[slot]
                counters = self.table.remove(slot)
                self._ports.freed()
                self._traffic[allocation.id] = _traffic(counters)
                self._ended = _sum(self._ended, counters)
                if stream := self._streams.get(allocation.five_tuple):
                    stream.allocation_ended()
            case do.SetExpiry(allocation):
                self.table.set_expiry(self._slots[allocation.id], allocation.expires_at)
            case do.Permit(allocation, ip, expires_at, hairpin):
                self.table.permit(self._slots[allocation.id], ip, expires_at, hairpin)
            case do.Unpermit(allocation, ip):
                self.table.unpermit(self._slots[allocation.id], ip)
            case do.BindChannel(allocation, number, peer, expires_at):
                self.table.bind_channel(self._slots[allocation.id], number, peer, expires_at)
            case do.RelayData(allocation, peer, data, dont_fragment):
                self.table.send(self._slots[allocation.id], peer, data, dont_fragment)
            case do.CloseRelay(relay):
                _socket(relay).close()
                self._ports.freed()
            case _:
                return False
        return True

    def _add(self, allocation: Allocation) -> None:
        five_tuple = allocation.five_tuple
        client: UdpClient | SinkClient = UdpClient(five_tuple)
        if five_tuple.is_stream:
            stream = self._streams[five_tuple]
            client = SinkClient(five_tuple, stream.write)
            stream.allocation_began()
        own = _buckets(self._settings.allocation_bytes_per_s)
        slot = self.table.add(
            client, (_socket(allocation.relay),), allocation.expires_at, own + self._server_bucket
        )
        self._slots[allocation.id] = slot
        self._allocations[slot] = allocation

    def _unreachable(
        self, slot: Slot, peer: TransportAddress, icmp_type: int, code: int, data: bytes
    ) -> None:
        error = Icmp(icmp_type, code, int.from_bytes(data))
        self._perform(self.turn.unreachable(self._allocations[slot], peer, error))

    def _tell(self, action: do.Action) -> None:
        """Tell plugins what happened."""
        match action:
            case do.AllocationCreated(allocation):
                self._notify("allocation_created", allocation)
            case do.AllocationRefreshed(allocation):
                self._notify("allocation_refreshed", allocation)
            case do.AllocationDeleted(allocation, reason):
                traffic = self._traffic.pop(allocation.id)
                self._notify("allocation_deleted", allocation, traffic=traffic, reason=reason)
            case do.PermissionCreated(allocation, ip):
                self._notify("permission_created", allocation, peer_ip=ip)
            case do.ChannelBound(allocation, number, peer):
                address = SocketAddress(*peer)
                self._notify("channel_bound", allocation, number=number, peer=address)
            case do.Refused():
                client = str(action.five_tuple.client)
                self._refusals.tell(f"{action.cause} ({action.code})", client, action.username)

    def _notify(self, hook: str, allocation: Allocation, **arguments: Any) -> None:
        if self._hooks.implemented(hook):
            self._hooks.notify(hook, allocation=_shown(allocation), **arguments)

    # --- questions ----------------------------------------------------------

    def _ask(self, ask: do.Ask) -> list[do.Action]:
        """Answer a question: at once if nobody else has to be asked, else in a task."""
        hook = _HOOKS.get(type(ask.question))
        if hook is None or not self._hooks.implemented(hook):
            return self._answer(ask.number, self._answer_to(ask.question))
        self._later(ask.number, self._answer_of_plugins(ask.question))
        return []

    def _answer_to(self, question: do.Question) -> Any:
        match question:
            case do.OpenRelay():
                return self._ports.open(question)
            case do.FindCredential(username):
                return self._find(username)
            case do.MayAllocate():
                return not self._is_banned(question)
            case _:
                return True

    async def _answer_of_plugins(self, question: do.Question) -> Any:
        match question:
            case do.FindCredential(username, five_tuple):
                return await self._look_up(username, five_tuple)
            case do.MayAllocate(username, user, five_tuple):
                request = AllocationRequest(
                    username, user, five_tuple.client.host, five_tuple.transport
                )
                denied = await self._hooks.permit("permit_allocation", request=request)
                permitted = self._is_permitted(denied, "an allocation", five_tuple, username)
                return permitted and not self._is_banned(question)
            case do.MayRelayTo(allocation, peer):
                about = RelayRequest(_shown(allocation), SocketAddress(*peer))
                denied = await self._hooks.permit("permit_relay", request=about)
                return self._is_permitted(
                    denied, "a peer", allocation.five_tuple, allocation.username
                )

    def _is_banned(self, question: do.MayAllocate) -> bool:
        client, peer_id = question.five_tuple.client, peer_id_of(question.username)
        banned = self._bans.find(ip=client.host, peer=peer_id, user=question.user) is not None
        if banned:
            self._refusals.tell("it is banned (403)", str(client), question.username)
        return banned

    def _is_permitted(
        self, denied: Denied | None, what: str, five_tuple: FiveTuple, username: str
    ) -> bool:
        if denied is None:
            return True
        cause = f"a plugin denied {what} (403): "
        self._refusals.tell(cause, str(five_tuple.client), username, denied.reason)
        return False

    def _find(self, username: str) -> do.FoundCredential | None:
        found = self._credentials.find(username)
        if not found:
            return None
        realm = self._settings.realm
        keys = tuple(long_term_key(username, realm, each.password) for each in found)
        return do.FoundCredential(keys, found[0].user, found[0].expires_at)

    async def _look_up(self, username: str, five_tuple: FiveTuple) -> do.FoundCredential | None:
        realm = self._settings.realm
        request = CredentialRequest(username, realm, five_tuple.client.host, five_tuple.transport)
        found = await self._hooks.lookup("turn_credential", request=request)
        if found is None:
            return self._find(username)
        key = long_term_key(username, realm, found.password)
        return do.FoundCredential((key,), found.user, found.expires_at)

    def _answer(self, number: int, answer: Any) -> list[do.Action]:
        now, wall = self._clock.now(), self._clock.wall()
        return self.turn.answer(number, answer, now, wall)

    def _later(self, number: int, answer: Awaitable[Any]) -> None:
        self._tasks[number] = asyncio.ensure_future(self._answer_later(number, answer))

    def _withdraw(self, number: int) -> None:
        if task := self._tasks.pop(number, None):
            task.cancel()

    async def _answer_later(self, number: int, answer: Awaitable[Any]) -> None:
        try:
            found = await answer
        except Exception:
            # Without any answer the client's later requests would wait for ever.
            self._log.exception("a question about a TURN client could not be answered")
            found = None
        self._tasks.pop(number, None)
        self._perform(self._answer(number, found))

    # --- time ---------------------------------------------------------------

    def _schedule(self) -> None:
        """Keep one timer for the next deadline."""
        deadline = None if self._stopped else self.turn.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            delay = max(0.0, deadline - self._clock.now())
            self._timer_at = deadline
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._perform(self.turn.expire(self._clock.now()))


def _rates(settings: Turn) -> tuple[int, int]:
    return settings.server_bytes_per_s, settings.allocation_bytes_per_s


def _buckets(rate: int) -> tuple[Bucket, ...]:
    """A limit of bytes per second; none for 0."""
    return (Bucket(rate, rate * BURST_S),) if rate else ()


def _socket(relay: Any) -> RelaySocket:
    """The protocol knows relays by their addresses; here they are sockets again."""
    opened: RelaySocket = relay
    return opened


def _shown(allocation: Allocation) -> TurnAllocation:
    five_tuple = allocation.five_tuple
    return TurnAllocation(
        allocation.id,
        allocation.username,
        allocation.user,
        SocketAddress(*five_tuple.client),
        five_tuple.transport,
        SocketAddress(*allocation.relay.advertised),
    )


def _sum(*counters: Counters) -> Counters:
    return Counters(*map(sum, zip(*counters, strict=True)))


def _traffic(counters: Counters) -> TurnTraffic:
    return TurnTraffic(
        counters.packets_to_peer,
        counters.bytes_to_peer,
        counters.packets_from_peer,
        counters.bytes_from_peer,
        counters.dropped,
    )
