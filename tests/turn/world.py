"""A TURN server without sockets, for tests: clients' messages in, their responses out.

`World` does what a plugin does around the library: it answers questions, or
leaves them open as long as a test wants, carries actions out, and keeps watch.
Whatever a test is about, its `perform` asserts that

    every response belongs to a request of that five-tuple, and is signed if it is a success
    an allocation follows from a request that its user signed
    data and channels go to permitted peers only, and at this relay to live relays only
    sockets are opened and closed once
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from tests.turn.client import REALM_NAME, SERVER, Client, code
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import FINGERPRINT, MESSAGE_INTEGRITY
from tornado_webrtc.stun.integrity import long_term_key
from tornado_webrtc.stun.message import MessageClass, Method, decode
from tornado_webrtc.turn.action import (
    Action,
    AddAllocation,
    Ask,
    BindChannel,
    CloseRelay,
    FindCredential,
    FoundCredential,
    MayAllocate,
    MayRelayTo,
    OpenedRelay,
    OpenRelay,
    Permit,
    Question,
    RelayData,
    RemoveAllocation,
    Respond,
    SetExpiry,
    Unpermit,
    Withdraw,
)
from tornado_webrtc.turn.allocation import Relay
from tornado_webrtc.turn.nonce import NonceSource
from tornado_webrtc.turn.policy import PeerPolicy
from tornado_webrtc.turn.quota import AllocationLimits, AllocationQuotas, ChallengeLimits
from tornado_webrtc.turn.server import TurnServer
from tornado_webrtc.turn.settings import TurnSettings

RELAY_IP = "198.51.100.1"
"""What clients are told; the policy denies it to everybody but hairpin."""
LOCAL_IP = "10.0.0.1"
RELAY_IPS = {1: (LOCAL_IP, RELAY_IP), 2: ("2001:db8::1", "2001:db8::1")}
DEFAULT_SETTINGS = TurnSettings(realm=REALM_NAME)
NO_LIMITS = AllocationLimits()


@dataclass(frozen=True)
class MadeUpRelay:
    """A socket that nobody opened; two are the same only if they are one."""

    local: TransportAddress
    advertised: TransportAddress
    serial: int


@dataclass
class User:
    """What the world knows about a user name."""

    password: str
    account: str
    expires_at: float | None = None
    older_password: str = ""


class World:
    """One server with its clients.

    Attributes:
        server: The library under test.
        now: The monotonic time; `wait` moves it on, and `wall` with it.
        users: By name; those of an account share its quota.
        held: Questions of these kinds stay open.
        open: Open questions by number.
        asked: Every question ever asked.
        withdrawn: Numbers of questions whose answers nobody waits for.
        may_allocate: The answer to `MayAllocate`.
        may_relay_to: The answer to `MayRelayTo`, by peer.
        free_relays: How many sockets can still be opened.
        relays: Sockets that are open.
        outbox: What clients were sent and have not looked at.
    """

    def __init__(
        self,
        settings: TurnSettings = DEFAULT_SETTINGS,
        *,
        limits: AllocationLimits = NO_LIMITS,
        challenges_per_s: float = 0,
        deny: Iterable[str] = (),
        allow: Iterable[str] = (),
    ) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.nonces = NonceSource(b"0123456789abcdef", REALM_NAME)
        tokens = itertools.count(1)
        self.server = TurnServer(
            settings,
            nonces=self.nonces,
            policy=PeerPolicy(
                [ip_network(each) for each in deny],
                [ip_network(each) for each in allow],
                lambda: {ip_address(LOCAL_IP), ip_address(RELAY_IP)},
            ),
            quotas=AllocationQuotas(limits),
            challenges=ChallengeLimits(challenges_per_s),
            relay_ips=[ip for ips in RELAY_IPS.values() for ip in ips],
            random=lambda size: next(tokens).to_bytes(size),
        )
        self.users = {
            "alice": User("wonderland", "alice"),
            "bob": User("builder", "bob"),
        }
        self.held: set[type[Question]] = set()
        self.open: dict[int, Question] = {}
        self.asked: list[Question] = []
        self.withdrawn: set[int] = set()
        self.may_allocate = True
        self.may_relay_to: Callable[[TransportAddress], bool] = lambda _: True
        self.free_relays = 1000
        self.relays: set[Relay] = set()
        self.outbox: defaultdict[FiveTuple, list[bytes]] = defaultdict(list)
        self._transaction_ids = itertools.count(1)
        self._serials = itertools.count(1)
        self._ports = itertools.count(50000)
        self._received: dict[tuple[FiveTuple, bytes], bool] = {}
        self._signed: set[tuple[str, bytes]] = set()
        self._alive: dict[int, float] = {}
        self._permitted: dict[tuple[int, str], Permit] = {}

    # --- clients --------------------------------------------------------------

    def client(
        self,
        username: str = "alice",
        *,
        ip: str = "203.0.113.1",
        port: int = 40000,
        transport: str = "udp",
    ) -> Client:
        """Make a client."""
        five_tuple = FiveTuple(transport, TransportAddress(ip, port), SERVER)
        return Client(self, username, five_tuple)

    def transaction_id(self) -> bytes:
        """Make a transaction id, never used before."""
        return next(self._transaction_ids).to_bytes(12)

    def sign(self, client: Client, request: bytes) -> bytes:
        """Remember who signed a request, if the password is right."""
        user = self.users.get(client.username)
        if user is not None and client.password in (user.password, user.older_password):
            self._signed.add((client.username, request[8:20]))
        return request

    # --- what a plugin does -----------------------------------------------------

    def receive(self, five_tuple: FiveTuple, data: bytes) -> list[Action]:
        """Let bytes arrive."""
        with suppress(DecodeError):
            message = decode(data)
            self._received[five_tuple, message.transaction_id] = message.has(FINGERPRINT)
        return self.perform(self.server.receive(five_tuple, data, self.now, self.wall))

    def answer(self, number: int, answer: Any) -> list[Action]:
        """Answer a question."""
        self.open.pop(number, None)
        return self.perform(self.server.answer(number, answer, self.now, self.wall))

    def answer_open(self) -> list[Action]:
        """Answer the oldest open question as the world is made."""
        number, question = next(iter(self.open.items()))
        return self.answer(number, self.answer_to(question))

    def answer_all(self) -> None:
        """Answer all questions, those too that come up by it."""
        self.held.clear()
        while self.open:
            self.answer_open()

    def answer_to(self, question: Question) -> Any:
        """Find the answer."""
        if isinstance(question, FindCredential):
            return self.credential(question.username)
        if isinstance(question, MayAllocate):
            return self.may_allocate
        if isinstance(question, MayRelayTo):
            return self.may_relay_to(question.peer)
        return self.open_relay(question)

    def credential(self, username: str) -> FoundCredential | None:
        """Look a user name up."""
        user = self.users.get(username)
        if user is None:
            return None
        passwords = filter(None, (user.password, user.older_password))
        keys = tuple(long_term_key(username, REALM_NAME, password) for password in passwords)
        return FoundCredential(keys, user.account, user.expires_at)

    def open_relay(self, question: OpenRelay) -> OpenedRelay | None:
        """Open sockets with made-up ports."""
        count = 1 + question.reserve_next
        if self.free_relays < count:
            return None
        self.free_relays -= count
        port = next(self._ports)
        if question.even and port % 2:
            port = next(self._ports)
        relay = self._relay(question.family, port)
        if not question.reserve_next:
            return OpenedRelay(relay)
        return OpenedRelay(relay, self._relay(question.family, next(self._ports)))

    def _relay(self, family: int, port: int) -> Relay:
        local, advertised = (TransportAddress(ip, port) for ip in RELAY_IPS[family])
        relay = MadeUpRelay(local, advertised, next(self._serials))
        self.relays.add(relay)
        return relay

    def perform(self, actions: Sequence[Action]) -> list[Action]:
        """Carry actions out; returns them with those that followed from the answers."""
        performed: list[Action] = []
        pending = deque(actions)
        while pending:
            action = pending.popleft()
            performed.append(action)
            if isinstance(action, Ask):
                pending += self._ask(action)
            elif (carry_out := _PERFORMERS.get(type(action))) is not None:
                carry_out(self, action)
        return performed

    def _ask(self, ask: Ask) -> list[Action]:
        assert ask.number not in self.open
        self.open[ask.number] = ask.question
        self.asked.append(ask.question)
        if type(ask.question) in self.held:
            return []
        del self.open[ask.number]
        answer = self.answer_to(ask.question)
        return self.server.answer(ask.number, answer, self.now, self.wall)

    def _answer(self, action: Respond) -> None:
        response = decode(action.data)
        had_fingerprint = self._received[action.five_tuple, response.transaction_id]
        assert response.has(FINGERPRINT) == had_fingerprint
        assert response.message_class in (MessageClass.SUCCESS, MessageClass.ERROR)
        if code(response) == 0 and response.method != Method.BINDING:
            assert response.has(MESSAGE_INTEGRITY)
        self.outbox[action.five_tuple].append(action.data)

    def _add(self, action: AddAllocation) -> None:
        allocation = action.allocation
        assert allocation.id not in self._alive
        assert (allocation.username, allocation.transaction_id) in self._signed
        assert allocation.relay in self.relays
        self._alive[allocation.id] = allocation.expires_at

    def _set_expiry(self, action: SetExpiry) -> None:
        assert action.allocation.id in self._alive
        self._alive[action.allocation.id] = action.allocation.expires_at

    def _remove(self, action: RemoveAllocation) -> None:
        del self._alive[action.allocation.id]
        self._close(action.allocation.relay)
        for allocation_id, ip in list(self._permitted):
            if allocation_id == action.allocation.id:
                del self._permitted[allocation_id, ip]

    def _withdraw(self, action: Withdraw) -> None:
        # It stays open: the answer may be on its way.
        self.withdrawn.add(action.number)

    def _close_relay(self, action: CloseRelay) -> None:
        self._close(action.relay)

    def _close(self, relay: Relay) -> None:
        self.relays.remove(relay)
        self.free_relays += 1

    def _permit(self, action: Permit) -> None:
        assert action.allocation.id in self._alive
        self._permitted[action.allocation.id, action.ip] = action

    def _unpermit(self, action: Unpermit) -> None:
        del self._permitted[action.allocation.id, action.ip]

    def _relay_data(self, action: RelayData) -> None:
        assert self.now < self._alive[action.allocation.id]
        permit = self._permitted[action.allocation.id, action.peer.host]
        assert self.now < permit.expires_at
        assert not permit.hairpin or action.peer in self._live_relays()

    def _bind(self, action: BindChannel) -> None:
        permit = self._permitted[action.allocation.id, action.peer.host]
        assert not permit.hairpin or action.peer in self._live_relays()

    def _live_relays(self) -> set[TransportAddress]:
        live = (each for each in self.server.allocations if self.now < self._alive[each.id])
        return {address for each in live for address in (each.relay.local, each.relay.advertised)}

    # --- the time ---------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass; nobody calls `expire` for it."""
        self.now += seconds
        self.wall += seconds

    def expire(self) -> list[Action]:
        """Do what is due."""
        return self.perform(self.server.expire(self.now))

    def let_all_expire(self) -> None:
        """Answer what is open, and follow the deadlines up to the last."""
        self.answer_all()
        while (deadline := self.server.next_deadline()) is not None:
            self.wait(max(0.0, deadline - self.now))
            self.expire()

    def leftovers(self) -> Mapping[str, object]:
        """Return every table in which there is still something."""
        server = self.server
        tables = {
            "allocations": list(server.allocations),
            "relay addresses": server.allocations._by_relay,
            "reservations": server.reservations,
            "quotas": len(server.quotas),
            "deadlines": len(server.deadlines),
            "tasks": server._pending._tasks,
            "waiting": server._waiting,
            "task of five-tuples": server._pending._numbers,
            "look-ups": server._pending._lookups,
            "number of look-ups": server._pending._total_lookups,
            "open sockets": self.relays,
            "open questions": self.open,
            "permissions": self._permitted,
        }
        return {name: table for name, table in tables.items() if table}


_PERFORMERS: dict[type[Action], Callable[[World, Any], None]] = {
    Respond: World._answer,
    AddAllocation: World._add,
    RemoveAllocation: World._remove,
    SetExpiry: World._set_expiry,
    Permit: World._permit,
    Unpermit: World._unpermit,
    BindChannel: World._bind,
    RelayData: World._relay_data,
    CloseRelay: World._close_relay,
    Withdraw: World._withdraw,
}
