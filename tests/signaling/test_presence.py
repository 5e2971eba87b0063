"""Rosters: who is listed to whom, in which order, and how many at most."""

import itertools
import json
from collections.abc import Iterator

import pytest

from tornado_webrtc.signaling import Peer, PeerAddress
from tornado_webrtc.signaling.presence import ENTRY_BYTES, Presence, Roster


def peer(peer_id: str, name: str = "", scope: str = "") -> Peer:
    return Peer(peer_id, name, "", scope, PeerAddress("node-1", 1))


def roster_of(*peer_ids: str, list_max: int = 0) -> Roster:
    roster = Roster(list_max)
    for peer_id in peer_ids:
        roster.put(peer(peer_id))
    return roster


def listed(frame: bytes) -> list[str]:
    """Return the ids in a `peers` frame."""
    message = json.loads(frame)
    assert message.keys() == {"type", "data"}
    assert message["type"] == "peers"
    for entry in message["data"]:
        assert entry.keys() == {"id", "name", "user_agent"}
        assert all(isinstance(text, str) for text in entry.values())
    return [entry["id"] for entry in message["data"]]


def all_see(roster: Roster, *peer_ids: str) -> bool:
    """Tell whether every peer of a roster is shown exactly these."""
    return all(shown == list(peer_ids) for shown in lists(roster).values())


def lists(roster: Roster) -> dict[str, list[str]]:
    """Return whom each peer is shown; one peer's list is the one made for all."""
    shown = {peer.id: listed(frame) for peer, frame in roster.lists()}
    assert shown == {peer.id: listed(roster.list_for(peer)) for peer in roster}
    return shown


def test_an_empty_roster_lists_nobody_to_nobody() -> None:
    roster = roster_of()
    assert (len(roster), list(roster), lists(roster)) == (0, [], {})


def test_the_list_is_the_same_for_all_and_holds_oneself() -> None:
    roster = roster_of("2", "1", "3")
    assert all_see(roster, "2", "1", "3")


def test_the_list_on_the_wire() -> None:
    roster = Roster(0)
    roster.put(Peer("1", "Ann", "ios", "", PeerAddress("node-1", 1)))
    (frame,) = [frame for _, frame in roster.lists()]
    assert frame == (b'{"type":"peers","data":[{"id":"1","name":"Ann","user_agent":"ios"}]}')


def test_the_order_is_that_of_joining_and_a_new_name_does_not_change_it() -> None:
    roster = roster_of("2", "1", "3")
    second = roster.get("2")
    assert second is not None
    second.name = "Bob"
    roster.put(second)
    assert lists(roster)["3"] == ["2", "1", "3"]
    assert b'"name":"Bob"' in roster.list_for(second)


def test_who_comes_back_stands_last() -> None:
    roster = roster_of("2", "1", "3")
    second = roster.get("2")
    assert second is not None
    roster.remove(second)
    assert all_see(roster, "1", "3")
    roster.put(second)
    assert lists(roster)["1"] == ["1", "3", "2"]


def test_peers_are_found_by_id() -> None:
    roster = roster_of("1")
    assert [each.id for each in roster] == ["1"]
    assert roster.get("1") is next(iter(roster))
    assert roster.get("2") is None


def test_a_roster_may_change_while_it_is_walked() -> None:
    roster = roster_of("1", "2", "3")
    for each in roster:
        roster.remove(each)
    assert len(roster) == 0


@pytest.mark.parametrize("list_max", [0, 4, 5])
def test_a_list_that_is_not_too_long_is_whole(list_max: int) -> None:
    roster = roster_of("1", "2", "3", "4", list_max=list_max)
    assert all_see(roster, "1", "2", "3", "4")


def test_of_a_long_list_the_first_are_shown_and_always_oneself() -> None:
    assert lists(roster_of("1", "2", "3", "4", "5", list_max=3)) == {
        "1": ["1", "2", "3"],
        "2": ["1", "2", "3"],
        "3": ["1", "2", "3"],
        "4": ["1", "2", "4"],
        "5": ["1", "2", "5"],
    }


def test_a_list_of_one_shows_oneself() -> None:
    assert lists(roster_of("1", "2", "3", list_max=1)) == {"1": ["1"], "2": ["2"], "3": ["3"]}


