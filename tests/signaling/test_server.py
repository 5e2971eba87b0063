"""Joining, leaving and the lists of peers; above all what `leave` must not do."""

import json

import pytest

from tests.signaling.world import World
from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling import (
    Announce,
    Peer,
    PeerAddress,
    PeerJoined,
    PeerLeft,
    Send,
    SessionEnded,
)
from tornado_webrtc.signaling.message import Decision


def refusal(world: World, peer: Peer) -> tuple[str, str]:
    """Return code and reason of the refusal to let a peer join."""
    with pytest.raises(SignalingError) as raised:
        world.server.join(peer)
    return raised.value.code, raised.value.reason


def listed(frames: list[bytes]) -> list[list[str]]:
    """Return the ids in each `peers` frame."""
    return [[entry["id"] for entry in json.loads(frame)["data"]] for frame in frames]


# --- joining -----------------------------------------------------------------


def test_join_announces_the_peer_to_everyone_and_itself() -> None:
    world = World()
    one = world.join("1", name="Ann")
    two = world.peer("2", name="Bob")
    assert world.perform(world.server.join(two)) == [PeerJoined(two), Announce("")]
    both = (
        b'{"type":"peers","data":['
        b'{"id":"1","name":"Ann","user_agent":""},{"id":"2","name":"Bob","user_agent":""}]}'
    )
    assert world.lists_to(one) == [
        b'{"type":"peers","data":[{"id":"1","name":"Ann","user_agent":""}]}',
        both,
    ]
    assert world.lists_to(two) == [both]
    assert world.server.list_for(two) == Send(two.address, both)
    assert world.frames_to(one) == world.frames_to(two) == []


def test_a_peer_is_found_by_connection_and_by_id() -> None:
    world = World()
    one = world.join("1")
    nobody = PeerAddress("node-1", 99)
    assert world.server.peer_at(one.address) is world.server.registered(one.address) is one
    assert world.server.find("", "1") is one
    assert world.server.peer_at(nobody) is None
    assert world.server.find("", "2") is None
    assert world.server.peer_count == 1


def test_an_id_in_use_is_refused_and_its_holder_notices_nothing() -> None:
    world = World()
    holder = world.join("1")
    world.lists_to(holder)
    assert refusal(world, world.peer("1")) == ("id-in-use", "Peer id [1] is in use.")
    assert world.server.find("", "1") is holder
    assert world.server.peer_count == 1
    assert world.lists_to(holder) == world.frames_to(holder) == []


def test_an_id_is_free_after_its_holder_left() -> None:
    world = World()
    world.leave(world.join("1"))
    assert world.server.find("", "1") is None
    newcomer = world.join("1")
    assert world.server.find("", "1") is newcomer


def test_a_connection_signs_in_once() -> None:
    world = World()
    one = world.join("1")
    second = Peer("2", "", "", "", one.address)
    expected = ("already-registered", "This connection has signed in before.")
    assert refusal(world, second) == expected
    assert world.server.peer_at(one.address) is one
    assert world.server.find("", "2") is None


def test_after_leaving_a_connection_may_sign_in_under_another_id() -> None:
    world = World()
    one = world.join("1")
    world.receive(one, b'{"type":"leave","data":"1"}')
    world.perform(world.server.join(Peer("2", "", "", "", one.address)))
    assert world.server.registered(one.address).id == "2"
    assert world.server.peer_count == 1


def test_update_is_announced_and_keeps_place_and_sessions() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    world.lists_to(two)
    assert world.perform(world.server.update(one, "Ann", "ios")) == [Announce("")]
    assert world.lists_to(two) == [
        (
            b'{"type":"peers","data":['
            b'{"id":"1","name":"Ann","user_agent":"ios"},{"id":"2","name":"","user_agent":""}]}'
        )
    ]
    assert one.sessions == {"1-2": session}
    assert world.frames_to(one) == world.frames_to(two) == []


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"offer","data":{"to":"1","session_id":"2-1"}}',
        b'{"type":"bye","data":{"session_id":"2-1"}}',
        b'{"type":"leave","data":{}}',
    ],
)
def test_before_new_and_after_leave_messages_are_refused(text: bytes) -> None:
    world = World()
    one, stranger = world.join("1"), world.peer("2")
    expected = (
        b'{"type":"error","data":{"request":"%b",'
        b'"reason":"Sign in with `new` first.","code":"not-registered"}}'
    ) % json.loads(text)["type"].encode()
    world.receive(stranger, text)
    assert world.frames_to(stranger) == [expected]
    world.perform(world.server.join(stranger))
    world.leave(stranger)
    world.receive(stranger, text)
    assert world.frames_to(stranger) == [expected]
    assert world.frames_to(one) == []


