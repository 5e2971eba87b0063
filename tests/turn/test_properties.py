"""What holds for any input and any history; `World` watches over each step of it."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.turn.client import (
    OTHER_PEER,
    PEER,
    PEER_IPV6,
    PRIVATE_PEER,
    REALM_NAME,
    UDP,
    Client,
    code,
    peers,
)
from tests.turn.world import RELAY_IP, RELAY_IPS, World
from tornado_webrtc.stun.address import IPV4, IPV6, TransportAddress
from tornado_webrtc.stun.attribute import (
    ADDITIONAL_ADDRESS_FAMILY,
    CHANNEL_NUMBER,
    DONT_FRAGMENT,
    EVEN_PORT,
    KNOWN,
    LIFETIME,
    PRIORITY,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
)
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.action import (
    Action,
    AddAllocation,
    Ask,
    FindCredential,
    MayAllocate,
    MayRelayTo,
    OpenRelay,
    Refused,
    RelayData,
    Respond,
)
from tornado_webrtc.turn.quota import AllocationLimits
from tornado_webrtc.turn.request import AttributeValue
from tornado_webrtc.turn.settings import TurnSettings

settings.register_profile("turn", deadline=None, database=None)
quick = settings(settings.get_profile("turn"), max_examples=150)

METHODS = [Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND]
LIMITS = AllocationLimits(total=4, per_user=2, per_client=3)
OWN_IPS = {ip for ips in RELAY_IPS.values() for ip in ips}
SETTINGS = TurnSettings(
    realm=REALM_NAME,
    max_permissions=3,
    families=(IPV4, IPV6),
    max_lookups=3,
    max_lookups_per_client=2,
)

# --- hostile bytes ----------------------------------------------------------------


def busy() -> tuple[World, Client]:
    """Make a world in which there is something to be destroyed."""
    world = World()
    alice = world.client(transport="tcp")
    alice.allocated((EVEN_PORT, True))
    alice.bind(0x4000, PEER)
    alice.take()
    return world, alice


def assert_actions_only(actions: list[Action]) -> None:
    """Bytes of a stranger lead to answers and data, never to a question or an allocation."""
    assert all(isinstance(action, Respond | RelayData) for action in actions)


@quick
@given(st.binary(max_size=64), st.sampled_from([b"", bytes.fromhex("2112a442")]))
def test_arbitrary_bytes_lead_to_actions_and_nothing_else(data: bytes, cookie: bytes) -> None:
    world, alice = busy()
    assert_actions_only(alice.send(data[:4] + cookie + data[4:]))
    world.let_all_expire()
    assert world.leftovers() == {}


@quick
@given(
    st.sampled_from(METHODS),
    st.lists(st.tuples(st.sampled_from(sorted(KNOWN)), st.binary(max_size=24)), max_size=4),
)
def test_nor_do_signed_requests_with_arbitrary_values(
    method: Method, values: list[tuple[int, bytes]]
) -> None:
    world, alice = busy()
    before: list[AttributeValue] = [UDP] if method == Method.ALLOCATE else []
    for number, value in values:
        alice.send(alice.malformed(method, number, value, *before))
        newcomer = world.client(port=40001)
        newcomer.send(newcomer.malformed(method, number, value, *before))
    world.let_all_expire()
    assert world.leftovers() == {}


@quick
@given(st.data(), st.sampled_from(METHODS))
def test_nor_do_damaged_requests(data: st.DataObject, method: Method) -> None:
    _, alice = busy()
    attributes = [UDP, (LIFETIME, 0), (CHANNEL_NUMBER, 0x4001), *peers(OTHER_PEER)]
    request = bytearray(alice.message(method, *attributes))
    at = data.draw(st.integers(0, len(request) - 1))
    request[at] ^= data.draw(st.integers(1, 255))
    allocation = alice.allocation
    actions = alice.send(bytes(request))
    assert alice.allocation is allocation
    assert allocation is not None
    assert allocation.permissions.keys() == {PEER.host}
    assert all(isinstance(action, Respond | RelayData | Ask | Refused) for action in actions)
    assert all(
        isinstance(action.question, FindCredential) for action in actions if isinstance(action, Ask)
    )
    assert all(code(response) for response in alice.responses() if response.method != 1)


# --- histories --------------------------------------------------------------------

ADDRESSES = [
    *(PEER, PEER._replace(port=1), OTHER_PEER, PRIVATE_PEER, PEER_IPV6),
    *(TransportAddress(f"20.0.0.{last}", 1) for last in range(3, 6)),
    TransportAddress(RELAY_IP, 9),
]
CLIENTS = [
    ("alice", "203.0.113.1", 1, "udp"),
    ("alice", "203.0.113.1", 2, "tcp"),
    ("alice", "203.0.113.2", 1, "tls"),
    ("bob", "203.0.113.1", 1, "udp"),
    ("bob", "203.0.113.1", 3, "udp"),
    ("bob", "2001:db8:2::1", 1, "tcp"),
    ("mallory", "203.0.113.1", 2, "tcp"),
]

addresses = st.sampled_from(ADDRESSES)
clients = st.integers(0, len(CLIENTS) - 1)
channels = st.sampled_from([0x3FFF, 0x4000, 0x4001, 0x7FFE, 0x7FFF])
lifetimes = st.sampled_from([None, 0, 1, 700, 3600, 2**32 - 1])
lies = st.sampled_from(["", "", "", "", "unsigned", "password", "nonce", "old", "realm", "name"])
extras = st.sampled_from([(), (), (), ((PRIORITY, 1),), ((DONT_FRAGMENT, True),)])
questions = st.sets(st.sampled_from([FindCredential, MayAllocate, MayRelayTo, OpenRelay]))
choices = st.lists(
    st.sampled_from(
        [
            (EVEN_PORT, True),
            (EVEN_PORT, False),
            (REQUESTED_ADDRESS_FAMILY, IPV4),
            (REQUESTED_ADDRESS_FAMILY, IPV6),
            (REQUESTED_ADDRESS_FAMILY, 7),
            (ADDITIONAL_ADDRESS_FAMILY, IPV6),
            (REQUESTED_TRANSPORT, 6),
        ]
    ),
    max_size=1,
)


class Server(RuleBasedStateMachine):
    """Clients with good and bad credentials, slow answers, streams that end, time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(SETTINGS, limits=LIMITS, challenges_per_s=2)
        self.world.free_relays = 5
        self.world.users["bob"].expires_at = self.world.wall + 900
        self.clients = [
            self.world.client(name, ip=ip, port=port, transport=transport)
            for name, ip, port, transport in CLIENTS
        ]
        self.sent: list[tuple[Client, bytes]] = []

    def encoded(
        self, client: Client, method: Method, lie: str, attributes: list[AttributeValue]
    ) -> bytes:
        """Encode a request, honest or not."""
        world = self.world
        if lie == "unsigned":
            return client.unsigned(method, *attributes)
        if lie == "password":
            right, client.password = client.password, "guess"
            data = client.message(method, *attributes)
            client.password = right
            return data
        changed: dict[str, dict[str, str]] = {
            "nonce": {"nonce": world.nonces.make("203.0.113.77", world.wall)},
            "old": {"nonce": world.nonces.make(client.five_tuple.client.host, world.wall - 600)},
            "realm": {"realm": "example.com"},
            "name": {"username": "nobody"},
        }
        return client.message(method, *attributes, **changed.get(lie, {}))

    def request(
        self, index: int, method: Method, lie: str, attributes: list[AttributeValue]
    ) -> None:
        """Send a request; who lies has changed nothing when it was answered."""
        client = self.clients[index]
        data = self.encoded(client, method, lie, attributes)
        self.sent.append((client, data))
        waits = client.five_tuple in self.world.server._pending._numbers
        allocation = client.allocation
        expires_at = allocation.expires_at if allocation is not None else None
        actions = client.send(data)
        if lie and not waits:
            assert not any(isinstance(action, AddAllocation) for action in actions)
            assert client.allocation is allocation
            assert allocation is None or allocation.expires_at == expires_at

    @rule(index=clients, lie=lies, choices=choices, lifetime=lifetimes, extra=extras)
    def allocate(
        self,
        index: int,
        lie: str,
        choices: list[AttributeValue],
        lifetime: int | None,
        extra: tuple[AttributeValue, ...],
    ) -> None:
        attributes = [*choices, UDP, *extra]
        if lifetime is not None:
            attributes.append((LIFETIME, lifetime))
        self.request(index, Method.ALLOCATE, lie, attributes)

    @precondition(lambda self: self.world.server.reservations)
    @rule(index=clients, data=st.data())
    def redeem(self, index: int, data: st.DataObject) -> None:
        token = data.draw(st.sampled_from(sorted(self.world.server.reservations)))
        self.request(index, Method.ALLOCATE, "", [UDP, (RESERVATION_TOKEN, token)])

    @rule(index=clients, lie=lies, lifetime=lifetimes, extra=extras)
    def refresh(
        self, index: int, lie: str, lifetime: int | None, extra: tuple[AttributeValue, ...]
    ) -> None:
        attributes = [] if lifetime is None else [(LIFETIME, lifetime)]
        self.request(index, Method.REFRESH, lie, [*attributes, *extra])

    @initialize(indices=st.lists(st.integers(0, len(CLIENTS) - 2), max_size=2, unique=True))
    def some_have_allocations(self, indices: list[int]) -> None:
        for index in indices:
            self.clients[index].allocate()
            self.clients[index].permit(PEER, *self.relays())

    def drawn(self, data: st.DataObject) -> Client:
        """Choose a client, with an allocation if there is one."""
        allocated = [client for client in self.clients if client.allocation is not None]
        return data.draw(st.sampled_from(allocated or self.clients))

    def relays(self) -> list[TransportAddress]:
        """Return the relayed transport addresses for IPv4."""
        found = [allocation.relay.advertised for allocation in self.world.server.allocations]
        return [address for address in found if address.family == IPV4]

    def destinations(self) -> list[TransportAddress]:
        """Return peers, and the addresses of our own relays."""
        relays = [allocation.relay for allocation in self.world.server.allocations]
        return [*ADDRESSES, *(relay.advertised for relay in relays), *(r.local for r in relays)]

    @rule(index=clients, lie=lies, data=st.data())
    def permit(self, index: int, lie: str, data: st.DataObject) -> None:
        addresses = data.draw(st.lists(st.sampled_from(self.destinations()), max_size=4))
        if not lie:
            index = self.clients.index(self.drawn(data))
        self.request(index, Method.CREATE_PERMISSION, lie, peers(*addresses))

    @rule(index=clients, lie=lies, number=channels, data=st.data())
    def bind(self, index: int, lie: str, number: int, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(self.destinations()))
        if not lie:
            index = self.clients.index(self.drawn(data))
        self.request(index, Method.CHANNEL_BIND, lie, [(CHANNEL_NUMBER, number), *peers(peer)])

    @rule(data=st.data())
    def send_indication(self, data: st.DataObject) -> None:
        client = self.drawn(data)
        allocation = client.allocation
        permitted = allocation.permissions if allocation is not None else {}
        destinations = self.destinations()
        likely = [address for address in destinations if address.host in permitted]
        peer = data.draw(st.sampled_from(likely or destinations))
        for action in client.indicate(peer, b"indicated"):
            if isinstance(action, RelayData):
                assert (action.peer, action.data) == (peer, b"indicated")
                assert action.allocation is client.allocation

    @rule(number=channels, data=st.data())
    def send_over_channel(self, number: int, data: st.DataObject) -> None:
        actions = self.drawn(data).channel_data(number, b"channelled")
        assert not any(isinstance(action, RelayData) for action in actions)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def retransmit(self, data: st.DataObject) -> None:
        client, request = data.draw(st.sampled_from(self.sent[-10:]))
        before = len(self.world.server.allocations)
        client.send(request)
        if client.five_tuple not in self.world.server._pending._numbers:
            assert len(self.world.server.allocations) <= before + 1

    @rule(index=clients, garbage=st.binary(max_size=40))
    def send_garbage(self, index: int, garbage: bytes) -> None:
        self.clients[index].send(garbage)

    @rule(index=clients)
    def disconnect(self, index: int) -> None:
        client = self.clients[index]
        if client.five_tuple.is_stream:
            client.disconnect()
            assert client.allocation is None
            client.take()

    @rule(index=st.sampled_from([1, 2, 5]), kind=st.sampled_from([MayAllocate, OpenRelay]))
    def disconnect_in_the_middle(self, index: int, kind: type) -> None:
        client = self.clients[index]
        self.world.held.add(kind)
        client.send(client.message(Method.ALLOCATE, UDP, (EVEN_PORT, True)))
        client.disconnect()
        assert client.allocation is None
        client.take()

    @rule(kinds=questions)
    def hold(self, kinds: set[type]) -> None:
        self.world.held = kinds

    @precondition(lambda self: self.world.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.world.open)))
        answer = self.world.answer_to(self.world.open[number])
        self.world.answer(number, answer)

    @rule(allocate=st.booleans(), relay=st.booleans())
    def change_the_callers_mind(self, allocate: bool, relay: bool) -> None:
        verdicts: dict[bool, Callable[[TransportAddress], bool]] = {
            True: lambda _: True,
            False: lambda peer: peer.host != OTHER_PEER.host,
        }
        self.world.may_allocate = allocate
        self.world.may_relay_to = verdicts[relay]

    @rule(seconds=st.sampled_from([0.5, 29.0, 30.0, 299.0, 300.0, 600.0]), expire=st.booleans())
    def wait(self, seconds: float, expire: bool) -> None:
        self.world.wait(seconds)
        if expire:
            self.world.expire()

    @invariant()
    def quotas_are_kept(self) -> None:
        server = self.world.server
        allocations = list(server.allocations)
        users = Counter(allocation.user for allocation in allocations)
        hosts = Counter(allocation.five_tuple.client.host for allocation in allocations)
        assert len(server.quotas) <= LIMITS.total
        assert max(users.values(), default=0) <= LIMITS.per_user
        assert max(hosts.values(), default=0) <= LIMITS.per_client
        kept = len(allocations) + len(server.reservations)
        wanted = 2 * len(self.world.open)  # with the port after it
        assert kept <= len(server.quotas) <= kept + wanted

    @invariant()
    def sockets_belong_to_somebody(self) -> None:
        server = self.world.server
        used = [allocation.relay for allocation in server.allocations]
        reserved = [reservation.relay for reservation in server.reservations.values()]
        assert self.world.relays == {*used, *reserved}
        assert len(self.world.relays) == len(used) + len(reserved)

    @invariant()
    def permissions_and_channels_are_limited_and_whole(self) -> None:
        now = self.world.now
        for allocation in self.world.server.allocations:
            assert allocation.live_permissions(now) <= SETTINGS.max_permissions
            live = [each for each in allocation.channels.values() if now < each.expires_at]
            assert len({channel.peer for channel in live}) == len(live)
            assert len(live) <= SETTINGS.max_permissions
            for channel in live:
                assert allocation.channel_to(channel.peer, now) is channel
            family = allocation.relay.advertised.family
            assert {channel.peer.family for channel in live} <= {family}
            assert PRIVATE_PEER.host not in allocation.permissions
            for ip, permission in allocation.permissions.items():
                assert permission.hairpin is (ip in OWN_IPS)

    @invariant()
    def deadlines_are_those_of_what_there_is(self) -> None:
        server = self.world.server
        things = sum(
            1 + len(allocation.permissions) + len(allocation.channels)
            for allocation in server.allocations
        )
        questions = len(server._pending)
        assert len(server.deadlines) == things + len(server.reservations) + questions

    @invariant()
    def every_waiting_request_has_a_question_before_it(self) -> None:
        server = self.world.server
        pending = server._pending
        assert server._waiting.keys() <= pending._numbers.keys()
        assert sorted(pending._numbers.values()) == sorted(pending._tasks)
        assert pending._tasks.keys() <= self.world.open.keys()

    @invariant()
    def lookups_are_counted(self) -> None:
        pending = self.world.server._pending
        assert pending._lookups.total() == pending._total_lookups
        assert pending._total_lookups == sum(task.is_lookup for task in pending._tasks.values())
        assert max(pending._lookups.values(), default=0) <= SETTINGS.max_lookups_per_client

    def teardown(self) -> None:
        for client in self.clients:
            client.responses()
        self.world.let_all_expire()
        assert self.world.leftovers() == {}


TestServer = Server.TestCase
TestServer.settings = settings(
    settings.get_profile("turn"), max_examples=80, stateful_step_count=40
)


# --- data ---------------------------------------------------------------------------


@quick
@given(st.binary(max_size=2000), addresses)
def test_data_passes_byte_for_byte_or_not_at_all(data: bytes, peer: TransportAddress) -> None:
    _, alice = busy()
    sent = [action for action in alice.indicate(peer, data) if isinstance(action, RelayData)]
    assert [action.data for action in sent] == [data] * (peer.host == PEER.host)


@quick
@given(st.integers(0, 2**32 - 1), st.integers(1, 10_000), st.integers(1, 10_000))
def test_lifetime_is_between_default_and_maximum(requested: int, default: int, top: int) -> None:
    world = World(
        TurnSettings(realm=REALM_NAME, default_lifetime_s=default, max_lifetime_s=max(default, top))
    )
    granted = world.client().allocate((LIFETIME, requested)).get(LIFETIME)
    assert granted == min(max(requested, default), max(default, top))
