"""Allocate: every numbered step of RFC 8656 section 7.2."""

from typing import Any

import pytest

from tests.turn.client import PEER_IPV6, REALM_NAME, UDP, Client, code
from tests.turn.world import LOCAL_IP, RELAY_IP, User, World
from tornado_webrtc.stun.address import IPV4, IPV6, TransportAddress
from tornado_webrtc.stun.attribute import (
    ADDITIONAL_ADDRESS_FAMILY,
    ADDRESS_ERROR_CODE,
    DONT_FRAGMENT,
    EVEN_PORT,
    LIFETIME,
    MESSAGE_INTEGRITY,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    RESERVATION_TOKEN,
    XOR_MAPPED_ADDRESS,
    XOR_RELAYED_ADDRESS,
    AddressErrorCode,
    Attribute,
)
from tornado_webrtc.stun.integrity import long_term_key
from tornado_webrtc.stun.message import Message, Method
from tornado_webrtc.turn.action import (
    AddAllocation,
    AllocationCreated,
    Ask,
    CloseRelay,
    FindCredential,
    MayAllocate,
    OpenRelay,
    RemoveAllocation,
    Respond,
)
from tornado_webrtc.turn.quota import AllocationLimits
from tornado_webrtc.turn.request import AttributeValue
from tornado_webrtc.turn.settings import TurnSettings

BOTH = TurnSettings(realm=REALM_NAME, families=(IPV4, IPV6))
ONLY_IPV6 = TurnSettings(realm=REALM_NAME, families=(IPV6,))


def relayed(response: Message) -> TransportAddress:
    """Return XOR-RELAYED-ADDRESS."""
    address = response.get(XOR_RELAYED_ADDRESS)
    assert address is not None
    return address


def token(response: Message) -> bytes:
    """Return RESERVATION-TOKEN."""
    value = response.get(RESERVATION_TOKEN)
    assert value is not None
    return value


def assert_nothing_came_of(world: World) -> None:
    """No socket was opened, and everything that was taken is given back."""
    assert not any(isinstance(question, OpenRelay) for question in world.asked)
    assert world.leftovers() == {}


# --- success --------------------------------------------------------------------


def test_success_tells_addresses_and_lifetime_and_nothing_else() -> None:
    world = World()
    alice = world.client()
    response = alice.allocate()
    assert relayed(response).host == RELAY_IP
    assert response.get(XOR_MAPPED_ADDRESS) == alice.five_tuple.client
    assert response.get(LIFETIME) == 600
    expected = (XOR_RELAYED_ADDRESS, XOR_MAPPED_ADDRESS, LIFETIME, MESSAGE_INTEGRITY)
    assert response.unknown_comprehension_required({each.code for each in expected}) == ()
    assert not response.has(RESERVATION_TOKEN)
    assert not response.has(ADDRESS_ERROR_CODE)


def test_allocation_is_made_before_the_client_is_told() -> None:
    world = World()
    alice = world.client()
    actions = alice.send(alice.message(Method.ALLOCATE, UDP))
    asked = [type(action.question) for action in actions if isinstance(action, Ask)]
    assert asked == [FindCredential, MayAllocate, OpenRelay]
    allocation = alice.allocation
    assert allocation is not None
    done = [action for action in actions if not isinstance(action, Ask)]
    assert done == [
        AddAllocation(allocation),
        Respond(alice.five_tuple, allocation.response),
        AllocationCreated(allocation),
    ]


def test_allocation_knows_whose_it_is() -> None:
    world = World()
    world.users["99:alice"] = User("fresh", "alice")
    allocation = world.client("99:alice").allocated()
    assert (allocation.username, allocation.user) == ("99:alice", "alice")
    assert allocation.key == long_term_key("99:alice", REALM_NAME, "fresh")
    assert (allocation.created_at, allocation.expires_at) == (1000, 1600)
    assert allocation.relay.local.host == LOCAL_IP
    assert "fresh" not in repr(allocation)
    assert repr(allocation.key) not in repr(allocation)


def test_ids_are_not_used_again() -> None:
    world = World()
    alice = world.client()
    first = alice.allocated()
    alice.refresh(0)
    assert alice.allocated().id > first.id


# --- step 2: the five-tuple is in use -----------------------------------------


def test_second_allocate_is_437() -> None:
    world = World()
    alice = world.client()
    first = alice.allocated()
    response = alice.allocate()
    assert code(response) == 437
    assert response.has(MESSAGE_INTEGRITY)
    assert alice.allocation is first