# --- leaving -----------------------------------------------------------------


def test_who_shared_no_call_is_only_told_by_the_list() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    world.lists_to(two)
    assert world.leave(one, "disconnected") == [PeerLeft(one, "disconnected"), Announce("")]
    assert listed(world.lists_to(two)) == [["2"]]
    assert world.frames_to(one) == world.frames_to(two) == []


def test_the_other_leg_is_sent_bye_and_leave() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    session = world.call(one, two, "1-2")
    actions = world.leave(one, "disconnected")
    assert actions == [
        Send(two.address, b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}'),
        SessionEnded(session, "disconnected"),
        Send(two.address, b'{"type":"leave","data":"1"}'),
        PeerLeft(one, "disconnected"),
        Announce(""),
    ]
    assert session.ended_at == world.now
    assert world.live() == []


def test_the_message_leave_does_the_same_and_is_not_answered() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.lists_to(one)
    actions = world.receive(two, b'{"type":"leave","data":"whatever"}')
    assert world.frames_to(one) == [
        b'{"type":"bye","data":{"session_id":"1-2","to":"1"}}',
        b'{"type":"leave","data":"2"}',
    ]
    assert PeerLeft(two, "left") in actions
    assert listed(world.lists_to(one)) == [["1"]]
    assert world.frames_to(two) == []


def test_the_other_legs_are_told_of_a_peer_that_has_to_go() -> None:
    world = World()
    one, two, three = world.join("1"), world.join("2"), world.join("3")
    session = world.call(one, two, "1-2")
    other = world.call(three, one, "3-1")
    told = b'"code":"peer-removed","reason":""'
    decision = Decision("peer-removed")
    assert world.server.leave(one.address, "kicked", world.now, decision) == [
        Send(two.address, b'{"type":"bye","data":{"session_id":"1-2","to":"2",%b}}' % told),
        SessionEnded(session, "kicked"),
        Send(three.address, b'{"type":"bye","data":{"session_id":"3-1","to":"3",%b}}' % told),
        SessionEnded(other, "kicked"),
        Send(two.address, b'{"type":"leave","data":"1"}'),
        Send(three.address, b'{"type":"leave","data":"1"}'),
        PeerLeft(one, "kicked"),
        Announce(""),
    ]


def test_a_leg_with_another_call_is_sent_bye_but_not_leave() -> None:
    world = World()
    one, two, three = world.join("1"), world.join("2"), world.join("3")
    world.call(one, two, "1-2")
    world.call(three, two, "3-2")
    world.leave(one)
    assert world.frames_to(two) == [b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}']
    assert world.frames_to(three) == []
    assert world.live() == [("3-2", "3", "2")]


def test_each_shared_session_gets_its_bye_and_the_leg_one_leave() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.call(two, one, "2-1")
    world.leave(one)
    assert world.frames_to(two) == [
        b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}',
        b'{"type":"bye","data":{"session_id":"2-1","to":"2"}}',
        b'{"type":"leave","data":"1"}',
    ]


def test_legs_of_several_calls_are_judged_one_by_one() -> None:
    world = World()
    one, two, three, four = (world.join(peer_id) for peer_id in "1234")
    world.call(one, two, "1-2")
    world.call(three, one, "3-1")
    world.call(three, four, "3-4")
    world.leave(one)
    assert world.frames_to(two) == [
        b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}',
        b'{"type":"leave","data":"1"}',
    ]
    assert world.frames_to(three) == [b'{"type":"bye","data":{"session_id":"3-1","to":"3"}}']
    assert world.frames_to(four) == []


def test_a_call_that_only_rings_ends_too() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    world.offer(one, two, "1-2")
    world.frames_to(two)
    world.leave(one)
    assert world.frames_to(two) == [
        b'{"type":"bye","data":{"session_id":"1-2","to":"2"}}',
        b'{"type":"leave","data":"1"}',
    ]


