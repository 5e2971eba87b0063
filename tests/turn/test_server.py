"""The server as a whole: what comes in, in which order it is handled, what is left at the end."""

import pytest

from tests.turn.client import (
    OTHER_PEER,
    PEER,
    PEER_IPV6,
    REALM_NAME,
    UDP,
    code,
    codes,
    peers,
)
from tests.turn.world import World
from tornado_webrtc.stun.address import IPV4, IPV6, TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANGE_REQUEST,
    CHANNEL_NUMBER,
    DATA,
    EVEN_PORT,
    FINGERPRINT,
    ICMP,
    LIFETIME,
    NONCE,
    PRIORITY,
    REQUESTED_ADDRESS_FAMILY,
    UNKNOWN_ATTRIBUTES,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    ChangeRequest,
)
from tornado_webrtc.stun.integrity import append_fingerprint
from tornado_webrtc.stun.message import MessageClass, Method, decode, encode
from tornado_webrtc.stun.value import Icmp
from tornado_webrtc.turn.action import (
    AllocationDeleted,
    CloseRelay,
    FindCredential,
    MayAllocate,
    MayRelayTo,
    OpenRelay,
    Question,
    RemoveAllocation,
    Respond,
    Unpermit,
    Withdraw,
)
from tornado_webrtc.turn.quota import AllocationLimits
from tornado_webrtc.turn.settings import TurnSettings

# --- Binding ----------------------------------------------------------------------


@pytest.mark.parametrize("ip", ["203.0.113.1", "2001:db8::5"])
def test_binding_tells_the_clients_address_and_nothing_else(ip: str) -> None:
    world = World()
    alice = world.client(ip=ip)
    request = alice.unsigned(Method.BINDING)
    response = alice.ask(request)
    assert code(response) == 0
    assert response.get(XOR_MAPPED_ADDRESS) == alice.five_tuple.client
    assert len(response.raw) <= 2.2 * len(request)
    assert world.leftovers() == {}


def test_binding_has_a_fingerprint_only_if_asked() -> None:
    world = World()
    alice = world.client()
    request = append_fingerprint(alice.unsigned(Method.BINDING))
    assert alice.ask(request).has(FINGERPRINT)


def test_so_has_every_other_answer() -> None:
    alice = World().client()
    challenge = alice.ask(append_fingerprint(alice.unsigned(Method.ALLOCATE)))
    assert challenge.has(FINGERPRINT)
    for fingerprint in (True, False):
        request = alice.message(Method.ALLOCATE, UDP)
        response = alice.ask(append_fingerprint(request) if fingerprint else request)
        assert response.has(FINGERPRINT) is fingerprint


def test_binding_with_an_unknown_attribute_is_420() -> None:
    alice = World().client()
    request = alice.unsigned(Method.BINDING, (CHANGE_REQUEST, ChangeRequest(ip=True, port=True)))
    response = alice.ask(request)
    assert code(response) == 420
    assert response.get(UNKNOWN_ATTRIBUTES) == (CHANGE_REQUEST.code,)


def test_bindings_are_rationed() -> None:
    world = World(challenges_per_s=1)
    alice = world.client()
    for attributes in ([], [(PRIORITY, 1)]):
        for _ in range(5):
            alice.send(alice.unsigned(Method.BINDING, *attributes))
    assert codes(alice) == [0] * 4
    assert world.server.counters["dropped-challenge-limit"] == 6


def test_binding_does_not_wait_behind_a_question() -> None:
    world = World()
    alice = world.client()
    world.held = {FindCredential}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    assert code(alice.ask(alice.unsigned(Method.BINDING))) == 0


# --- what is none of the server's business ------------------------------------------


@pytest.mark.parametrize(
    ("method", "message_class"),
    [
        (Method.BINDING, MessageClass.INDICATION),
        (Method.DATA, MessageClass.INDICATION),
        (Method.ALLOCATE, MessageClass.INDICATION),
        (Method.ALLOCATE, MessageClass.SUCCESS),
        (Method.BINDING, MessageClass.ERROR),
        (Method.SEND, MessageClass.SUCCESS),
    ],
)
def test_other_classes_are_dropped(method: Method, message_class: MessageClass) -> None:
    world = World()
    alice = world.client()
    assert alice.send(encode(method, message_class, world.transaction_id())) == []
    assert world.server.counters == {"dropped-unexpected": 1}


