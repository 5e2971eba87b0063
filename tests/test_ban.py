"""Bans: what they match, how long they hold, what is stored of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import ExpectLog
from tornado_webrtc.ban import (
    MAX_REASON_BYTES,
    Ban,
    BanList,
    Kind,
    check_reason,
    client_network,
    encode,
    end_entries,
    split_id,
)
from tornado_webrtc.collection import Collection
from tornado_webrtc.errors import BanError, StateError

START = 1_800_000_000.0


class World:
    """A list of bans whose clock and disk are the test's."""

    def __init__(self) -> None:
        self.wall = START
        self.stored: bytes | None = None
        self.bans = self.again()

    def again(self) -> BanList:
        """The list as it is after a restart."""
        self.bans = BanList(lambda: self.wall, self._keep, self.stored)
        return self.bans

    def _keep(self) -> None:
        self.stored = encode(self.bans)


@pytest.fixture
def world() -> World:
    return World()


def found(bans: BanList, **client: str) -> str | None:
    ban = bans.find(**client)
    return ban.id if ban else None


# --- whom a ban is about ----------------------------------------------------------


@pytest.mark.parametrize(
    ("banned", "ip", "expected"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.7/24", "203.0.113.1", True),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("::ffff:203.0.113.0/120", "203.0.113.7", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("::/64", "::1", True),
        ("::/96", "0.0.0.1", False),
        ("0.0.0.0/8", "::1", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("203.0.113.7", "", False),
        ("203.0.113.7", "unknown", False),
    ],
)
def test_network(world: World, banned: str, ip: str, expected: bool) -> None:
    ban = world.bans.add("ip", banned)
    assert (world.bans.find(ip=ip) is ban) is expected
    assert ban.matches(ip=ip) is expected


@given(st.ip_addresses(), st.integers(1, 32))
def test_an_address_is_in_its_own_network(address: Any, length: int) -> None:
    assume(getattr(address, "ipv4_mapped", None) is None)
    world = World()
    ban = world.bans.add("ip", f"{address}/{length}")
    assert world.bans.find(ip=str(address)) is ban


def test_peer_and_user_are_two_things(world: World) -> None:
    world.bans.add("peer", "alice")
    world.bans.add("user", "bob")
    assert found(world.bans, peer="alice", ip="192.0.2.1") == "peer:alice"
    assert found(world.bans, user="alice", peer="bob") is None
    assert found(world.bans, user="bob") == "user:bob"


def test_nobody_is_banned_at_first(world: World) -> None:
    assert (len(world.bans), list(world.bans)) == (0, [])
    assert found(world.bans, ip="192.0.2.1", peer="", user="") is None


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("ip", "203.0.113.7/24", "ip:203.0.113.0/24"),
        ("ip", " 203.0.113.7/32 ", "ip:203.0.113.7"),
        ("ip", "2001:DB8:0::/32", "ip:2001:db8::/32"),
        ("ip", "fe80::1%eth0", "ip:fe80::1"),
        ("ip", "fe80::1%eth0/64", "ip:fe80::/64"),
        ("peer", "a:b/c", "peer:a:b/c"),
    ],
)
def test_id_is_the_shortest_form(world: World, kind: Kind, value: str, shown: str) -> None:
    assert world.bans.add(kind, value).id == shown
    assert ":".join(split_id(f"{kind}:{value}")) == shown


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        ("ip", "203.0.113.256", "neither an IP address nor a network"),
        ("ip", "alice", "neither an IP address nor a network"),
        ("ip", "0.0.0.0/0", "is everybody"),
        ("ip", "::/0", "is everybody"),
        ("ip", "::ffff:0:0/96", "is everybody"),
        ("peer", "", "1 to 512 characters"),
        ("user", "x" * 513, "1 to 512 characters"),
        ("address", "1.2.3.4", "'address' cannot be banned; ip, peer, user can"),
        ("peer", 7, "is a text, not 7"),
        ("user", "\ud800", "surrogate"),
        ("ip", "1.2.3.4%eth0", "neither an IP address nor a network"),
        ("ip", "fe80::1%", "neither an IP address nor a network"),
    ],
)
def test_nonsense_is_refused(world: World, kind: Kind, value: str, complaint: str) -> None:
    with pytest.raises(BanError, match=complaint):
        world.bans.add(kind, value)
    assert (len(world.bans), world.stored) == (0, None)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e12, 10**400, True])