def test_a_connection_that_never_signed_in_leaves_without_a_trace() -> None:
    world = World()
    one, two = world.join("1"), world.join("2")
    world.call(one, two, "1-2")
    world.lists_to(one)
    assert world.leave(world.peer("3")) == []
    assert world.frames_to(one) == world.frames_to(two) == world.lists_to(one) == []


def test_whoever_left_has_left() -> None:
    world = World()
    one = world.join("1")
    world.leave(one)
    assert world.leave(one) == []


def goes(world: World, stranger: Peer, host: Peer, way: int) -> None:
    """Let a stranger go in one of the ways in which clients go."""
    match way:
        case 0:
            world.leave(stranger, "disconnected")
        case 1:
            world.receive(stranger, b'{"type":"leave","data":"a"}')
            world.leave(stranger, "disconnected")
        case 2:
            world.receive(stranger, b'{"type":"bye","data":{"session_id":"a-b"}}')
            world.leave(stranger, "replaced")
        case _:
            world.call(stranger, host, "chat")
            world.leave(stranger, "disconnected")
    world.leave(world.peer("port scan"), "disconnected")


def test_two_pairs_talk_on_while_200_strangers_come_and_go() -> None:
    world = World()
    a, b, c, d = legs = [world.join(peer_id) for peer_id in "abcd"]
    first, second = world.call(a, b, "a-b"), world.call(c, d, "c-d")
    host = world.join("host")
    for come in range(0, 200, 20):
        strangers = [world.join(f"stranger {come + number}") for number in range(20)]
        for number, stranger in enumerate(strangers):
            goes(world, stranger, host, number % 4)
    assert [world.frames_to(leg) for leg in legs] == [[], [], [], []]
    assert [leg.sessions for leg in legs] == [{"a-b": first}] * 2 + [{"c-d": second}] * 2
    assert [listed(world.lists_to(leg))[-1] for leg in legs] == [["a", "b", "c", "d", "host"]] * 4
    world.leave(a)
    assert world.frames_to(b) == [
        b'{"type":"bye","data":{"session_id":"a-b","to":"b"}}',
        b'{"type":"leave","data":"a"}',
    ]
    assert world.frames_to(c) == world.frames_to(d) == []
    assert world.live() == [("c-d", "c", "d")]


# --- scopes and nodes --------------------------------------------------------


def test_scopes_are_worlds_apart() -> None:
    world = World()
    here, there = world.join("1"), world.join("1", scope="room")
    other = world.join("2", scope="room")
    assert listed(world.lists_to(here)) == [["1"]]
    assert listed(world.lists_to(there)) == [["1"], ["1", "2"]]
    world.receive(here, b'{"type":"offer","data":{"to":"2","session_id":"1-2"}}')
    assert world.frames_to(other) == []
    assert world.live() == []
    world.call(there, other, "1-2")
    world.receive(here, b'{"type":"bye","data":{"session_id":"1-2"}}')
    assert world.frames_to(there) == world.frames_to(other) == []
    assert world.leave(here)[-1] == Announce("")
    assert world.lists_to(there) == []
    assert world.live() == [("1-2", "1", "2")]


def test_peers_of_other_nodes_are_listed_but_sent_no_list() -> None:
    world = World()
    here, there = world.join("1"), world.join("2", node_id="node-2")
    assert [send.address for send in world.server.announcement("")] == [here.address]
    assert listed(world.lists_to(here)) == [["1"], ["1", "2"]]
    assert world.lists_to(there) == []


def test_nobody_hears_of_an_empty_scope() -> None:
    world = World()
    assert world.leave(world.join("1"))[-1] == Announce("")
    assert list(world.server.announcement("")) == []


def test_lists_are_cut_and_show_each_peer_itself() -> None:
    world = World(list_max=2)
    peers = [world.join(peer_id) for peer_id in "1234"]
    shown = {send.address: listed([send.frame])[0] for send in world.server.announcement("")}
    assert [shown[each.address] for each in peers] == [
        ["1", "2"],
        ["1", "2"],
        ["1", "3"],
        ["1", "4"],
    ]
