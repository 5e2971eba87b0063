"""Carries out what the protocol asks for: on the relay table, on streams, through hooks.

Everything here happens per request of a client, nothing per relayed datagram of
a UDP client's channel: that stays inside the table.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tornado_webrtc.errors import ListenError
from tornado_webrtc.hooks import (
    AllocationRequest,
    CredentialRequest,
    RelayRequest,
    SocketAddress,
    TurnAllocation,
    TurnTraffic,
)
from tornado_webrtc.relay import Bucket, Counters, SinkClient, Slot, UdpClient, open_relay
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.integrity import long_term_key
from tornado_webrtc.turn import action as do
from tornado_webrtc.turn.allocation import Allocation
from tornado_webrtc.turn.server import TurnServer

from .credential import CredentialSource
from .public_address import Choice

if TYPE_CHECKING:
    from tornado_webrtc.relay import RelaySocket, RelayTable
    from tornado_webrtc.server import Server

__all__ = ["Driver"]

VERSION_OF_FAMILY = {1: 4, 2: 6}
BURST_S = 1.0


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
        self._choice = choice
        self._credentials = credentials
        self._settings = server.config.turn
        self._clock = server.clock
        self._hooks = server.hooks
        self._log = log
        self._slots: dict[int, Slot] = {}
        self._traffic: dict[int, TurnTraffic] = {}
        self._ended = Counters()
        self._streams: dict[FiveTuple, Callable[[bytes], bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = False
        rate = self._settings.server_bytes_per_s
        self._server_bucket = (Bucket(rate, rate * BURST_S),) if rate else ()
        table.on_punt = self.receive

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
        for task in self._tasks:
            task.cancel()
        for allocation in self.turn.allocations:
            self._perform(self.turn.delete(allocation, "server stopped"))
        for reservation in self.turn.reservations.values():
            _socket(reservation.relay).close()
        self.turn.reservations.clear()
        self._stopped = True
        self._schedule()
        self.table.stop()

    def counters(self) -> dict[str, int]:
        """How often what happened since the start; `allocations` is how many there are now.

        Beside the protocol's own names (`error-401`, `dropped-no-permission`) there are
        those of the data plane, all allocations together, as `relay-bytes-to-peer`
        or `relay-dropped-quota`.
        """
        relayed = self._ended
        for slot in self._slots.values():
            relayed = _sum(relayed, self.table.counters(slot))
        named = {f"relay-{key.replace('_', '-')}": n for key, n in relayed._asdict().items()}
        return {**self.turn.counters, **named, "allocations": len(self.turn.allocations)}

    # --- what comes in ------------------------------------------------------

    def receive(self, five_tuple: FiveTuple, data: bytes) -> None:
        """Handle what a client sent and the table does not relay by itself."""
        if self._stopped:
            return
        now, wall = self._clock.now(), self._clock.wall()
        self._perform(self.turn.receive(five_tuple, data, now, wall))

    def connected(self, five_tuple: FiveTuple, write: Callable[[bytes], bool]) -> None:
        """A stream began; `write` takes whole frames and says whether there was room."""
        self._streams[five_tuple] = write

    def disconnected(self, five_tuple: FiveTuple) -> None:
        """A stream ended."""
        self._streams.pop(five_tuple, None)
        self._perform(self.turn.disconnected(five_tuple, self._clock.now()))

    def has_allocation(self, five_tuple: FiveTuple) -> bool:
        """Whether a client has an allocation."""
        return self.turn.allocations.get(five_tuple, self._clock.now()) is not None

    # --- actions ------------------------------------------------------------

    def _perform(self, actions: Sequence[do.Action]) -> None:
        for action in actions:
            if isinstance(action, do.Ask):
                self._ask(action)
            elif isinstance(action, do.Answer):
                self._answer(action.five_tuple, action.data)
            elif not self._on_table(action):
                self._tell(action)
        self._schedule()

    def _answer(self, five_tuple: FiveTuple, data: bytes) -> None:
        if not five_tuple.is_stream:
            self.table.send_to_client(five_tuple, data)
        elif write := self._streams.get(five_tuple):
            write(data)

    def _on_table(self, action: do.Action) -> bool:
        """Do what the relay table has to do; False if it is not for the table."""
        match action:
            case do.AddAllocation(allocation):
                self._add(allocation)
            case do.RemoveAllocation(allocation):
                counters = self.table.remove(self._slots.pop(allocation.id))
                self._traffic[allocation.id] = _traffic(counters)
                self._ended = _sum(self._ended, counters)
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
            case _:
                return False
        return True

    def _add(self, allocation: Allocation) -> None:
        five_tuple = allocation.five_tuple
        write = self._streams.get(five_tuple)
        client = UdpClient(five_tuple) if write is None else SinkClient(five_tuple, write)
        rate = self._settings.allocation_bytes_per_s
        own = (Bucket(rate, rate * BURST_S),) if rate else ()
        self._slots[allocation.id] = self.table.add(
            client, (_socket(allocation.relay),), allocation.expires_at, own + self._server_bucket
        )

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

    def _notify(self, hook: str, allocation: Allocation, **arguments: Any) -> None:
        if self._hooks.implemented(hook):
            self._hooks.notify(hook, allocation=_shown(allocation), **arguments)

    # --- questions ----------------------------------------------------------

    def _ask(self, ask: do.Ask) -> None:
        """Answer a question: at once if nobody else has to be asked, else in a task."""
        question = ask.question
        match question:
            case do.OpenRelay():
                self._reply(ask.number, self._open(question))
            case do.FindCredential(username, five_tuple):
                if self._hooks.implemented("turn_credential"):
                    self._later(ask.number, self._look_up(username, five_tuple))
                else:
                    self._reply(ask.number, self._find(username))
            case do.MayAllocate(username, user, five_tuple):
                allocation_request = AllocationRequest(
                    username, user, five_tuple.client.host, five_tuple.transport
                )
                self._permit(ask.number, "permit_allocation", allocation_request)
            case do.MayRelayTo(allocation, peer):
                relay_request = RelayRequest(_shown(allocation), SocketAddress(*peer))
                self._permit(ask.number, "permit_relay", relay_request)

    def _permit(self, number: int, hook: str, request: object) -> None:
        if self._hooks.implemented(hook):
            self._later(number, self._is_permitted(hook, request))
        else:
            self._reply(number, True)

    async def _is_permitted(self, hook: str, request: object) -> bool:
        return await self._hooks.permit(hook, request=request) is None

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

    def _open(self, question: do.OpenRelay) -> do.OpenedRelay | None:
        address = self._choice.of_version(VERSION_OF_FAMILY[question.family])
        if address is None:
            return None
        ports = self._settings.relay_ports
        try:
            opened = open_relay(
                str(address.local),
                range(ports.first, ports.last + 1),
                even=question.even,
                reserve_next=question.reserve_next,
                random=secrets.randbelow,
                advertised=str(address.advertised),
            )
        except ListenError as error:
            self._log.error("no relay can be opened: %s", error)
            return None
        return do.OpenedRelay(*opened) if opened else None

    def _reply(self, number: int, answer: Any) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        self._perform(self.turn.answer(number, answer, now, wall))

    def _later(self, number: int, answer: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(self._reply_later(number, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply_later(self, number: int, answer: Awaitable[Any]) -> None:
        try:
            found = await answer
        except Exception:
            # Without any answer the client's later requests would wait for ever.
            self._log.exception("a question about a TURN client could not be answered")
            found = None
        self._reply(number, found)

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


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(*map(operator.add, one, other))


def _traffic(counters: Counters) -> TurnTraffic:
    return TurnTraffic(
        counters.packets_to_peer,
        counters.bytes_to_peer,
        counters.packets_from_peer,
        counters.bytes_from_peer,
        counters.dropped,
    )