def test_a_time_that_is_none_is_refused(world: World, seconds: float) -> None:
    with pytest.raises(BanError, match="more than 0 seconds"):
        world.bans.add("peer", "alice", seconds=seconds)


@pytest.mark.parametrize("reason", ["\x1b[2J", "a\nb", "ü" * (MAX_REASON_BYTES // 2 + 1)])
def test_a_reason_that_nobody_can_be_told_is_refused(world: World, reason: str) -> None:
    with pytest.raises(BanError, match="reason"):
        world.bans.add("peer", "alice", reason=reason)
    with pytest.raises(BanError, match="reason"):
        check_reason(reason)


def test_what_the_banned_one_is_told(world: World) -> None:
    assert world.bans.add("peer", "a", reason="spam").told == "banned: spam"
    assert world.bans.add("peer", "a").told == "you are banned"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("203.0.113.7", "did you mean ip:203.0.113.7?"),
        ("2001:db8::1", "did you mean ip:2001:db8::1?"),
        ("alice", "has to be ip:…, peer:… or user:…$"),
        ("room:alice", "has to be"),
        ("ip:alice", "neither"),
        ("peer:", "1 to 512"),
    ],
)
def test_an_id_that_is_none(text: str, complaint: str) -> None:
    with pytest.raises(BanError, match=complaint.replace("?", r"\?")):
        split_id(text)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("?", "?"),
    ],
)
def test_network_of_one_client(ip: str, network: str) -> None:
    assert client_network(ip) == network


# --- how long ---------------------------------------------------------------------


def test_a_ban_ends_by_itself(world: World) -> None:
    ban = world.bans.add("ip", "203.0.113.0/24", seconds=60)
    world.wall += 59.9
    assert world.bans.find(ip="203.0.113.7") is ban
    assert world.bans.get(ban.id) is ban
    world.wall += 0.1
    assert world.bans.find(ip="203.0.113.7") is None
    assert world.bans.get(ban.id) is None
    assert world.bans.remove(ban.id) is False
    assert len(world.bans) == 0


def test_another_ban_of_the_same_replaces_it(world: World) -> None:
    world.bans.add("ip", "203.0.113.7", seconds=60)
    world.bans.add("ip", "203.0.113.7/32", seconds=3600, reason="again")
    assert [ban.reason for ban in world.bans] == ["again"]
    world.wall += 61
    assert found(world.bans, ip="203.0.113.7") == "ip:203.0.113.7"


def test_a_larger_network_holds_when_the_smaller_one_has_ended(world: World) -> None:
    world.bans.add("ip", "203.0.113.7", seconds=60)
    world.bans.add("ip", "203.0.113.0/24")
    world.wall += 61
    assert found(world.bans, ip="203.0.113.7") == "ip:203.0.113.0/24"


def test_taken_back(world: World) -> None:
    ban = world.bans.add("ip", "203.0.113.7")
    assert world.bans.remove("ip:203.0.113.7") is True
    assert world.bans.remove("ip:203.0.113.7") is False
    assert world.bans.find(ip="203.0.113.7") is None
    assert ban.id not in str(world.stored)


# --- stored -----------------------------------------------------------------------


def test_a_restart_keeps_bans_and_their_ends(world: World) -> None:
    world.bans.add("ip", "203.0.113.0/24", seconds=60, reason="spam")
    world.bans.add("user", "bob")
    world.wall += 30
    before = list(world.bans)
    assert list(world.again()) == before
    world.wall += 31
    assert [ban.id for ban in world.again()] == ["user:bob"]


def test_a_list_that_nobody_keeps(world: World) -> None:
    bans = BanList(lambda: world.wall)
    bans.add("peer", "alice")
    assert (len(bans), bans.stored) == (1, False)


def test_a_change_is_not_stored_until_somebody_says_so(world: World) -> None:
    stored = [world.bans.stored]
    ban = world.bans.add("peer", "alice")
    stored.append(world.bans.stored)
    world.bans.stored = True
    world.bans.remove(ban.id)
    stored.append(world.bans.stored)
    assert stored == [True, False, False]


def test_one_ban_is_one_line(world: World) -> None:
    world.bans.add("peer", "Ünal")
    world.bans.add("ip", "192.0.2.1", seconds=60)
    assert world.stored is not None
    assert len(world.stored.splitlines()) == 4
    assert [each["value"] for each in json.loads(world.stored)["bans"]] == ["Ünal", "192.0.2.1"]