def test_retransmission_gets_the_same_bytes_and_nothing_is_allocated_twice() -> None:
    world = World(limits=AllocationLimits(per_user=2))
    alice = world.client()
    request = alice.message(Method.ALLOCATE, UDP, (EVEN_PORT, True))
    alice.send(request)
    first = alice.take()
    asked = len(world.asked)
    world.wait(5)
    assert alice.send(request) == [Respond(alice.five_tuple, first[0])]
    assert alice.take() == first
    assert len(world.asked) == asked
    assert len(world.server.allocations) == len(world.server.reservations) == 1


def test_same_request_allocates_again_when_the_allocation_is_over() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    world.wait(600)
    assert relayed(alice.allocate()).port == 50001
    assert len(world.relays) == 1


# --- step 3: transport ----------------------------------------------------------


def test_transport_is_required() -> None:
    world = World()
    assert code(world.client().request(Method.ALLOCATE)) == 400
    assert_nothing_came_of(world)


@pytest.mark.parametrize("transport", [0, 6, 255])
def test_transport_other_than_udp_is_442(transport: int) -> None:
    world = World()
    alice = world.client()
    assert code(alice.request(Method.ALLOCATE, (REQUESTED_TRANSPORT, transport))) == 442
    assert_nothing_came_of(world)


def test_dont_fragment_is_supported() -> None:
    """Step 4."""
    assert code(World().client().allocate((DONT_FRAGMENT, True))) == 0


# --- step 5: RESERVATION-TOKEN --------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        (EVEN_PORT, False),
        (EVEN_PORT, True),
        (REQUESTED_ADDRESS_FAMILY, IPV4),
        (ADDITIONAL_ADDRESS_FAMILY, IPV6),
    ],
)
def test_token_with_a_choice_is_400(choice: AttributeValue) -> None:
    world = World()
    alice, again = world.client(), world.client(port=40001)
    reserved = token(alice.allocate((EVEN_PORT, True)))
    assert code(again.allocate((RESERVATION_TOKEN, reserved), choice)) == 400
    assert reserved in world.server.reservations


def test_reserved_port_is_the_next_one_and_can_be_had_once() -> None:
    world = World()
    first, second, third = (world.client(port=40000 + index) for index in range(3))
    response = first.allocate((EVEN_PORT, True))
    asked = [question for question in world.asked if isinstance(question, OpenRelay)]
    assert asked == [OpenRelay(IPV4, True, True, first.five_tuple)]
    reserved = (RESERVATION_TOKEN, token(response))
    assert len(token(response)) == 8
    assert relayed(response).port % 2 == 0
    assert relayed(second.allocate(reserved)).port == relayed(response).port + 1
    assert code(third.allocate(reserved)) == 508
    assert sum(isinstance(question, OpenRelay) for question in world.asked) == 1
    world.let_all_expire()
    assert world.leftovers() == {}


def test_redeemed_reservation_leaves_no_deadline() -> None:
    world = World()
    first, second = world.client(), world.client(port=40001)
    reserved = token(first.allocate((EVEN_PORT, True)))
    second.allocated((RESERVATION_TOKEN, reserved))
    assert world.server.next_deadline() == 1600
    for client in (first, second):
        client.refresh(0)
    assert world.leftovers() == {}


def test_even_port_alone_reserves_nothing() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    response = world.client(port=40001).allocate((EVEN_PORT, False))
    assert relayed(response).port % 2 == 0
    assert not response.has(RESERVATION_TOKEN)
    assert world.server.reservations == {}


def test_token_of_another_user_is_508() -> None:
    world = World()
    alice, bob = world.client(), world.client("bob", port=40001)
    reserved = token(alice.allocate((EVEN_PORT, True)))
    assert code(bob.allocate((RESERVATION_TOKEN, reserved))) == 508
    alice_again = world.client(port=40002)
    assert code(alice_again.allocate((RESERVATION_TOKEN, reserved))) == 0


def test_reserved_port_counts_for_whom_it_was_reserved() -> None:
    """Whoever is asked may name another account for the same name in the meantime."""
    world = World(limits=AllocationLimits(per_user=2))
    alice, again = world.client(), world.client(port=40001)
    reserved = token(alice.allocate((EVEN_PORT, True)))
    alice.refresh(0)
    world.users["alice"].account = "another"
    assert again.allocated((RESERVATION_TOKEN, reserved)).user == "alice"
    assert code(again.refresh(0)) == 0
    assert world.leftovers() == {}