@pytest.mark.parametrize("method", [Method.SEND, Method.DATA, Method.CONNECT, 0x0FF])
def test_requests_of_other_methods_are_dropped(method: int) -> None:
    world = World()
    alice = world.client()
    assert alice.send(alice.message(method)) == []
    assert world.server.counters == {"dropped-unknown-method": 1}


def test_malformed_messages_are_dropped() -> None:
    world = World()
    alice = world.client()
    request = alice.message(Method.ALLOCATE, UDP)
    damaged = [request[:-4], request + bytes(4), request[:2] + b"\0\1" + request[4:], request[:20]]
    for data in damaged:
        assert alice.send(data) == []
    assert world.server.counters == {"dropped-malformed": 4}


# --- what a datagram met -----------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "icmp_type", "told"),
    [(PEER, 3, True), (PEER, 11, True), (PEER, 5, False), (PEER, 1, False)]
    + [(PEER_IPV6, number, True) for number in (1, 2, 3)]
    + [(PEER_IPV6, number, False) for number in (4, 11, 128)],
)
def test_icmp_is_told_to_the_client(peer: TransportAddress, icmp_type: int, told: bool) -> None:
    world = World(TurnSettings(realm=REALM_NAME, families=(IPV4, IPV6)))
    alice = world.client()
    allocation = alice.allocated((REQUESTED_ADDRESS_FAMILY, peer.family))
    error = Icmp(icmp_type, 4, 1280)
    actions = world.server.unreachable(allocation, peer, error)
    if not told:
        assert actions == []
        return
    (action,) = actions
    assert isinstance(action, Respond)
    assert action.five_tuple == alice.five_tuple
    indication = decode(action.data)
    assert indication.message_class is MessageClass.INDICATION
    assert indication.method == Method.DATA
    assert indication.get(XOR_PEER_ADDRESS) == peer
    assert indication.get(ICMP) == error
    assert not indication.has(DATA)


# --- the end of a stream --------------------------------------------------------------


def test_stream_takes_its_allocation_along() -> None:
    world = World(limits=AllocationLimits(per_user=1))
    alice = world.client(transport="tcp")
    allocation = alice.allocated()
    alice.permit(PEER)
    alice.bind(0x4000, PEER)
    assert alice.disconnect() == [
        RemoveAllocation(allocation),
        AllocationDeleted(allocation, "disconnected"),
    ]
    assert world.leftovers() == {}
    assert alice.disconnect() == []
    assert code(alice.allocate()) == 0


def test_stream_whose_allocation_expired_takes_nothing_along() -> None:
    world = World()
    alice = world.client(transport="tcp")
    alice.allocated()
    world.wait(600)
    assert alice.disconnect() == []
    assert len(world.expire()) == 2
    assert world.leftovers() == {}


@pytest.mark.parametrize("held", [FindCredential, MayAllocate, OpenRelay])
def test_disconnect_while_an_allocate_waits(held: type[Question]) -> None:
    world = World(limits=AllocationLimits(total=1))
    alice = world.client(transport="tls")
    world.held = {held}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    alice.send(alice.message(Method.REFRESH))
    (number,) = world.open
    assert alice.disconnect() == [Withdraw(number)]
    assert len(world.server.quotas) == 0
    world.answer_all()
    assert codes(alice) == []
    assert world.leftovers() == {}
    assert code(alice.allocate()) == 0


def test_relay_that_arrives_late_is_closed() -> None:
    world = World()
    alice = world.client(transport="tcp")
    world.held = {OpenRelay}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    alice.disconnect()
    (action,) = world.answer_open()
    assert isinstance(action, CloseRelay)
    assert world.relays == set()


