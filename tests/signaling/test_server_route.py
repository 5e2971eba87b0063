"""Offers, answers and candidates: who may send what to whom, and what it changes."""

import pytest

from tests.signaling.world import World, frame
from tornado_webrtc.signaling import (
    Peer,
    Send,
    SessionAnswered,
    SessionOffered,
    SessionState,
)
from tornado_webrtc.signaling.message import decode_envelope
from tornado_webrtc.signaling.server import MAX_SESSIONS_PER_PEER

OFFER = (
    b'{"type":"offer","data":{"to":"2","from":"1",'
    b'"description":{"sdp":"v=0\\r\\n","type":"offer"},"session_id":"1-2","media":"video"}}'
)
ANSWER = (
    b'{"type":"answer","data":{"to":"1","from":"2",'
    b'"description":{"sdp":"v=0\\r\\n","type":"answer"},"session_id":"1-2"}}'
)
CANDIDATE = (
    b'{"type":"candidate","data":{"to":"2","from":"1","candidate":{"sdpMLineIndex":0,'
    b'"sdpMid":"0","candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"},"session_id":"1-2"}}'
)
UUIDS = ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440001")
DIRECTED = ["offer", "answer", "candidate"]


@pytest.fixture
def world() -> World:
    return World()


def error(request: str, reason: str, code: str) -> bytes:
    """Return the error frame that a legacy client reads."""
    return (
        f'{{"type":"error","data":{{"request":"{request}","reason":"{reason}","code":"{code}"}}}}'
    ).encode()


def bye(session_id: str, to: str) -> bytes:
    return f'{{"type":"bye","data":{{"session_id":"{session_id}","to":"{to}"}}}}'.encode()


def refused(world: World, sender: Peer, kind: str, to: str, session_id: str) -> str:
    """Let a message be refused, to its sender only; return the code."""
    held = dict(sender.sessions)
    before = world.live()
    sent = len(world.sent)
    world.receive(sender, frame(kind, to=to, session_id=session_id))
    assert {send.address for send in world.sent[sent:]} == {sender.address}
    first, *rest = world.frames_to(sender)
    ends_dialog = kind == "offer" and session_id not in held
    assert rest == ([bye(session_id, sender.id)] if ends_dialog else [])
    assert world.live() == before
    assert sender.sessions == held
    return first.split(b'"code":"')[1].split(b'"')[0].decode()


# --- a call ------------------------------------------------------------------


