"""Who sent a request: RFC 8489 section 9.2.4, step by step, and RFC 8656 section 5."""

import pytest

from tests.turn.client import PEER, REALM_NAME, UDP, Client, code, codes, peers, signed_with
from tests.turn.world import User, World
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    DONT_FRAGMENT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    NONCE,
    PRIORITY,
    REALM,
    SOFTWARE,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERHASH,
    USERNAME,
    Attribute,
)
from tornado_webrtc.stun.message import Message, MessageClass, Method, encode
from tornado_webrtc.turn.action import AddAllocation, FindCredential
from tornado_webrtc.turn.authentication import UNDERSTOOD
from tornado_webrtc.turn.request import AttributeValue
from tornado_webrtc.turn.server import MAX_STRANGER_BYTES

METHODS = [Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND]
OF_METHOD: dict[int, list[AttributeValue]] = {
    Method.ALLOCATE: [UDP],
    Method.REFRESH: [],
    Method.CREATE_PERMISSION: peers(PEER),
    Method.CHANNEL_BIND: [(CHANNEL_NUMBER, 0x4000), *peers(PEER)],
}


def assert_challenge(client: Client, response: Message, expected: int) -> None:
    """The response names the realm and a nonce that is good for this client."""
    assert code(response) == expected
    assert response.get(REALM) == REALM_NAME
    nonce = response.get(NONCE)
    assert nonce is not None
    world = client.world
    assert world.nonces.check(nonce, client.five_tuple.client.host, world.wall)
    assert not response.has(MESSAGE_INTEGRITY)
    assert not response.has(USERNAME)


def assert_400_without_challenge(response: Message) -> None:
    """ "This response SHOULD NOT include a USERNAME, USERHASH, NONCE, or REALM attribute." """
    assert code(response) == 400
    assert not any(response.has(each) for each in (USERNAME, USERHASH, NONCE, REALM))


# --- what may be forged ------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_owner_of_an_allocation_gets_a_new_nonce_whoever_uses_its_address(transport: str) -> None:
    world = World(challenges_per_s=1)
    alice = world.client(transport=transport)
    alice.allocated()
    old = alice.message(Method.REFRESH)
    world.wait(599)
    alice.refresh()
    world.wait(2)
    for _ in range(100):
        alice.send(alice.unsigned(Method.ALLOCATE))
    alice.take()
    forged = signed_with(old[:-24], b"wrong", 0x8022, b"")
    assert alice.send(forged) == []
    assert_challenge(alice, alice.ask(old), 438)


@pytest.mark.parametrize(("flood", "starved"), [("udp", {"udp"}), ("tcp", {"tcp"})])
def test_challenges_over_each_transport_are_rationed_apart(flood: str, starved: set[str]) -> None:
    """The source of a datagram may be forged; a stream's is not."""
    world = World(challenges_per_s=1)
    forger = world.client(transport=flood)
    for _ in range(100):
        forger.send(forger.unsigned(Method.ALLOCATE))
    for transport in ("udp", "tcp"):
        client = world.client(port=40001, transport=transport)
        client.send(client.unsigned(Method.ALLOCATE))
        assert codes(client) == ([] if transport in starved else [401])


def test_bindings_take_nothing_from_challenges() -> None:
    world = World(challenges_per_s=1)
    alice = world.client()
    for _ in range(100):
        alice.send(alice.unsigned(Method.BINDING))
    assert len(alice.take()) < 10
    assert code(alice.ask(alice.unsigned(Method.ALLOCATE))) == 401


@pytest.mark.parametrize("method", [Method.BINDING, Method.ALLOCATE])
def test_large_requests_of_strangers_are_dropped(method: int) -> None:
    """No answer is larger than what a datagram to a forged address may be."""
    world = World()
    alice = world.client()
    unknown = [(0x7000 + number).to_bytes(2) + bytes(2) for number in range(508)]
    head, cookie = alice.unsigned(method)[:2], alice.unsigned(method)[4:20]
    large = head + (4 * 507).to_bytes(2) + cookie + b"".join(unknown[:507])
    assert len(large) == MAX_STRANGER_BYTES
    alice.send(large)
    (response,) = alice.take()
    assert len(response) < 200
    larger = head + (4 * 508).to_bytes(2) + cookie + b"".join(unknown)
    assert alice.send(larger) == []
    assert world.server.counters["dropped-too-long"] == 1


# --- without integrity --------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_request_without_integrity_is_challenged_and_leaves_nothing(method: int) -> None:
    world = World()
    alice = world.client()
    response = alice.ask(alice.unsigned(method, *OF_METHOD[method]))
    assert_challenge(alice, response, 401)
    assert world.asked == []
    assert world.leftovers() == {}


def test_nonce_of_the_challenge_gets_in() -> None:
    alice = World().client()
    nonce = alice.ask(alice.unsigned(Method.ALLOCATE, UDP)).get(NONCE)
    assert nonce is not None
    assert code(alice.request(Method.ALLOCATE, UDP, nonce=nonce)) == 0


