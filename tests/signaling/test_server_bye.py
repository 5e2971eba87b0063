"""Hanging up: both legs hear of it, nobody else can, and stragglers open no ghost call."""

import pytest

from tests.signaling.world import World, frame
from tornado_webrtc.signaling import Peer, Send, SessionEnded, SessionState
from tornado_webrtc.signaling.message import Decision
from tornado_webrtc.signaling.session import REMEMBERED_S

BYE_FROM_1 = b'{"type":"bye","data":{"session_id":"1-2","from":"1"}}'
BYE_FROM_2 = b'{"type":"bye","data":{"session_id":"1-2","from":"2"}}'
BYE_TO_1 = b'{"type":"bye","data":{"session_id":"1-2","to":"1"}}'
BYE_TO_2 = b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}'

UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture
def world() -> World:
    return World()


def refusal(session_id: str, peer_id: str) -> list[bytes]:
    """The error, and the echo that takes a client off its call screen."""
    error = (
        '{"type":"error","data":{"request":"bye",'
        f'"reason":"Invalid session [{session_id}]","code":"invalid-session"}}}}'
    )
    return [error.encode(), frame("bye", session_id=session_id, to=peer_id)]


# --- the legs ----------------------------------------------------------------


@pytest.mark.parametrize("text", [BYE_FROM_1, BYE_FROM_2])
def test_bye_goes_to_both_legs(world: World, text: bytes) -> None:
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    world.now += 60
    sender = one if text == BYE_FROM_1 else two
    assert world.receive(sender, text) == [
        Send(one.address, BYE_TO_1),
        Send(two.address, BYE_TO_2),
        SessionEnded(session, "bye"),
    ]
    assert (session.state, session.ended_at) == (SessionState.ENDED, 1060.0)
    assert one.sessions == two.sessions == {}
    assert world.live() == []