def test_token_that_was_never_given_is_508() -> None:
    world = World()
    assert code(world.client().allocate((RESERVATION_TOKEN, b"12345678"))) == 508
    assert world.leftovers() == {}


def test_reservation_that_nobody_wants_is_closed_after_30_s() -> None:
    world = World()
    alice, again = world.client(), world.client(port=40001)
    reserved = token(alice.allocate((EVEN_PORT, True)))
    relay = world.server.reservations[reserved].relay
    world.wait(29.9)
    assert world.expire() == []
    world.wait(0.1)
    assert world.server.next_deadline() == world.now
    actions = again.send(again.message(Method.ALLOCATE, UDP, (RESERVATION_TOKEN, reserved)))
    assert actions[0] == CloseRelay(relay)
    assert [code(each) for each in again.responses()] == [508]
    assert len(world.relays) == 1


def test_reservation_outlives_its_allocation() -> None:
    world = World()
    alice = world.client()
    reserved = token(alice.allocate((EVEN_PORT, True)))
    alice.refresh(0)
    assert code(alice.allocate((RESERVATION_TOKEN, reserved))) == 0


# --- steps 6 to 9: families and ports -------------------------------------------


@pytest.mark.parametrize("settings", [None, BOTH])
def test_family_is_ipv4_unless_asked_for(settings: TurnSettings | None) -> None:
    world = World(settings) if settings else World()
    assert world.client().allocated().relay.advertised.family == IPV4


def test_both_families_can_be_relayed() -> None:
    world = World(BOTH)
    for port, family in enumerate((IPV4, IPV6)):
        allocation = world.client(port=port).allocated((REQUESTED_ADDRESS_FAMILY, family))
        assert allocation.relay.advertised.family == family


@pytest.mark.parametrize(
    ("settings", "requested"),
    [(None, [IPV6]), (None, [3]), (None, [0]), (ONLY_IPV6, []), (ONLY_IPV6, [IPV4])],
)
def test_family_that_is_not_relayed_is_440(
    settings: TurnSettings | None, requested: list[int]
) -> None:
    world = World(settings) if settings else World()
    attributes = [(REQUESTED_ADDRESS_FAMILY, family) for family in requested]
    assert code(world.client().allocate(*attributes)) == 440
    assert_nothing_came_of(world)


@pytest.mark.parametrize(
    "attributes",
    [
        [(REQUESTED_ADDRESS_FAMILY, IPV4), (ADDITIONAL_ADDRESS_FAMILY, IPV6)],
        [(ADDITIONAL_ADDRESS_FAMILY, IPV6), (EVEN_PORT, True)],
        [(ADDITIONAL_ADDRESS_FAMILY, IPV4)],
        [(ADDITIONAL_ADDRESS_FAMILY, 0)],
    ],
)
def test_additional_family_that_makes_no_sense_is_400(attributes: list[AttributeValue]) -> None:
    world = World(BOTH)
    assert code(world.client().allocate(*attributes)) == 400
    assert_nothing_came_of(world)


@pytest.mark.parametrize(("world", "expected"), [(World(), 440), (World(BOTH), 508)])
def test_additional_family_that_cannot_be_had_is_said(world: World, expected: int) -> None:
    wanted = ((ADDITIONAL_ADDRESS_FAMILY, IPV6), (EVEN_PORT, False))
    response = world.client().allocate(*wanted)
    assert relayed(response).family == IPV4
    assert response.get(ADDRESS_ERROR_CODE) == AddressErrorCode(IPV6, expected, "")


@pytest.mark.parametrize("attributes", [[], [(EVEN_PORT, True)]])
def test_no_free_port_is_508(attributes: list[AttributeValue]) -> None:
    world = World(limits=AllocationLimits(total=1 + len(attributes)))
    world.free_relays = 0
    assert code(world.client().allocate(*attributes)) == 508
    assert world.leftovers() == {}
    world.free_relays = 2
    assert code(world.client().allocate(*attributes)) == 0


def test_reserved_ports_count_for_the_quota() -> None:
    world = World(limits=AllocationLimits(per_user=2))
    alice = world.client()
    token = alice.allocate((EVEN_PORT, True)).get(RESERVATION_TOKEN)
    assert token is not None
    assert code(world.client(port=40001).allocate()) == 486
    second = world.client(port=40002)
    assert code(second.allocate((RESERVATION_TOKEN, token))) == 0
    assert len(world.server.quotas) == 2
    alice.refresh(0)
    assert code(alice.allocate((EVEN_PORT, True))) == 486
    second.refresh(0)
    assert code(alice.allocate((EVEN_PORT, True))) == 0
    world.wait(31)
    world.expire()
    assert len(world.server.quotas) == 1