def test_a_call_from_offer_to_answer(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    sent, offered = world.receive(one, OFFER)
    assert sent == Send(two.address, OFFER)
    session = one.sessions["1-2"]
    assert offered == SessionOffered(session)
    assert (session.caller, session.callee, session.offered_at) == (one, two, 1000.0)
    world.now = 1002.5
    assert world.receive(two, ANSWER) == [Send(one.address, ANSWER), SessionAnswered(session)]
    assert (session.state, session.answered_at) == (SessionState.ANSWERED, 1002.5)
    assert world.receive(one, CANDIDATE) == [Send(two.address, CANDIDATE)]
    assert world.live() == [("1-2", "1", "2")]


def test_order_is_kept(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    candidates = [CANDIDATE.replace(b'"0"', b'"%d"' % number) for number in range(5)]
    for text in [OFFER, *candidates]:
        world.receive(one, text)
    assert world.frames_to(two) == [OFFER, *candidates]


def test_missing_from_is_filled_in(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.receive(one, b'{"type":"offer","data":{"to":"2","session_id":"1-2","n":1e999}}')
    assert world.frames_to(two) == [
        b'{"type":"offer","data":{"to":"2","session_id":"1-2","n":1e999,"from":"1"}}'
    ]


@pytest.mark.parametrize("session_id", ["1-2", "2-1", "call", "a-b-c", "-", "1", "1-", "7-8"])
def test_any_session_id_will_do(world: World, session_id: str) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, session_id)
    assert world.live() == [(session_id, "1", "2")]


@pytest.mark.parametrize(
    ("caller_id", "callee_id"),
    [
        UUIDS,
        ("a-b", "c"),
        ("a", "b-c"),
        ("-", "--"),
        ("x" * 128, "y" * 128),
    ],
)
def test_ids_with_dashes(world: World, caller_id: str, callee_id: str) -> None:
    caller, callee = world.join(caller_id), world.join(callee_id)
    session_id = f"{caller_id}-{callee_id}"
    world.call(caller, callee, session_id)
    assert world.live() == [(session_id, caller_id, callee_id)]
    world.receive(callee, frame("bye", session_id=session_id))
    assert world.frames_to(caller) == [bye(session_id, caller_id)]
    assert world.frames_to(callee) == [bye(session_id, callee_id)]


def test_renegotiation_begins_no_second_session(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    for sender, target in ((one, two), (two, one)):
        text = frame("offer", to=target.id, sender=sender.id, session_id="1-2")
        assert world.receive(sender, text) == [Send(target.address, text)]
        text = frame("answer", to=sender.id, sender=target.id, session_id="1-2")
        assert world.receive(target, text) == [Send(sender.address, text)]
    assert one.sessions == two.sessions == {"1-2": session}
    assert session.caller is one


def test_a_second_answer_is_forwarded_and_changes_nothing(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    world.now += 5
    assert world.receive(two, ANSWER) == [Send(one.address, ANSWER)]
    assert session.answered_at == 1000.0


def test_the_caller_cannot_answer_its_own_call(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.receive(one, OFFER)
    text = frame("answer", to="2", sender="1", session_id="1-2")
    assert world.receive(one, text) == [Send(two.address, text)]
    assert one.sessions["1-2"].state is SessionState.OFFERED


def test_both_may_call_each_other_at_once(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.call(two, one, "2-1")
    assert world.live() == [("1-2", "1", "2"), ("2-1", "2", "1")]


@pytest.mark.parametrize("kind", ["candidate", "answer"])
def test_what_belongs_to_an_unknown_session_is_forwarded(world: World, kind: str) -> None:
    one, two = world.join("1"), world.join("2")
    text = frame(kind, to="2", sender="1", session_id="1-2")
    assert world.receive(one, text) == [Send(two.address, text)]
    assert world.live() == []


def test_route_changes_nothing_before_forward(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    route = world.server.route(one, decode_envelope(OFFER), world.now)
    assert (route.begins_call, route.late, route.session) == (True, False, None)
    assert (route.sender, route.target, route.session_id) == (one, two, "1-2")
    assert route.frame == OFFER
    assert world.live() == []
    world.perform(world.server.forward(route, world.now))
    again = world.server.route(one, decode_envelope(OFFER), world.now)
    assert (again.begins_call, again.session) == (False, one.sessions["1-2"])


# --- refused -----------------------------------------------------------------


@pytest.mark.parametrize("kind", DIRECTED)
def test_peer_not_found(world: World, kind: str) -> None:
    one = world.join("1")
    world.receive(one, frame(kind, to="2", sender="1", session_id="1-2"))
    expected = [error(kind, "Peer [2] not found ", "not-found")]
    if kind == "offer":
        expected.append(b'{"type":"bye","data":{"session_id":"1-2","to":"1"}}')
    assert world.frames_to(one) == expected


@pytest.mark.parametrize("kind", DIRECTED)
@pytest.mark.parametrize(
    "sender", [b'"from":"2"', b'"from":""', b'"from":"1","fr\\u006fm":"2"', b'"from":"1 "']
)
def test_a_false_from_is_never_forwarded(world: World, kind: str, sender: bytes) -> None:
    one, two = world.join("1"), world.join("2")
    text = b'{"type":"%b","data":{"to":"2","session_id":"1-2",%b}}' % (kind.encode(), sender)
    world.receive(one, text)
    assert world.frames_to(two) == []
    expected = [error(kind, "`from` is not your id.", "wrong-sender")]
    if kind == "offer":
        expected.append(b'{"type":"bye","data":{"session_id":"1-2","to":"1"}}')
    assert world.frames_to(one) == expected


@pytest.mark.parametrize("kind", DIRECTED)
def test_nobody_calls_itself(world: World, kind: str) -> None:
    one = world.join("1")
    assert refused(world, one, kind, "1", "1-1") == "bad-message"


@pytest.mark.parametrize("kind", DIRECTED)
def test_a_payload_without_addressee_is_refused(world: World, kind: str) -> None:
    one = world.join("1")
    world.receive(one, frame(kind, session_id="1-2"))
    answer, *byes = world.frames_to(one)
    assert answer.startswith(b'{"type":"error","data":{"request":"%b"' % kind.encode())
    assert answer.endswith(b'"code":"bad-message"}}')
    assert byes == [frame("bye", session_id="1-2", to="1")] * (kind == "offer")


def test_an_offer_without_a_session_has_none_that_could_end(world: World) -> None:
    one = world.join("1")
    world.receive(one, frame("offer", to="2"))
    assert [text[:15] for text in world.frames_to(one)] == [b'{"type":"error"']


def test_what_is_no_message_is_answered_with_an_error(world: World) -> None:
    one = world.join("1")
    world.receive(one, b"[]")
    assert world.frames_to(one) == [
        (
            b'{"type":"error","data":{"request":"",'
            b'"reason":"Not a message: Expected `object`, got `array`","code":"bad-message"}}'
        )
    ]


def test_a_failed_offer_does_not_end_the_session_that_its_sender_has(world: World) -> None:
    one = world.join("1")
    world.call(one, world.join("2"), "1-2")
    assert refused(world, one, "offer", "nobody", "1-2") == "not-found"
    assert world.live() == [("1-2", "1", "2")]


def test_one_peer_cannot_begin_calls_without_end(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    for number in range(MAX_SESSIONS_PER_PEER):
        world.call(one, two, f"call {number}")
    assert refused(world, one, "offer", "2", "one more") == "too-many-sessions"
    assert world.receive(one, frame("offer", to="2", session_id="call 0")) != []
    assert refused(world, one, "offer", "2", "one more") == "too-many-sessions"
    world.receive(two, frame("bye", session_id="call 0"))
    world.frames_to(one)
    world.call(one, two, "one more")


def test_calls_that_others_begin_do_not_use_up_a_peers_share(world: World) -> None:
    nuisance, victim, friend = world.join("1"), world.join("2"), world.join("3")
    for number in range(MAX_SESSIONS_PER_PEER):
        world.offer(nuisance, victim, f"call {number}")
    world.call(victim, friend, "2-3")
    assert victim.sessions["2-3"].callee is friend


# --- reaching into other people's sessions -----------------------------------


@pytest.mark.parametrize("kind", DIRECTED)
@pytest.mark.parametrize("session_id", ["1-2", "secret"])
@pytest.mark.parametrize("victim", ["1", "2"])
def test_a_stranger_cannot_reach_into_a_live_session(
    world: World, kind: str, session_id: str, victim: str
) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    session = world.call(one, two, session_id)
    assert refused(world, stranger, kind, victim, session_id) == "not-in-session"
    assert one.sessions == two.sessions == {session_id: session}
    assert session.state is SessionState.ANSWERED


@pytest.mark.parametrize("kind", DIRECTED)
@pytest.mark.parametrize("victim", ["1", "2"])
def test_a_stranger_cannot_answer_before_the_callee(world: World, kind: str, victim: str) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    world.offer(one, two, "secret")
    assert refused(world, stranger, kind, victim, "secret") == "not-in-session"
    assert one.sessions["secret"].state is SessionState.OFFERED


@pytest.mark.parametrize("kind", DIRECTED)
@pytest.mark.parametrize("session_id", ["1-2", "2-1"])
@pytest.mark.parametrize("victim", ["1", "2"])
def test_nobody_squats_on_the_session_id_of_two_others(
    world: World, kind: str, session_id: str, victim: str
) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    assert refused(world, stranger, kind, victim, session_id) == "not-in-session"
    world.call(one, two, session_id)


@pytest.mark.parametrize(
    ("caller_id", "callee_id"), [("a-b", "c"), ("a", "b-c"), ("-a", "b"), ("a", "-"), UUIDS]
)
def test_nor_on_one_with_more_dashes(world: World, caller_id: str, callee_id: str) -> None:
    world.join(caller_id)
    world.join(callee_id)
    stranger = world.join("3")
    session_id = f"{caller_id}-{callee_id}"
    assert refused(world, stranger, "offer", callee_id, session_id) == "not-in-session"


def test_a_leg_cannot_take_its_session_to_a_third_peer(world: World) -> None:
    one, two, three = world.join("1"), world.join("2"), world.join("3")
    world.call(one, two, "secret")
    for kind in DIRECTED:
        assert refused(world, one, kind, "3", "secret") == "not-in-session"
        assert refused(world, two, kind, "3", "secret") == "not-in-session"
    assert world.frames_to(three) == []


@pytest.mark.parametrize("kind", DIRECTED)
def test_not_even_when_the_third_has_one_of_that_id(world: World, kind: str) -> None:
    one, two, three, four = (world.join(peer_id) for peer_id in "1234")
    world.call(one, two, "same")
    world.call(three, four, "same")
    assert refused(world, one, kind, "3", "same") == "not-in-session"
    assert refused(world, four, kind, "2", "same") == "not-in-session"


def test_two_pairs_may_use_one_session_id(world: World) -> None:
    one, two, three, four = (world.join(peer_id) for peer_id in "1234")
    first, second = world.call(one, two, "same"), world.call(three, four, "same")
    assert first is not second
    text = frame("candidate", to="4", sender="3", session_id="same")
    assert world.receive(three, text) == [Send(four.address, text)]
    world.receive(one, frame("bye", session_id="same"))
    assert world.frames_to(three) == world.frames_to(one)[1:] == []
    assert world.live() == [("same", "3", "4")]


def test_two_strangers_who_use_the_id_of_two_others_disturb_nobody(world: World) -> None:
    three, four = world.join("3"), world.join("4")
    world.call(three, four, "1-2")
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.leave(three)
    assert world.frames_to(one) == world.frames_to(two) == []
    assert world.live() == [("1-2", "1", "2")]


def test_ids_with_dashes_cannot_forbid_a_call_whose_id_they_also_spell(world: World) -> None:
    caller, callee = world.join("a-b"), world.join("c")
    world.join("a")
    world.join("b-c")
    world.call(caller, callee, "a-b-c")


def test_several_readings_of_a_session_id_none_of_them_the_senders(world: World) -> None:
    world.join("a")
    world.join("b-c")
    stranger = world.join("3")
    assert refused(world, stranger, "offer", "a", "a-b-c") == "not-in-session"


def test_a_session_id_that_names_only_one_peer_is_free(world: World) -> None:
    one, stranger = world.join("1"), world.join("3")
    world.call(stranger, one, "1-2")
    assert world.live() == [("1-2", "3", "1")]