def test_answers_to_strangers_are_rationed() -> None:
    world = World(challenges_per_s=1)
    alice, neighbour = world.client(), world.client(port=40001)
    far = world.client("bob", ip="203.0.114.1")
    for client in (alice, neighbour, alice, neighbour):
        assert_challenge(client, client.ask(client.unsigned(Method.ALLOCATE)), 401)
    alice.send(alice.unsigned(Method.ALLOCATE))
    neighbour.send(neighbour.message(Method.ALLOCATE, nonce="no nonce"))
    assert not world.outbox, "the limit counts addresses, not ports"
    assert world.server.counters["dropped-challenge-limit"] == 2
    assert code(far.ask(far.unsigned(Method.ALLOCATE))) == 401, "others are not hit"
    assert code(alice.allocate()) == 0, "who has a credential is answered in any case"
    assert code(alice.allocate()) == 437, "errors too"
    world.wait(1)
    assert code(neighbour.ask(neighbour.unsigned(Method.ALLOCATE))) == 401


# --- form ---------------------------------------------------------------------


@pytest.mark.parametrize("missing", [USERNAME, REALM, NONCE])
def test_integrity_without_the_rest_is_400(missing: Attribute[str]) -> None:
    world = World()
    alice = world.client()
    attributes = [each for each in alice.credentials() if each[0] is not missing]
    request = encode(
        Method.ALLOCATE, MessageClass.REQUEST, world.transaction_id(), attributes, key=alice.key
    )
    assert_400_without_challenge(alice.ask(request))
    assert world.asked == []


@pytest.mark.parametrize("attribute", [USERNAME, REALM, NONCE])
def test_malformed_text_is_400(attribute: Attribute[str]) -> None:
    world = World()
    alice = world.client()
    others = [each for each in alice.credentials() if each[0] is not attribute]
    request = alice.unsigned(Method.ALLOCATE, *others)
    response = alice.ask(signed_with(request, alice.key, attribute.code, b"\xff"))
    assert_400_without_challenge(response)
    assert world.asked == []


def test_integrity_of_a_wrong_length_is_401() -> None:
    alice = World().client()
    request = alice.message(Method.ALLOCATE, UDP)
    cut = request[:2] + (len(request) - 24).to_bytes(2) + request[4:-4]
    cut = cut[:-18] + (16).to_bytes(2) + cut[-16:]
    assert_challenge(alice, alice.ask(cut), 401)


def test_integrity_of_sha256_alone_counts_as_none() -> None:
    world = World()
    alice = world.client()
    request = encode(
        Method.ALLOCATE,
        MessageClass.REQUEST,
        world.transaction_id(),
        [UDP, *alice.credentials()],
        key=alice.key,
        integrity=MESSAGE_INTEGRITY_SHA256,
    )
    assert_challenge(alice, alice.ask(request), 401)


# --- nonce and realm ----------------------------------------------------------


def test_nonce_is_bound_to_the_address_but_not_to_the_port() -> None:
    world = World()
    alice, other_port = world.client(), world.client(port=40001)
    elsewhere = world.client(ip="203.0.113.2")
    nonce = world.nonces.make("203.0.113.1", world.wall)
    assert code(alice.request(Method.ALLOCATE, UDP, nonce=nonce)) == 0
    assert code(other_port.request(Method.ALLOCATE, UDP, nonce=nonce)) == 0
    response = elsewhere.request(Method.ALLOCATE, UDP, nonce=nonce)
    assert_challenge(elsewhere, response, 438)


@pytest.mark.parametrize("method", METHODS)
def test_old_nonce_is_438_and_the_new_one_is_good(method: int) -> None:
    world = World()
    alice = world.client()
    nonce = world.nonces.make("203.0.113.1", world.wall)
    world.wait(599)
    alice.allocated()
    assert code(alice.request(Method.REFRESH, nonce=nonce)) == 0
    world.wait(1)
    response = alice.request(method, *OF_METHOD[method], nonce=nonce)
    assert_challenge(alice, response, 438)
    assert code(alice.request(Method.REFRESH, nonce=str(response.get(NONCE)))) == 0


def test_nonce_is_checked_before_the_name() -> None:
    world = World()
    stranger = world.client("mallory")
    assert_challenge(stranger, stranger.request(Method.ALLOCATE, UDP, nonce="x"), 438)
    assert world.asked == []


def test_wrong_realm_is_401() -> None:
    world = World()
    alice = world.client()
    assert_challenge(alice, alice.request(Method.ALLOCATE, UDP, realm="example.com"), 401)
    assert world.asked == []


# --- name and password --------------------------------------------------------


def test_unknown_user_and_bad_password_are_answered_alike() -> None:
    world = World()
    alice, stranger = world.client(), world.client("mallory", port=40001)
    alice.password = "guess"
    responses = [client.allocate() for client in (alice, stranger)]
    for client, response in zip((alice, stranger), responses, strict=True):
        assert_challenge(client, response, 401)
    first, second = ((r.raw[:8], r.raw[20:]) for r in responses)
    assert first == second
    assert world.leftovers() == {}


