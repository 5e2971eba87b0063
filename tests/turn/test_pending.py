"""Questions: what is open at a time, what waits behind it, and what if nobody answers."""

from typing import Any

import pytest

from tests.turn.client import (
    OTHER_PEER,
    PEER,
    REALM_NAME,
    UDP,
    code,
    codes,
    peers,
)
from tests.turn.world import World
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    EVEN_PORT,
    LIFETIME,
    MESSAGE_INTEGRITY,
)
from tornado_webrtc.stun.message import Method
from tornado_webrtc.turn.action import (
    CloseRelay,
    FindCredential,
    MayAllocate,
    MayRelayTo,
    OpenRelay,
    Question,
    Refused,
    RelayData,
    Respond,
    Withdraw,
)
from tornado_webrtc.turn.server import MAX_WAITING_REQUESTS
from tornado_webrtc.turn.settings import TurnSettings

ONE_CLIENT = ["203.0.113.1"] * 3
ONE_NETWORK = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
THREE_CLIENTS = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]


def test_questions_of_several_five_tuples_are_open_at_a_time() -> None:
    world = World()
    clients = [world.client(name, port=port) for port, name in enumerate(["alice", "bob", "?"])]
    world.held = {FindCredential}
    for client in clients:
        client.send(client.message(Method.ALLOCATE, UDP))
    numbers = list(world.open)
    world.held.clear()
    for number in reversed(numbers):
        world.answer(number, world.answer_to(world.open[number]))
    assert [codes(client) for client in clients] == [[0], [0], [401]]
    assert len(world.server.allocations) == 2


def test_time_passes_while_a_question_is_open() -> None:
    world = World()
    world.users["alice"].expires_at = world.wall + 5
    alice, bob = world.client(), world.client("bob", port=40001)
    world.held = {FindCredential, OpenRelay}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    bob.send(bob.message(Method.ALLOCATE, UDP))
    world.wait(5)
    world.answer_open()
    assert codes(alice) == [401], "expired in the meantime"
    world.answer_open()
    world.wait(5)
    world.answer_open()
    allocation = bob.allocation
    assert allocation is not None
    assert (allocation.created_at, allocation.expires_at) == (1010, 1610)


def test_requests_of_a_five_tuple_are_handled_in_order() -> None:
    world = World()
    alice = world.client()
    world.held = {MayAllocate, OpenRelay, MayRelayTo}
    requests = [
        alice.message(Method.ALLOCATE, UDP),
        alice.message(Method.CREATE_PERMISSION, *peers(PEER)),
        alice.message(Method.CHANNEL_BIND, (CHANNEL_NUMBER, 0x4000), *peers(OTHER_PEER)),
        alice.message(Method.REFRESH, (LIFETIME, 0)),
        alice.message(Method.REFRESH),
    ]
    for request in requests:
        alice.send(request)
    assert [type(question) for question in world.open.values()] == [MayAllocate]
    while world.open:
        assert len(world.open) == 1
        world.answer_open()
    responses = alice.responses()
    assert [response.transaction_id for response in responses] == [r[8:20] for r in requests]
    assert [code(response) for response in responses] == [0, 0, 0, 0, 437]
    assert world.leftovers() == {}


def test_rejected_request_lets_the_next_one_in() -> None:
    world = World()
    alice = world.client()
    world.held = {MayAllocate}
    world.may_allocate = False
    alice.send(alice.message(Method.ALLOCATE, UDP))
    alice.send(alice.unsigned(Method.REFRESH))
    alice.send(alice.message(Method.ALLOCATE, UDP))
    world.answer_all()
    assert codes(alice) == [403, 401, 403]


def test_retransmissions_of_waiting_requests_are_dropped() -> None:
    world = World()
    alice = world.client()
    world.held = {OpenRelay}
    first, second = alice.message(Method.ALLOCATE, UDP), alice.message(Method.REFRESH)
    for request in (first, first, second, first, second):
        alice.send(request)
    assert world.server.counters["dropped-retransmission"] == 3
    world.answer_all()
    assert codes(alice) == [0, 0]
    assert len(world.relays) == 1


def test_no_more_than_a_few_requests_wait() -> None:
    world = World()
    alice = world.client()
    world.held = {MayAllocate}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    for _ in range(MAX_WAITING_REQUESTS + 5):
        alice.send(alice.message(Method.REFRESH))
    assert world.server.counters["dropped-too-many-waiting"] == 5
    world.answer_all()
    assert codes(alice) == [0] * (1 + MAX_WAITING_REQUESTS)
    world.let_all_expire()
    assert world.leftovers() == {}