def test_no_more_than_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tornado_webrtc.ban.MAX_BANS", 3)
    for name in ("a", "b"):
        world.bans.add("peer", name)
    world.bans.add("peer", "c", seconds=60)
    with pytest.raises(BanError, match="there are 3 bans already; take some back, or ban a net"):
        world.bans.add("peer", "d")
    world.bans.add("peer", "a", reason="one that is there may be replaced")
    world.wall += 61
    world.bans.add("peer", "d")
    assert [ban.value for ban in world.again()] == ["b", "a", "d"]
    monkeypatch.setattr("tornado_webrtc.ban.MAX_BANS", 2)
    with pytest.raises(StateError, match="3 bans, at most 2 are allowed"):
        world.again()


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    ban = {"kind": "ip", "value": "192.0.2.1", "reason": "", "created_at": 1, "expires_at": None}
    change(ban)
    return json.dumps({"bans": [ban]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"bans": 7}',
        b'{"bans": [7]}',
        b"[" * 100_000,
        changed(lambda ban: ban.pop("reason")),
        changed(lambda ban: ban.update(kind="room")),
        changed(lambda ban: ban.update(value="0.0.0.0/0")),
        changed(lambda ban: ban.update(value=7)),
        changed(lambda ban: ban.update(created_at="now")),
        changed(lambda ban: ban.update(expires_at=float("inf"))),
        changed(lambda ban: ban.update(expires_at=True)),
        changed(lambda ban: ban.update(more=1)),
        changed(lambda ban: ban.update(created_at=10**400)),
        changed(lambda ban: ban.update(expires_at=10**400)),
        changed(lambda ban: ban.update(expires_at=1e300)),
        changed(lambda ban: ban.update(created_at=-1)),
        changed(lambda ban: ban.update(kind="peer", value="\ud800")),
    ],
)
def test_what_cannot_be_read_stops_the_start(content: bytes) -> None:
    with pytest.raises(StateError, match=r"bans\.json in the state directory cannot be read"):
        BanList(lambda: START, None, content)


def test_what_was_edited_is_taken() -> None:
    bans = BanList(lambda: START, None, changed(lambda ban: ban.update(value="192.0.2.1/24")))
    assert [ban.id for ban in bans] == ["ip:192.0.2.0/24"]


# --- what a banned one has ----------------------------------------------------------


class Rooms:
    """A collection of a plugin."""

    def __init__(self, *entries: dict[str, object]) -> None:
        self.entries = {str(each["id"]): each for each in entries}
        self.ended: list[tuple[str, str]] = []

    def end(self, entry_id: str, reason: str) -> bool:
        self.ended.append((entry_id, reason))
        return self.entries.pop(entry_id, None) is not None

    def collection(self, *, can_end: bool = True) -> Collection:
        return Collection(
            count=lambda: len(self.entries),
            entries=lambda: list(self.entries.values()),
            get=self.entries.get,
            end=self.end if can_end else None,
        )


def test_entries_of_the_banned_are_ended() -> None:
    rooms = Rooms(
        {"id": "1", "remote_ip": "203.0.113.7", "user": "alice"},
        {"id": "2", "remote_ip": "203.0.113.8", "user": "bob"},
        {"id": "3", "remote_ip": None},
        {"id": "4", "peer_id": "bob"},
    )
    assert end_entries(Ban("user", "bob", "", START, None), rooms.collection()) == 1
    assert rooms.ended == [("2", "banned")]
    assert end_entries(Ban("ip", "203.0.113.0/24", "", START, None), rooms.collection()) == 1
    assert list(rooms.entries) == ["3", "4"]
    assert end_entries(Ban("peer", "bob", "", START, None), rooms.collection()) == 1
    assert list(rooms.entries) == ["3"]


def test_entries_that_cannot_be_ended_stay() -> None:
    rooms = Rooms({"id": "1", "user": "alice"})
    assert end_entries(Ban("user", "alice", "", START, None), rooms.collection(can_end=False)) == 0


def test_a_collection_that_raises_does_not_undo_the_ban(expect_log: ExpectLog) -> None:
    expect_log("what user:alice has could not be ended")
    rooms = Rooms().collection()
    broken = replace(rooms, entries=lambda: [{"user": "alice"}])
    assert end_entries(Ban("user", "alice", "", START, None), broken) == 0
