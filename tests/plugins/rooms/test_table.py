"""Who is in which room, and for whom a place is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.hooks import JoinRequest
from tornado_webrtc.plugins.rooms.password import KnownPassword
from tornado_webrtc.plugins.rooms.table import RoomTable
from tornado_webrtc.signaling import Peer, PeerAddress

PASSWORD = KnownPassword.of("sesame")


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def table(time: Time) -> RoomTable:
    return RoomTable(time)


def peer(peer_id: str, room: str = "blue", number: int = 0) -> Peer:
    return Peer(peer_id, "", "", room, PeerAddress("node", number))


def wish(peer_id: str, room: str = "blue") -> JoinRequest:
    return JoinRequest(peer_id, "", "", room, "192.0.2.7", None)


def shown(table: RoomTable) -> dict[str, set[str]]:
    return {room.name: {*room.peers} for room in table}


def test_room_is_there_from_the_first_to_the_last_peer(table: RoomTable, time: Time) -> None:
    ann, ben = peer("ann"), peer("ben")
    table.keep(wish("ann"), PASSWORD)
    assert (len(table), shown(table), table.count_besides({})) == (0, {}, 1)
    table.join(ann)
    time.now += 5
    table.keep(wish("ben"), KnownPassword.of("another"))
    table.join(ben)
    room = table.find("blue")
    assert room is not None
    assert (room.since, room.password, room.kept) == (1000.0, PASSWORD, {})
    table.leave(ann)
    assert shown(table) == {"blue": {"ben"}}
    table.leave(ben)
    assert (len(table), table.find("blue"), table.count_besides({})) == (0, None, 0)


def test_rooms_besides_those_of_a_list(table: RoomTable) -> None:
    wishes = [wish("ann", name) for name in ("blue", "red", "green")]
    for each in wishes:
        table.keep(each)
    assert table.count_besides({"red": 1, "black": 2}) == 2
    for each in wishes:
        table.give_up(each)
    assert table.count_besides({}) == 0


def test_place_is_kept_until_nothing_comes_of_it(table: RoomTable, time: Time) -> None:
    ann = wish("ann")
    table.keep(ann, PASSWORD)
    time.now += 3600
    assert table.find("blue") is not None
    table.give_up(ann)
    assert table.find("blue") is None
    table.give_up(ann)


def test_one_of_two_who_want_the_same_id_gives_up(table: RoomTable) -> None:
    first, second, stranger = wish("ann"), wish("ann"), wish("ann")
    table.keep(first, PASSWORD)
    table.keep(second)
    room = table.find("blue")
    assert room is not None
    assert [room.others(each) for each in ("ann", "ben")] == [0, 1]
    table.give_up(stranger)
    table.give_up(first)
    assert [room.others(each) for each in ("ann", "ben")] == [0, 1]
    assert table.find("blue") is room
    table.give_up(second)
    assert table.find("blue") is None


def test_one_of_two_who_want_the_same_id_joins(table: RoomTable) -> None:
    first, second, ann = wish("ann"), wish("ann"), peer("ann")
    table.keep(first)
    table.keep(second)
    table.join(ann)
    table.give_up(second)
    assert shown(table) == {"blue": {"ann"}}
    table.leave(ann)
    assert table.find("blue") is None


def test_locked_room_stays_locked_while_a_second_connection_of_an_id_is_to_come(
    table: RoomTable, time: Time
) -> None:
    """Both are let in; the first dies before the second has taken its id over."""
    first, second = peer("ann", number=1), peer("ann", number=2)
    table.keep(wish("ann"), PASSWORD)
    table.keep(wish("ann"))
    room = table.find("blue")
    table.join(first)
    time.now += 5
    table.leave(first)
    assert room is not None
    assert table.find("blue") is room
    assert (room.since, room.password) == (1000.0, PASSWORD)
    assert (len(table), table.count_besides({})) == (0, 1)
    table.join(second)
    assert (table.find("blue"), room.kept) == (room, {})
    assert room.peers == {"ann": second}
    table.leave(second)
    assert table.find("blue") is None


def test_room_ends_once_none_of_those_who_want_an_id_is_to_come(table: RoomTable) -> None:
    given_up, first, second = wish("ann"), peer("ann", number=1), peer("ann", number=2)
    table.keep(given_up, PASSWORD)
    table.keep(wish("ann"))
    table.keep(wish("ann"))
    for each in (first, second):
        table.join(each)
        table.leave(each)
        assert table.find("blue") is not None
    table.give_up(given_up)
    assert table.find("blue") is None


def test_place_is_one_however_many_connections_want_it(table: RoomTable) -> None:
    first, second, given_up = peer("ann", number=1), peer("ann", number=2), wish("ann")
    for request in (wish("ann"), wish("ann"), given_up):
        table.keep(request)
    table.keep(wish("ben"))
    table.join(peer("ben"))
    room = table.find("blue")
    assert room is not None

    def others() -> list[int]:
        return [room.others(each) for each in ("ann", "ben", "eve")]

    table.join(first)
    assert others() == [1, 1, 2], "in the room and waited for"
    table.leave(first)
    assert others() == [1, 1, 2], "waited for"
    table.give_up(given_up)
    assert others() == [1, 1, 2], "one is still to come"
    table.join(second)
    assert others() == [1, 1, 2], "in the room"
    table.leave(second)
    assert others() == [1, 0, 1], "gone"


def test_giving_up_a_place_leaves_the_others(table: RoomTable) -> None:
    ann = wish("ann")
    table.keep(ann)
    table.keep(wish("ben"))
    table.join(peer("eve"))
    table.give_up(wish("ann", "red"))
    table.give_up(ann)
    room = table.find("blue")
    assert room is not None
    assert (set(room.kept), set(room.peers)) == ({"ben"}, {"eve"})


def test_others(table: RoomTable) -> None:
    ann, ben = wish("ann"), wish("ben")
    table.keep(wish("ann"))
    table.join(peer("ann"))
    table.keep(ben)
    table.keep(ann)
    room = table.find("blue")
    assert room is not None
    assert [room.others(each) for each in ("ann", "ben", "eve")] == [1, 1, 2]
    table.give_up(ben)
    table.give_up(ann)
    assert [room.others(each) for each in ("ann", "ben", "eve")] == [0, 1, 1]


def test_room_stays_while_its_only_peer_changes_the_connection(
    table: RoomTable, time: Time
) -> None:
    old, new = peer("ann", number=1), peer("ann", number=2)
    table.keep(wish("ann"), PASSWORD)
    table.join(old)
    time.now += 30
    table.keep(wish("ann"))
    table.leave(old)
    table.join(new)
    room = table.find("blue")
    assert room is not None
    assert (room.since, room.password) == (1000.0, PASSWORD)
    table.leave(old)
    assert shown(table) == {"blue": {"ann"}}


def test_peer_without_a_place(table: RoomTable) -> None:
    """None was kept: it is in, all the same."""
    table.join(peer("ann"))
    assert shown(table) == {"blue": {"ann"}}
    table.leave(peer("ann", "red"))
    assert shown(table) == {"blue": {"ann"}}


ROOMS, IDS = st.sampled_from(["blue", "red"]), st.sampled_from(["ann", "ben", "eve"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "join", "leave", "give up"]), ROOMS, IDS), max_size=60
)


@given(STEPS)
def test_nothing_is_left_behind(steps: list[tuple[str, str, str]]) -> None:
    table = RoomTable(Time())
    wishes: list[JoinRequest] = []
    peers: dict[tuple[str, str], Peer] = {}
    for what, room, peer_id in steps:
        if what == "keep":
            wishes.append(wish(peer_id, room))
            table.keep(wishes[-1])
        elif what == "give up" and wishes:
            table.give_up(wishes.pop(0))
        elif what == "join" and (room, peer_id) not in peers:
            peers[room, peer_id] = peer(peer_id, room)
            table.join(peers[room, peer_id])
        elif what == "leave" and (room, peer_id) in peers:
            table.leave(peers.pop((room, peer_id)))
        expected = {name: {i for r, i in peers if r == name} for name, _ in peers}
        assert shown(table) == expected
        assert all(place.wanted for room in table for place in room.kept.values())
    for request in wishes:
        table.give_up(request)
    for each in peers.values():
        table.leave(each)
    assert table.count_besides({}) == 0