def test_nothing_waits_behind_a_request_of_whom_nobody_knows() -> None:
    world = World()
    alice = world.client()
    world.held = {FindCredential}
    request = alice.message(Method.ALLOCATE, UDP)
    for data in (request, alice.message(Method.REFRESH), request):
        alice.send(data)
    assert world.server.counters == {"dropped-too-many-waiting": 1, "dropped-retransmission": 1}
    world.answer_all()
    assert codes(alice) == [0]


@pytest.mark.parametrize(
    ("settings", "ips", "expected"),
    [
        ({"max_lookups_per_client": 2}, ONE_CLIENT, [[], [], [500]]),
        (
            {"max_lookups_per_client": 2},
            ONE_NETWORK,
            [[], [], [500]],
        ),
        (
            {"max_lookups_per_client": 2},
            THREE_CLIENTS,
            [[], [], []],
        ),
        ({"max_lookups": 2}, THREE_CLIENTS, [[], [], [500]]),
        ({"max_lookups": 0, "max_lookups_per_client": 0}, ONE_CLIENT, [[], [], []]),
    ],
)
def test_lookups_at_a_time_are_limited(
    settings: dict[str, Any], ips: list[str], expected: list[list[int]]
) -> None:
    world = World(TurnSettings(realm=REALM_NAME, **settings))
    clients = [world.client(ip=ip, port=40000 + port) for port, ip in enumerate(ips)]
    world.held = {FindCredential}
    for client in clients:
        client.send(client.message(Method.ALLOCATE, UDP))
    assert [codes(client) for client in clients] == expected
    world.answer_all()
    for client, refused in zip(clients, expected, strict=True):
        assert codes(client) == ([] if refused else [0])
        client.disconnect()
        assert code(client.allocate()) == 0
    world.let_all_expire()
    assert world.leftovers() == {}


@pytest.mark.parametrize("held", [FindCredential, MayAllocate, OpenRelay])
def test_question_that_nobody_answers_ends_with_500(held: type[Question]) -> None:
    world = World()
    alice = world.client()
    world.held = {held}
    request = alice.message(Method.ALLOCATE, UDP)
    alice.send(request)
    (number,) = world.open
    world.wait(9.5)
    assert world.expire() == []
    assert world.server.next_deadline() == world.now + 0.5
    world.wait(0.5)
    withdrawn, refused, respond = world.expire()
    assert withdrawn == Withdraw(number)
    cause = "a plugin did not answer in time"
    assert refused == Refused(alice.five_tuple, alice.username, 500, cause)
    assert isinstance(respond, Respond)
    (response,) = alice.responses()
    assert code(response) == 500
    assert response.has(MESSAGE_INTEGRITY) is (held is not FindCredential)
    assert len(world.server.quotas) == 0
    world.answer_all()
    assert world.leftovers() == {}
    assert code(alice.ask(request)) == 0


def test_request_behind_one_that_nobody_answers_gets_its_turn() -> None:
    world = World()
    alice = world.client()
    world.held = {MayAllocate}
    alice.send(alice.message(Method.ALLOCATE, UDP))
    alice.send(alice.message(Method.REFRESH))
    world.wait(10)
    world.expire()
    assert codes(alice) == [500, 437]


def test_data_does_not_wait_behind_a_question() -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    alice.permit(PEER)
    world.held = {MayRelayTo}
    alice.send(alice.message(Method.CREATE_PERMISSION, *peers(OTHER_PEER)))
    assert alice.indicate(PEER, b"x") == [RelayData(allocation, PEER, b"x")]
    world.answer_all()


def test_answer_to_a_question_that_nobody_asked_is_ignored() -> None:
    world = World()
    assert world.answer(7, True) == []
    assert world.answer(7, None) == []


def test_answer_that_comes_twice_counts_once() -> None:
    world = World()
    alice = world.client()
    world.held = {OpenRelay}
    alice.send(alice.message(Method.ALLOCATE, UDP, (EVEN_PORT, True)))
    (number,) = world.open
    question = world.open[number]
    assert isinstance(question, OpenRelay)
    first, second = world.open_relay(question), world.open_relay(question)
    world.answer(number, first)
    assert second is not None
    assert second.reserved is not None
    assert world.answer(number, second) == [
        CloseRelay(second.relay),
        CloseRelay(second.reserved),
    ]
    assert codes(alice) == [0]