@pytest.mark.parametrize("method", [Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
def test_disconnect_while_a_permission_waits(method: Method) -> None:
    world = World()
    alice = world.client(transport="tcp")
    alice.allocated()
    world.held = {MayRelayTo}
    alice.send(alice.message(method, (CHANNEL_NUMBER, 0x4000), *peers(PEER, OTHER_PEER)))
    alice.disconnect()
    world.answer_all()
    assert codes(alice) == []
    assert world.leftovers() == {}


def test_new_stream_from_the_same_port_is_not_disturbed_by_an_old_answer() -> None:
    world = World()
    alice = world.client(transport="tcp")
    world.held = {OpenRelay}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    alice.disconnect()
    alice.send(alice.message(Method.ALLOCATE, UDP))
    assert len(world.open) == 2
    world.answer_all()
    assert codes(alice) == [0]
    assert len(world.relays) == 1


# --- expiry -----------------------------------------------------------------------------


def test_allocation_ends_once() -> None:
    world = World()
    alice = world.client()
    first = alice.allocated()
    world.perform(world.server.delete(first, "that is enough"))
    assert world.server.delete(first, "really") == []
    second = alice.allocated()
    assert world.server.delete(first, "really") == []
    assert alice.allocation is second
    assert len(world.server.quotas) == 1


def test_one_deadline_for_everything() -> None:
    world = World()
    alice = world.client()
    assert world.server.next_deadline() is None
    alice.allocate((EVEN_PORT, True), (LIFETIME, 3600))
    alice.permit(PEER)
    alice.bind(0x4000, PEER)
    deadlines = []
    while (deadline := world.server.next_deadline()) is not None:
        deadlines.append(deadline - 1000)
        world.wait(deadline - world.now)
        world.expire()
    assert deadlines == [30, 300, 600, 3600]
    assert world.leftovers() == {}


def test_all_that_is_due_at_once() -> None:
    settings = TurnSettings(realm=REALM_NAME, permission_lifetime_s=600, reservation_lifetime_s=600)
    world = World(settings)
    alice, bob = world.client(), world.client("bob", port=40001)
    allocation = alice.allocated((EVEN_PORT, True))
    alice.bind(0x4000, PEER)
    other = bob.allocated()
    (reservation,) = world.server.reservations.values()
    world.wait(10_000)
    assert world.expire() == [
        CloseRelay(reservation.relay),
        RemoveAllocation(allocation),
        AllocationDeleted(allocation, "expired"),
        RemoveAllocation(other),
        AllocationDeleted(other, "expired"),
    ]
    assert world.leftovers() == {}


def test_whatever_comes_in_first_expires_what_is_due() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    allocation = alice.allocated((LIFETIME, 3600))
    for count, data in enumerate(
        [
            b"no STUN",
            bob.message(Method.ALLOCATE, UDP)[:-1],
            encode(Method.SEND, MessageClass.INDICATION, bytes(12), [(DATA, b"")]),
            encode(Method.BINDING, MessageClass.INDICATION, bytes(12)),
            bob.unsigned(Method.BINDING),
        ]
    ):
        peer = PEER._replace(host=f"20.0.1.{count}")
        alice.permit(peer)
        world.wait(300)
        assert bob.send(data)[0] == Unpermit(allocation, peer.host)
    alice.permit(PEER)
    world.wait(300)
    assert world.answer(99, None) == [Unpermit(allocation, PEER.host)]


def test_lowered_maximum_wins_over_the_default() -> None:
    world = World(TurnSettings(realm=REALM_NAME, max_lifetime_s=120))
    alice = world.client()
    assert alice.allocate().get(LIFETIME) == 120
    assert alice.refresh(3600).get(LIFETIME) == 120


# --- everything together ----------------------------------------------------------------


def test_call_from_challenge_to_end() -> None:
    world = World(limits=AllocationLimits(total=2, per_user=1), challenges_per_s=50)
    alice, bob = world.client(), world.client("bob", ip="2001:db8:1::1", transport="tls")
    for client in (alice, bob):
        nonce = client.ask(client.unsigned(Method.ALLOCATE, UDP)).get(NONCE)
        assert nonce is not None
        assert code(client.request(Method.ALLOCATE, UDP, nonce=nonce)) == 0
    mine, theirs = alice.allocation, bob.allocation
    assert mine is not None
    assert theirs is not None
    assert code(alice.bind(0x4000, theirs.relay.advertised)) == 0
    assert code(bob.permit(mine.relay.advertised)) == 0
    assert alice.indicate(theirs.relay.advertised, b"ping")
    assert bob.indicate(mine.relay.advertised, b"pong")
    assert code(alice.refresh(0)) == 0
    assert bob.indicate(mine.relay.advertised, b"still there?") == []
    bob.disconnect()
    world.let_all_expire()
    assert world.leftovers() == {}


def test_counters_say_what_happened() -> None:
    world = World()
    alice = world.client()
    alice.ask(alice.unsigned(Method.BINDING))
    alice.ask(alice.unsigned(Method.ALLOCATE))
    alice.refresh()
    assert world.server.counters == {"binding": 1, "error-401": 1, "error-437": 1}