def test_a_list_becomes_whole_again() -> None:
    roster = roster_of("1", "2", "3", list_max=2)
    first = roster.get("1")
    assert first is not None
    roster.remove(first)
    assert lists(roster) == {"2": ["2", "3"], "3": ["2", "3"]}


def test_scopes_do_not_see_each_other() -> None:
    presence = Presence(0)
    here, there = peer("1"), peer("1", scope="room")
    presence.put(here)
    presence.put(there)
    assert presence.find("", "1") is here
    assert presence.find("room", "1") is there
    assert presence.find("elsewhere", "1") is None
    assert list(presence.roster("room")) == [there]
    assert list(presence) == ["", "room"]
    assert len(presence) == 2


def test_an_empty_scope_is_not_kept() -> None:
    presence = Presence(0)
    one, two = peer("1", scope="room"), peer("2", scope="room")
    presence.put(one)
    presence.put(two)
    presence.remove(one)
    assert list(presence) == ["room"]
    presence.remove(two)
    assert list(presence) == []
    assert presence.find("room", "1") is None
    assert list(presence.roster("room")) == []
    assert list(presence) == []
    assert len(presence) == 0


def test_a_changed_name_is_shown() -> None:
    presence = Presence(0)
    one = peer("1", "Ann")
    presence.put(one)
    one.name = "Anna"
    presence.put(one)
    assert len(presence.roster("")) == 1
    assert presence.roster("").list_for(one) == (
        b'{"type":"peers","data":[{"id":"1","name":"Anna","user_agent":""}]}'
    )


def test_the_limit_holds_in_every_scope() -> None:
    presence = Presence(2)
    peers = [peer(peer_id, scope=scope) for scope in ("", "room") for peer_id in "123"]
    for each in peers:
        presence.put(each)
    for scope in presence:
        assert lists(presence.roster(scope))["3"] == ["1", "3"]


def test_another_maximum_holds_for_the_rosters_that_are_there_and_for_new_ones() -> None:
    presence = Presence(0)
    for peer_id in ("1", "2", "3"):
        presence.put(peer(peer_id, scope="red"))
    presence.set_list_max(1)
    presence.put(peer("4", scope="blue"))
    presence.put(peer("5", scope="blue"))
    shown = {"red": "1", "blue": "4"}
    for scope, first in shown.items():
        lists_of_scope = lists(presence.roster(scope))
        assert lists_of_scope[first] == [first]
        assert all(len(ids) == 1 for ids in lists_of_scope.values())


# --- how large a list may be --------------------------------------------------------------------

BROWSER = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1.1 Mobile/15E148 Safari/604.1"
)
ADDRESS = PeerAddress("node-1", 1)


def longest(number: int) -> Peer:
    """A peer with as many characters as there may be, of four bytes each."""
    face = "\U0001f600"
    return Peer(f"{number:03}" + face * 125, face * 64, face * 192, "", ADDRESS)


def test_list_of_500_ordinary_peers_is_whole() -> None:
    roster = Roster(500)
    for number in range(500):
        peer_id = f"5f0c1b8e-7d2a-4c3f-9e6b-{number:012}"
        roster.put(Peer(peer_id, "Maximiliane Mustermann", BROWSER, "", ADDRESS))
    first = next(iter(roster))
    assert len(listed(roster.list_for(first))) == 500


def test_list_is_bounded_however_long_its_entries_are() -> None:
    roster = Roster(500)
    for number in range(500):
        roster.put(longest(number))
    for number in range(1000):
        roster.put(peer(f"{number:06}", "ordinary"))
    sizes = set()
    for each, frame in roster.lists():
        sizes.add(len(frame))
        assert len(frame) <= 500 * ENTRY_BYTES
        ids = listed(frame)
        assert each.id in ids
        assert ids[:80] == [other.id for other in roster][:80]
    longest_entry = len(longest(0).id.encode()) + 4 * (64 + 192) + 33
    assert min(sizes) > 500 * ENTRY_BYTES - 2 * longest_entry, "filled up"
    assert lists_agree(roster)


def lists_agree(roster: Roster) -> bool:
    """Tell whether one peer's list is the one made for all; for some of many."""
    return all(
        roster.list_for(each) == frame
        for number, (each, frame) in enumerate(roster.lists())
        if number % 97 == 0
    )