@pytest.mark.parametrize("method", METHODS)
def test_bad_password_does_nothing_to_an_allocation(method: int) -> None:
    world = World()
    alice = world.client()
    allocation = alice.allocated()
    expires_at = allocation.expires_at
    world.wait(10)
    alice.password = "guess"
    assert_challenge(alice, alice.request(method, *OF_METHOD[method]), 401)
    assert (allocation.expires_at, allocation.permissions) == (expires_at, {})


def test_every_key_of_a_name_is_good_and_signs_the_answer() -> None:
    world = World()
    world.users["alice"].older_password = "rabbit"
    alice = world.client()
    alice.password = "rabbit"
    alice.allocated()
    assert code(alice.refresh()) == 0
    alice.password = "wonderland"
    assert code(alice.refresh()) == 401, "the allocation keeps the key that made it"


def test_live_allocation_needs_no_look_up() -> None:
    world = World()
    alice = world.client()
    alice.allocated()
    world.asked.clear()
    del world.users["alice"]
    assert code(alice.refresh()) == 0
    assert code(alice.permit(PEER)) == 0
    assert not any(isinstance(question, FindCredential) for question in world.asked)


def test_expired_credential_allocates_nothing_but_keeps_what_it_has() -> None:
    world = World()
    world.users["alice"].expires_at = world.wall + 60
    alice, later = world.client(), world.client(port=40001)
    alice.allocated()
    world.wait(59)
    assert code(later.allocate()) == 0
    world.wait(1)
    latest = world.client(port=40002)
    response = latest.allocate()
    assert code(response) == 401
    assert response.has(NONCE)
    assert response.has(MESSAGE_INTEGRITY), "it is this user, after all"
    assert code(alice.refresh()) == 0
    assert code(alice.permit(PEER)) == 0
    assert code(alice.bind(0x4000, PEER)) == 0
    assert code(alice.refresh(0)) == 0
    assert code(alice.allocate()) == 401


# --- another user's allocation ------------------------------------------------


@pytest.mark.parametrize("method", METHODS[1:])
def test_another_users_credential_is_441(method: int) -> None:
    """RFC 8656 section 5: "if a non-Allocate request passes authentication" and so on."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    allocation = alice.allocated()
    before = allocation.expires_at
    world.wait(1)
    response = bob.request(method, *OF_METHOD[method])
    assert code(response) == 441
    assert response.has(MESSAGE_INTEGRITY)
    assert (allocation.expires_at, allocation.permissions) == (before, {})


def test_another_name_of_the_same_account_is_441() -> None:
    world = World()
    world.users["2:alice"] = User("new", "alice")
    world.client("alice").allocated()
    assert code(world.client("2:alice").refresh()) == 441


def test_another_users_allocate_is_437() -> None:
    """RFC 8656 section 7.2, step 2: section 5 speaks of other requests only."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    alice.allocated()
    assert code(bob.allocate()) == 437


def test_another_user_is_not_shown_the_answer_to_an_allocate() -> None:
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    request = alice.message(Method.ALLOCATE, UDP)
    assert code(alice.ask(request)) == 0
    same_id = encode(
        Method.ALLOCATE,
        MessageClass.REQUEST,
        request[8:20],
        [UDP, *bob.credentials()],
        key=bob.key,
    )
    assert code(bob.ask(same_id)) == 437


# --- what has to be understood ------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_unknown_attributes_are_420_and_listed_once(method: int) -> None:
    world = World()
    alice = world.client()
    if method != Method.ALLOCATE:
        alice.allocated()
    unknown: list[AttributeValue] = [(PRIORITY, 1), (USE_CANDIDATE, True), (PRIORITY, 2)]
    response = alice.request(method, *OF_METHOD[method], *unknown, (SOFTWARE, "optional"))
    assert code(response) == 420
    assert response.get(UNKNOWN_ATTRIBUTES) == (PRIORITY.code, USE_CANDIDATE.code)
    assert response.has(MESSAGE_INTEGRITY)


def test_unknown_attributes_count_after_authentication_only() -> None:
    alice = World().client()
    assert code(alice.ask(alice.unsigned(Method.ALLOCATE, (PRIORITY, 1)))) == 401
    alice.password = "guess"
    assert code(alice.request(Method.ALLOCATE, UDP, (PRIORITY, 1))) == 401


def test_attributes_after_the_integrity_do_not_count() -> None:
    world = World()
    alice = world.client()
    request = alice.message(Method.ALLOCATE, UDP)
    extra = PRIORITY.code.to_bytes(2) + (4).to_bytes(2) + bytes(4)
    request = request[:2] + (len(request) - 20 + len(extra)).to_bytes(2) + request[4:] + extra
    assert any(isinstance(action, AddAllocation) for action in alice.send(request))


def test_everything_that_a_handler_reads_is_understood() -> None:
    assert {DATA.code, DONT_FRAGMENT.code, CHANNEL_NUMBER.code} < UNDERSTOOD
    assert all(each < 0x8000 for each in UNDERSTOOD)