# --- step 10: quotas --------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "others"),
    [
        (AllocationLimits(total=2), ("bob", "203.0.114.9")),
        (AllocationLimits(per_user=2), ("alice", "203.0.114.9")),
        (AllocationLimits(per_client=2), ("bob", "203.0.113.1")),
    ],
)
def test_quota_is_486_until_something_ends(
    limits: AllocationLimits, others: tuple[str, str]
) -> None:
    world = World(limits=limits)
    clients = [world.client(port=40000 + index) for index in range(2)]
    for client in clients:
        client.allocated()
    third = world.client(others[0], ip=others[1], port=40009)
    assert code(third.allocate()) == 486
    assert world.free_relays == 998
    assert code(clients[0].refresh(0)) == 0
    assert code(third.allocate()) == 0
    assert code(clients[0].allocate()) == 486


@pytest.mark.parametrize("fault", ["allocate", "relay", "token", "transport"])
def test_refused_request_gives_its_quota_back(fault: str) -> None:
    world = World(limits=AllocationLimits(per_user=1))
    alice = world.client()
    world.may_allocate = fault != "allocate"
    world.free_relays = 0 if fault == "relay" else 1
    attributes: dict[str, list[AttributeValue]] = {
        "token": [UDP, (RESERVATION_TOKEN, b"12345678")],
        "transport": [(REQUESTED_TRANSPORT, 6)],
    }
    expected = {"allocate": 403, "relay": 508, "token": 508, "transport": 442}[fault]
    assert code(alice.request(Method.ALLOCATE, *attributes.get(fault, [UDP]))) == expected
    assert world.leftovers() == {}


def test_caller_may_forbid_with_403() -> None:
    world = World()
    world.may_allocate = False
    alice = world.client()
    assert code(alice.allocate()) == 403
    assert world.asked[-1] == MayAllocate("alice", "alice", alice.five_tuple)
    assert_nothing_came_of(world)


# --- lifetime ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "granted"),
    [(None, 600), (0, 600), (1, 600), (600, 600), (601, 601), (3600, 3600), (2**32 - 1, 3600)],
)
def test_lifetime(requested: int | None, granted: int) -> None:
    """ "Smaller of the client's and the maximum", and never less than the default."""
    world = World()
    alice = world.client()
    attributes = [] if requested is None else [(LIFETIME, requested)]
    assert alice.allocate(*attributes).get(LIFETIME) == granted
    world.wait(granted - 0.5)
    assert len(world.server.allocations) == 1
    assert world.expire() == []
    world.wait(0.5)
    assert alice.allocation is None, "an expired entry counts as absent"
    assert any(isinstance(action, RemoveAllocation) for action in world.expire())
    assert world.leftovers() == {}


# --- malformed --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (REQUESTED_TRANSPORT, b"\x11"),
        (LIFETIME, b"\0\0\x02"),
        (LIFETIME, b""),
        (EVEN_PORT, b""),
        (RESERVATION_TOKEN, b"1234567"),
        (REQUESTED_ADDRESS_FAMILY, b""),
        (ADDITIONAL_ADDRESS_FAMILY, b"\x01\0\0\0\0"),
    ],
)
def test_malformed_attribute_is_400_and_opens_nothing(
    attribute: Attribute[Any], value: bytes
) -> None:
    world = World()
    alice = world.client()
    before: list[AttributeValue] = [] if attribute is REQUESTED_TRANSPORT else [UDP]
    response = alice.ask(alice.malformed(Method.ALLOCATE, attribute.code, value, *before))
    assert code(response) == 400
    assert response.has(MESSAGE_INTEGRITY)
    assert_nothing_came_of(world)


def test_malformed_lifetime_does_not_use_up_a_reservation() -> None:
    world = World()
    alice, again = world.client(), world.client(port=40001)
    reserved = (RESERVATION_TOKEN, token(alice.allocate((EVEN_PORT, True))))
    malformed = again.malformed(Method.ALLOCATE, LIFETIME.code, b"", UDP, reserved)
    assert code(again.ask(malformed)) == 400
    assert code(again.allocate(reserved)) == 0


def test_peers_of_another_family_are_no_matter_here() -> None:
    world = World(BOTH)
    client: Client = world.client(ip=PEER_IPV6.host)
    assert client.allocated().relay.advertised.family == IPV4