def test_without_a_limit_there_is_none_for_bytes() -> None:
    roster = Roster(0)
    for number in range(500):
        roster.put(longest(number))
    assert {len(listed(frame)) for _, frame in roster.lists()} == {500}


def test_own_entry_is_there_even_if_it_alone_is_too_long() -> None:
    roster = Roster(2)
    for number in range(3):
        roster.put(longest(number))
    roster.put(peer("short"))
    assert lists(roster) == {each.id: [each.id] for each in roster}


def test_as_many_others_as_fit_beside_the_own_entry() -> None:
    roster = Roster(4)
    for peer_id in "123":
        roster.put(Peer(peer_id, "\u00e9" * 64, "y" * 192, "", ADDRESS))
    roster.put(peer("4"))
    roster.put(Peer("5", "x" * 64, "\U0001f600" * 192, "", ADDRESS))
    assert lists(roster) == {
        "1": ["1", "2"],
        "2": ["1", "2"],
        "3": ["1", "3"],
        "4": ["1", "2", "4"],
        "5": ["5"],
    }


# --- rosters that change while they are told ----------------------------------------------------


def told(made: Iterator[tuple[Peer, bytes]]) -> list[tuple[str, list[str]]]:
    """Return who is told from here on, in order, and what."""
    return [(each.id, listed(frame)) for each, frame in made]


def remove(roster: Roster, *peer_ids: str) -> None:
    for peer_id in peer_ids:
        gone = roster.get(peer_id)
        assert gone is not None
        roster.remove(gone)


def test_who_goes_while_lists_are_made_gets_none_and_is_in_none() -> None:
    roster = roster_of("1", "2", "3", "4", "5")
    made = roster.lists()
    first, frame = next(made)
    assert (first.id, listed(frame)) == ("1", ["1", "2", "3", "4", "5"])
    remove(roster, "1", "4")
    second, frame = next(made)
    assert (second.id, listed(frame)) == ("2", ["2", "3", "5"])
    remove(roster, "2")
    assert told(made) == [("3", ["3", "5"]), ("5", ["3", "5"])]


def test_who_comes_while_lists_are_made_is_in_the_later_ones_and_gets_none() -> None:
    """It was shown one of its own already."""
    roster = roster_of("1", "2", "3")
    made = roster.lists()
    next(made)
    roster.put(peer("4"))
    assert told(made) == [("2", ["1", "2", "3", "4"]), ("3", ["1", "2", "3", "4"])]


def test_who_moves_up_while_lists_are_made_sees_itself_once() -> None:
    roster = roster_of("1", "2", "3", "4", "5", list_max=2)
    made = roster.lists()
    next(made)
    remove(roster, "1")
    assert told(made) == [
        ("2", ["2", "3"]),
        ("3", ["2", "3"]),
        ("4", ["2", "4"]),
        ("5", ["2", "5"]),
    ]


def test_who_comes_back_while_lists_are_made_gets_none_and_stands_last() -> None:
    roster = roster_of("1", "2", "3", "4", list_max=2)
    made = roster.lists()
    next(made)
    remove(roster, "2", "4")
    roster.put(peer("4", "somebody else"))
    assert told(made) == [("3", ["1", "3"])]
    assert lists(roster)["4"] == ["1", "4"]


def test_new_name_is_in_the_lists_that_are_still_to_come() -> None:
    roster = roster_of("1", "2", "3")
    made = roster.lists()
    next(made)
    first = roster.get("1")
    assert first is not None
    first.name = "Ann"
    roster.put(first)
    assert [b'"name":"Ann"' in frame for _, frame in made] == [True, True]


def test_lists_between_two_changes_are_one() -> None:
    """It is put together once, not for each: that takes milliseconds of a crowd."""
    roster = roster_of(*map(str, range(100)))
    made = roster.lists()
    before = {id(frame): frame for _, frame in itertools.islice(made, 50)}
    remove(roster, "99")
    after = {id(frame): frame for _, frame in made}
    assert [len(frames) for frames in (before, after)] == [1, 1]
    assert before.keys() != after.keys()


def test_limit_may_change_while_lists_are_made() -> None:
    roster = roster_of("1", "2", "3", "4", list_max=2)
    made = roster.lists()
    next(made)
    roster.set_list_max(3)
    assert told(made) == [
        ("2", ["1", "2", "3"]),
        ("3", ["1", "2", "3"]),
        ("4", ["1", "2", "4"]),
    ]