def test_a_call_that_only_rings_is_hung_up(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.offer(one, two, "1-2")
    world.frames_to(two)
    world.receive(two, BYE_FROM_2)
    assert world.frames_to(one) == [BYE_TO_1]
    assert world.frames_to(two) == [BYE_TO_2]


def test_both_legs_are_told_that_their_call_has_to_end(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    decision = Decision("call-ended", "the lesson is over")
    told = b'"code":"call-ended","reason":"the lesson is over"'
    assert world.server.end(session, "the lesson is over", world.now, decision) == [
        Send(one.address, b'{"type":"bye","data":{"session_id":"1-2","to":"1",%b}}' % told),
        Send(two.address, b'{"type":"bye","data":{"session_id":"1-2","to":"2",%b}}' % told),
        SessionEnded(session, "the lesson is over"),
    ]
    assert world.live() == []


def test_no_client_can_make_a_bye_that_has_to_be_obeyed(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    forged = {"code": "call-ended", "reason": "the operator wants it so"}
    world.receive(one, frame("bye", session_id="1-2", **forged))
    world.receive(one, frame("bye", session_id="1-2-unseen", **forged))
    world.receive(one, frame("bye", session_id="2-1", **forged))
    assert world.frames_to(two) == [BYE_TO_2, frame("bye", session_id="2-1", to="2")]
    assert not any(b'code":"call-ended' in each for each in world.frames_to(one))


def test_other_sessions_of_the_legs_go_on(world: World) -> None:
    one, two, three = world.join("1"), world.join("2"), world.join("3")
    world.call(one, two, "1-2")
    world.call(one, three, "1-3")
    world.receive(one, BYE_FROM_1)
    assert world.live() == [("1-3", "1", "3")]
    assert world.frames_to(three) == []


def test_a_plugin_may_end_a_session(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    assert world.perform(world.server.end(session, "quota", world.now)) == [
        Send(one.address, BYE_TO_1),
        Send(two.address, BYE_TO_2),
        SessionEnded(session, "quota"),
    ]
    assert world.live() == []


@pytest.mark.parametrize("sender", [b'"from":"2"', b'"from":"1","from":"2"', b'"from":""'])
def test_a_false_from_ends_nothing(world: World, sender: bytes) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.receive(one, b'{"type":"bye","data":{"session_id":"1-2",%b}}' % sender)
    assert world.frames_to(one) == [
        (
            b'{"type":"error","data":{"request":"bye",'
            b'"reason":"`from` is not your id.","code":"wrong-sender"}}'
        )
    ]
    assert world.frames_to(two) == []
    assert world.live() == [("1-2", "1", "2")]


# --- everybody else ----------------------------------------------------------


@pytest.mark.parametrize("session_id", ["1-2", "secret"])
def test_a_stranger_cannot_end_a_live_session(world: World, session_id: str) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    world.call(one, two, session_id)
    world.receive(stranger, frame("bye", session_id=session_id, sender="3"))
    assert world.frames_to(stranger) == refusal(session_id, "3")
    assert world.frames_to(one) == world.frames_to(two) == []
    assert world.live() == [(session_id, "1", "2")]


@pytest.mark.parametrize("session_id", ["1-2", "2-1", "secret", "3", "-", "3-3", "3-", "-3"])
def test_nor_one_that_does_not_exist(world: World, session_id: str) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    world.receive(stranger, frame("bye", session_id=session_id))
    assert world.frames_to(stranger) == refusal(session_id, "3")
    assert world.frames_to(one) == world.frames_to(two) == []


def test_nor_one_that_has_ended(world: World) -> None:
    one, two, stranger = world.join("1"), world.join("2"), world.join("3")
    world.call(one, two, "1-2")
    world.receive(one, BYE_FROM_1)
    world.all_have_looked()
    world.receive(stranger, frame("bye", session_id="1-2"))
    assert world.frames_to(stranger) == refusal("1-2", "3")
    assert world.frames_to(one) == world.frames_to(two) == []


@pytest.mark.parametrize("session_id", ["3-2", "2-3"])
def test_nor_one_whose_id_names_the_stranger(world: World, session_id: str) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, session_id)
    stranger = world.join("3")
    world.receive(stranger, frame("bye", session_id=session_id))
    assert world.frames_to(stranger) == refusal(session_id, "3")
    assert world.frames_to(two) == []
    assert world.live() == [(session_id, "1", "2")]


def test_of_two_sessions_of_one_id_the_senders_ends(world: World) -> None:
    one, two, three, four = (world.join(peer_id) for peer_id in "1234")
    world.call(one, two, "same")
    world.call(three, four, "same")
    world.receive(four, frame("bye", session_id="same"))
    assert world.frames_to(one) == world.frames_to(two) == []
    assert world.live() == [("same", "1", "2")]


# --- sessions whose offer was not seen ---------------------------------------


@pytest.mark.parametrize("text", [BYE_FROM_1, b'{"type":"bye","data":{"session_id":"1-2"}}'])
def test_the_session_id_names_the_other_leg(world: World, text: bytes) -> None:
    one, two = world.join("1"), world.join("2")
    world.receive(one, text)
    assert world.frames_to(one) == [BYE_TO_1]
    assert world.frames_to(two) == [BYE_TO_2]


def test_the_callee_may_hang_up_such_a_session_too(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.receive(two, BYE_FROM_2)
    assert world.frames_to(one) == [BYE_TO_1]
    assert world.frames_to(two) == [BYE_TO_2]


def test_such_a_session_is_remembered_like_others(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.receive(one, BYE_FROM_1)
    world.all_have_looked()
    world.receive(two, frame("candidate", to="1", session_id="1-2"))
    world.receive(two, BYE_FROM_2)
    assert world.frames_to(one) == []
    assert world.frames_to(two) == [BYE_TO_2]


def test_the_echo_comes_even_if_the_other_leg_is_gone(world: World) -> None:
    one = world.join("1")
    world.receive(one, BYE_FROM_1)
    assert world.frames_to(one) == [
        (
            b'{"type":"error","data":{"request":"bye",'
            b'"reason":"Peer [2] not found.","code":"not-found"}}'
        ),
        BYE_TO_1,
    ]


@pytest.mark.parametrize(
    ("session_id", "others", "told"),
    [
        ("a-b-c", ["b-c"], "b-c"),
        ("c-b-a", ["c-b"], "c-b"),
        ("a-b-a", ["a-b"], "a-b"),
        ("a-b-a", ["b-a"], "b-a"),
        ("a--", ["-"], "-"),
        (f"a-{UUID}", [UUID], UUID),
        (f"{UUID}-a", [UUID], UUID),
    ],
)
def test_splitting_ids_with_dashes(
    world: World, session_id: str, others: list[str], told: str
) -> None:
    sender = world.join("a")
    peers = {peer_id: world.join(peer_id) for peer_id in others}
    world.receive(sender, frame("bye", session_id=session_id))
    assert world.frames_to(sender) == [frame("bye", session_id=session_id, to="a")]
    assert world.frames_to(peers[told]) == [frame("bye", session_id=session_id, to=told)]


# --- the 30 s after a call ---------------------------------------------------


@pytest.fixture
def ended(world: World) -> tuple[Peer, Peer]:
    """Return two peers whose call has just ended; 1 hung up."""
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.receive(one, BYE_FROM_1)
    world.all_have_looked()
    return one, two


@pytest.mark.parametrize("kind", ["candidate", "answer"])
def test_late_messages_are_dropped(world: World, ended: tuple[Peer, Peer], kind: str) -> None:
    one, two = ended
    for sender, target in ((one, two), (two, one)):
        world.now += REMEMBERED_S / 2 - 1
        text = frame(kind, to=target.id, session_id="1-2")
        assert world.receive(sender, text) == []


@pytest.mark.parametrize("kind", ["candidate", "answer"])
def test_after_30_s_it_is_a_session_like_any_unknown(
    world: World, ended: tuple[Peer, Peer], kind: str
) -> None:
    one, two = ended
    world.now += REMEMBERED_S
    text = frame(kind, to="2", sender="1", session_id="1-2")
    assert world.receive(one, text) == [Send(two.address, text)]


def test_a_second_bye_is_echoed_to_its_sender_only(world: World, ended: tuple[Peer, Peer]) -> None:
    one, two = ended
    assert world.receive(two, BYE_FROM_2) == [Send(two.address, BYE_TO_2)]
    assert world.receive(one, BYE_FROM_1) == [Send(one.address, BYE_TO_1)]
    assert world.receive(two, BYE_FROM_2) == [Send(two.address, BYE_TO_2)]


def test_late_messages_with_a_false_from_are_errors_all_the_same(
    world: World, ended: tuple[Peer, Peer]
) -> None:
    one, _ = ended
    world.receive(one, frame("candidate", to="2", sender="2", session_id="1-2"))
    (answer,) = world.frames_to(one)
    assert b"wrong-sender" in answer


def test_a_session_id_is_used_again_right_after_a_call(
    world: World, ended: tuple[Peer, Peer]
) -> None:
    one, two = ended
    session = world.call(one, two, "1-2")
    text = frame("candidate", to="1", sender="2", session_id="1-2")
    assert world.receive(two, text) == [Send(one.address, text)]
    assert world.live() == [("1-2", "1", "2")]
    assert world.receive(two, BYE_FROM_2)[-1] == SessionEnded(session, "bye")
    assert world.receive(one, frame("candidate", to="2", session_id="1-2")) == []


def test_the_callee_may_use_it_again_too(world: World, ended: tuple[Peer, Peer]) -> None:
    one, two = ended
    world.call(two, one, "1-2")
    assert world.live() == [("1-2", "2", "1")]


def test_the_end_by_leaving_is_remembered(world: World) -> None:
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "secret")
    world.leave(one)
    again = world.join("1")
    world.frames_to(two)
    assert world.receive(two, frame("candidate", to="1", session_id="secret")) == []
    assert world.receive(again, frame("candidate", to="2", session_id="secret")) == []
    assert world.receive(two, frame("bye", session_id="secret")) == [
        Send(two.address, b'{"type":"bye","data":{"session_id":"secret","to":"2"}}')
    ]


def test_with_another_peer_an_ended_session_is_unknown(
    world: World, ended: tuple[Peer, Peer]
) -> None:
    _, two = ended
    world.leave(ended[0])
    three = world.join("3")
    text = frame("candidate", to="3", sender="2", session_id="1-2")
    assert world.receive(two, text) == [Send(three.address, text)]


def test_an_ended_session_is_not_open_to_strangers(world: World, ended: tuple[Peer, Peer]) -> None:
    one, two = ended
    stranger = world.join("3")
    for kind in ("offer", "answer", "candidate"):
        world.receive(stranger, frame(kind, to="1", session_id="1-2"))
        assert b"not-in-session" in world.frames_to(stranger)[0]
    assert world.frames_to(one) == world.frames_to(two) == []


def test_30_s_after_everyone_left_nothing_is_left(world: World, ended: tuple[Peer, Peer]) -> None:
    for peer in ended:
        world.leave(peer)
    assert world.server.sessions.remembered == 2
    world.now += REMEMBERED_S
    world.server.sessions.forget(world.now)
    assert world.server.sessions.remembered == 0
    assert (len(world.server.sessions), world.server.peer_count) == (0, 0)
    assert list(world.server.presence) == []
