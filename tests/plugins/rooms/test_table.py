"""Who is in which room, and for whom a place is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.plugins.rooms.password import KnownPassword
from tornado_webrtc.plugins.rooms.table import KEPT_S, RoomTable
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


def shown(table: RoomTable) -> dict[str, set[str]]:
    return {room.name: {*room.peers} for room in table}


def test_room_is_there_from_the_first_to_the_last_peer(table: RoomTable, time: Time) -> None:
    ann, ben = peer("ann"), peer("ben")
    table.keep("blue", "ann", PASSWORD)
    assert (len(table), shown(table), table.count_besides({})) == (0, {}, 1)
    table.join(ann)
    time.now += 5
    table.keep("blue", "ben", KnownPassword.of("another"))
    table.join(ben)
    room = table.find("blue")
    assert room is not None
    assert (room.since, room.password, room.kept) == (1000.0, PASSWORD, {})
    table.leave(ann)
    assert shown(table) == {"blue": {"ben"}}
    table.leave(ben)
    assert (len(table), table.find("blue"), table.count_besides({})) == (0, None, 0)


def test_rooms_besides_those_of_a_list(table: RoomTable, time: Time) -> None:
    for name in ("blue", "red", "green"):
        table.keep(name, "ann")
    assert table.count_besides({"red": 1, "black": 2}) == 2
    time.now += KEPT_S
    assert table.count_besides({}) == 0


def test_place_is_kept_for_a_while(table: RoomTable, time: Time) -> None:
    table.keep("blue", "ann", PASSWORD)
    time.now += KEPT_S - 0.1
    assert table.find("blue") is not None
    time.now += 0.1
    assert table.find("blue") is None


def test_place_that_is_kept_again_is_kept_longer(table: RoomTable, time: Time) -> None:
    table.keep("blue", "ann")
    time.now += KEPT_S - 1
    table.keep("blue", "ann")
    time.now += KEPT_S - 1
    assert table.find("blue") is not None
    time.now += 1
    assert table.find("blue") is None


def test_others(table: RoomTable, time: Time) -> None:
    table.keep("blue", "ann")
    table.join(peer("ann"))
    table.keep("blue", "ben")
    table.keep("blue", "ann")
    room = table.find("blue")
    assert room is not None
    assert [room.others(each) for each in ("ann", "ben", "eve")] == [1, 1, 2]
    time.now += KEPT_S
    room = table.find("blue")
    assert room is not None
    assert [room.others(each) for each in ("ann", "ben", "eve")] == [0, 1, 1]


def test_room_stays_while_its_only_peer_changes_the_connection(
    table: RoomTable, time: Time
) -> None:
    old, new = peer("ann", number=1), peer("ann", number=2)
    table.keep("blue", "ann", PASSWORD)
    table.join(old)
    time.now += 30
    table.keep("blue", "ann")
    table.leave(old)
    table.join(new)
    room = table.find("blue")
    assert room is not None
    assert (room.since, room.password) == (1000.0, PASSWORD)
    table.leave(old)
    assert shown(table) == {"blue": {"ann"}}


def test_peer_without_a_place(table: RoomTable) -> None:
    """A plugin may have thought for longer than places are kept."""
    table.join(peer("ann"))
    assert shown(table) == {"blue": {"ann"}}
    table.leave(peer("ann", "red"))
    assert shown(table) == {"blue": {"ann"}}


ROOMS, IDS = st.sampled_from(["blue", "red"]), st.sampled_from(["ann", "ben", "eve"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "join", "leave", "wait"]), ROOMS, IDS), max_size=60
)


@given(STEPS)
def test_nothing_is_left_behind(steps: list[tuple[str, str, str]]) -> None:
    time = Time()
    table = RoomTable(time)
    peers: dict[tuple[str, str], Peer] = {}
    for what, room, peer_id in steps:
        if what == "keep":
            table.keep(room, peer_id)
        elif what == "wait":
            time.now += KEPT_S / 3
        elif what == "join" and (room, peer_id) not in peers:
            peers[room, peer_id] = peer(peer_id, room)
            table.join(peers[room, peer_id])
        elif what == "leave" and (room, peer_id) in peers:
            table.leave(peers.pop((room, peer_id)))
        expected = {name: {i for r, i in peers if r == name} for name, _ in peers}
        assert shown(table) == expected
    time.now += KEPT_S
    for each in peers.values():
        table.leave(each)
    assert table.count_besides({}) == 0
    assert not table._kept
