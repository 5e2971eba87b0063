"""Rooms in a real server: who sees and reaches whom, who is refused and why."""

import asyncio
import json
import re
import threading
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite, refusal, refused, seen
from tests.web.rawhttp import fetch
from tests.wire import DEADLINE_S, WireClient, call, error, until
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.implementation import faults
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.plugins import rooms
from tornado_webrtc.plugins.rooms import doorkeeper
from tornado_webrtc.plugins.rooms.password import HashedPassword
from tornado_webrtc.server import Server, load

__all__ = ["site"]

HASHED = HashedPassword.make("sesame", 14)
FILE = f"""
open
small max_peers=1
locked password="open sesame"
vault hash={HASHED}
"""


def ids(peers: list[dict[str, str]]) -> list[str]:
    return [peer["id"] for peer in peers]


def plugin_of(site: PluginSite) -> Any:
    return dict(site.server.plugins._pluggy.list_name_plugin())["rooms"]


def test_plugin_is_sound() -> None:
    assert faults(rooms) == []
    assert rooms.REQUIRED
    assert not hasattr(rooms, "ENABLED_BY_DEFAULT")


# --- who sees and reaches whom ------------------------------------------------------------


async def test_rooms_are_apart_for_legacy_clients(site: PluginSite) -> None:
    """The same two ids in two rooms and in the lobby; each calls within its own."""
    await site.start("[rooms]\n")
    pairs: list[tuple[WireClient, WireClient]] = []
    for room in ("blue", "red", None):
        ann, ben = await site.connect(room), await site.connect(room)
        assert ids(await ann.register("ann")) == ["ann"]
        assert ids(await ben.register("ben")) == ["ann", "ben"]
        await seen(ann, "ann", "ben")
        pairs.append((ann, ben))
    for ann, ben in pairs:
        assert await call(ann, ben) == "ann-ben"
    await pairs[0][1].send("bye", {"session_id": "ann-ben"})
    await pairs[0][0].read_type("bye")
    assert [await client.settled() for pair in pairs[1:] for client in pair] == [[]] * 4
    await pairs[1][0].drop()
    assert await pairs[1][1].read_type("bye") == {"session_id": "ann-ben", "to": "ben"}
    assert await pairs[2][1].settled() == []


async def test_call_into_another_room(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    ann, ben = await site.join("ann", "blue"), await site.join("ben", "red")
    await ann.send("offer", {"to": "ben", "session_id": "ann-ben", "media": "video"})
    answers = await ann.settled()
    assert answers[0] == error("offer", "Peer [ben] not found ", "not-found")
    assert answers[1]["type"] == "bye"
    for kind in ("candidate", "answer", "bye"):
        await ann.send(kind, {"to": "ben", "session_id": "ann-ben"})
    await ann.settled()
    assert await ben.settled() == []


async def test_room_in_new_counts_more_than_that_of_the_url(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    client = await site.connect("blue")
    await client.register("ann", room="red")
    assert [peer.scope for peer in site.server.hub.peers()] == ["red"]


async def test_empty_room_is_none(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    client = await site.connect("")
    await client.register("ann", room="")
    assert [peer.scope for peer in site.server.hub.peers()] == [""]


async def test_spelling(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    await site.join("ann", "caf\u00e9 1")
    ben = await site.join("ben", "  cafe\u0301 1\t")
    eve = await site.join("eve", "Caf\u00e9 1")
    await ben.settled()
    assert [peer.id for peer in site.server.hub.peers("caf\u00e9 1")] == ["ann", "ben"]
    assert await eve.settled() == []


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "a\u202eb", " "])
async def test_name_that_will_not_do(site: PluginSite, name: str) -> None:
    await site.start("[rooms]\n")
    assert await site.refused("ann", name) == "room-name"
    assert await refused(await site.connect(name), "ann") == "room-name"
    assert site.counters("rooms") == {"refused.room-name": 2}


async def test_changing_rooms(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    ann, ben = await site.join("ann", "blue"), await site.join("ben", "red")
    await ann.send("leave")
    assert ids(await ann.register("ann", room="red")) == ["ben", "ann"]
    await seen(ben, "ann", "ben")
    assert [room["id"] for room in site.server.collections["rooms"].entries()] == ["red"]


async def test_new_again_changes_the_name_and_not_the_room(site: PluginSite) -> None:
    await site.start("[rooms]\n")
    ann = await site.join("ann", "blue")
    assert (await ann.register("ann", name="Anna", room="red"))[0]["name"] == "Anna"
    assert [peer.scope for peer in site.server.hub.peers()] == ["blue"]


# --- who may join -------------------------------------------------------------------------


async def test_no_lobby(site: PluginSite) -> None:
    await site.start("[rooms]\nlobby = no\n")
    answer = await refusal(await site.connect(), "ann")
    assert answer["code"] == "room-needed"
    await site.join("ann", "blue")


async def test_only_listed_rooms(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\nonly_listed = yes\n", rooms=FILE)
    answer = await refusal(await site.connect(), "ann", "opne")
    assert answer == {
        "request": "new",
        "reason": "There is no room [opne].",
        "code": "room-unknown",
    }
    await site.join("ann", "open")
    await site.join("ben")


async def test_full_room(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\nmax_peers = 2\n", rooms=FILE)
    await site.join("ann", "small")
    answer = await refusal(await site.connect("small"), "ben")
    assert (answer["code"], answer["reason"]) == ("room-full", "The room [small] is full.")
    for peer_id in ("ann", "ben"):
        await site.join(peer_id, "open")
        await site.join(peer_id, "blue")
        await site.join(peer_id)
    assert await site.refused("eve", "blue") == "room-full"
    await site.join("eve")
    assert site.counters("rooms") == {"joined": 5, "refused.room-full": 2}


async def test_place_is_free_again(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_peers = 1\n")
    ann = await site.join("ann", "blue")
    assert await site.refused("ben", "blue") == "room-full"
    await ann.drop()
    await until(lambda: not list(site.server.hub.peers()))
    await site.join("ben", "blue")


async def test_peer_that_comes_back_is_not_kept_out_by_itself(site: PluginSite) -> None:
    """The older connection does not answer any more; nobody has noticed yet."""
    await site.start("[rooms]\nmax_peers = 1\n")
    dead = await site.join("ann", "blue")
    await site.join("ann", "blue", name="returned")
    assert [peer.name for peer in site.server.hub.peers("blue")] == ["returned"]
    assert (await dead.read_until_closed()).code == 4001


async def test_id_of_somebody_who_is_there(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_peers = 1\n")
    ann = await site.join("ann", "blue")
    answering = asyncio.ensure_future(ann.read_until_closed())
    client = await site.connect()
    await client.send("new", {"id": "ann", "room": "blue"})
    assert (await client.read())["data"]["code"] == "id-in-use"
    assert (await client.read_until_closed()).code == 4409
    answering.cancel()


async def test_place_is_kept_while_the_older_connection_is_asked(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_peers = 1\nadhoc_passwords = yes\n")
    dead = await site.join("ann", "blue", password="sesame")
    (holder,) = site.server.hub._connections.values()
    newcomer = await site.connect()
    await newcomer.send("new", {"id": "ann", "room": "blue", "password": "sesame"})
    await until(lambda: bool(holder._probes))
    await dead.drop()
    await until(lambda: holder.closing)
    assert await site.refused("ben", "blue", password="sesame") == "room-full"
    assert await site.refused("ben", "blue") == "room-password"
    shown = site.server.collections["rooms"]
    assert shown.end is not None
    assert (shown.get("blue"), shown.end("blue", "")) == (None, False)
    assert ids(await newcomer.read_type("peers")) == ["ann"]
    assert shown.get("blue") is not None


async def test_too_many_rooms(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\nmax_rooms = 1\n", rooms=FILE)
    blue = await site.join("ann", "blue")
    await site.join("ben", "blue")
    await site.join("ann", "open")
    await site.join("ann")
    answer = await refusal(await site.connect(), "eve", "red")
    assert answer["code"] == "room-full"
    assert answer["reason"] == "There cannot be more rooms at the moment."
    await blue.drop()
    await until(lambda: len(list(site.server.hub.peers("blue"))) == 1)
    assert await site.refused("eve", "red") == "room-full"
    site.server.hub.kick(next(site.server.hub.peers("blue")), "enough")
    await site.join("eve", "red")


CHOOSER = """
from tornado_webrtc import hookimpl

@hookimpl(tryfirst=True)
def scope_for(request):
    return "theirs"

@hookimpl
def permit_join(request):
    return request.peer_id != "eve"
"""


async def test_scope_that_another_plugin_chose(site: PluginSite) -> None:
    """And that it refuses Eve costs nobody a place: it is asked before."""
    (site.folder / "plugins").mkdir()
    (site.folder / "plugins" / "chooser.py").write_text(CHOOSER)
    sections = "path = plugins\n[rooms]\nmax_peers = 1\nlobby = no\n"
    await site.start(sections)
    assert await site.refused("eve") == "denied"
    await site.join("ann", "a\nb")
    assert await site.refused("ben", "mine") == "room-full"
    (room,) = site.server.collections["rooms"].entries()
    assert (room["id"], room["peers"]) == ("theirs", 1)


# --- passwords ----------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "password"), [("locked", "open sesame"), ("vault", "sesame")])
async def test_password_of_a_listed_room(site: PluginSite, room: str, password: str) -> None:
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    for wrong in (None, ""):
        answer = await refusal(await site.connect(), "ann", room, password=wrong)
        assert answer["code"] == "room-password"
        assert answer["reason"] == f"The room [{room}] needs a password."
    for wrong in ("SESAME", password + " ", "\u00e9\x00"):
        answer = await refusal(await site.connect(), "ann", room, password=wrong)
        assert answer["code"] == "room-password"
        assert answer["reason"] == f"This is not the password of the room [{room}]."
    ann = await site.join("ann", room, password=password)
    ben = await site.join("ben", room, password=password)
    await seen(ann, "ann", "ben")
    await call(ann, ben)
    assert site.counters("rooms") == {"joined": 2, "refused.room-password": 5}


async def test_password_is_not_taken_from_the_url(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    path = "/ws?room=locked&password=open%20sesame"
    async with await WireClient.connect(site.server.port, path=path) as client:
        assert await refused(client, "ann") == "room-password"


@pytest.mark.parametrize("password", [7, ["x"], {"a": 1}, True])
async def test_password_that_is_no_text(site: PluginSite, password: Any) -> None:
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    client = await site.connect()
    await client.send("new", {"id": "ann", "room": "locked", "password": password})
    assert (await client.read())["data"]["code"] == "bad-message"
    await client.register("ann", room="locked", password="open sesame")


async def test_password_is_neither_logged_nor_passed_on(
    site: PluginSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await site.start("[rooms]\nfile = rooms\nadhoc_passwords = yes\n", rooms=FILE)
    ann = await site.join("ann", "vault", password="sesame")
    await site.refused("eve", "vault", password="xyzzy-guess")
    await site.join("ben", "vault", password="sesame")
    await site.join("eve", "blue", password="plugh-secret")
    told = json.dumps([await ann.settled(), *site.server.collections["rooms"].entries()])
    shown = "".join(map(repr, vars(plugin_of(site)).values()))
    for secret in ("sesame", "xyzzy", "plugh"):
        assert secret not in caplog.text
        assert secret not in told
        assert secret not in shown


@pytest.mark.parametrize("room", ["locked", "vault"])
async def test_guessing_is_limited(site: PluginSite, room: str) -> None:
    await site.start("[rooms]\nfile = rooms\nwrong_passwords_per_minute = 2\n", rooms=FILE)
    for _ in range(2):
        assert await site.refused("eve", room, password="wrong") == "room-password"
    right = {"locked": "open sesame", "vault": "sesame"}[room]
    answer = await refusal(await site.connect(), "eve", room, password=right)
    assert answer["code"] == "room-password"
    assert answer["reason"].startswith("Too many wrong passwords from your address")
    assert await site.refused("eve", room) == "room-password"
    await site.join("eve", "open")
    await site.reload("[rooms]\nfile = rooms\nwrong_passwords_per_minute = 0\n", rooms=FILE)
    await site.join("eve", room, password=right)


async def test_too_many_at_once(site: PluginSite, monkeypatch: pytest.MonkeyPatch) -> None:
    go, matches = threading.Event(), HashedPassword.matches

    def late(self: HashedPassword, password: str) -> bool:
        assert go.wait(DEADLINE_S)
        return matches(self, password)

    monkeypatch.setattr(doorkeeper, "MAX_WAITING", 1)
    monkeypatch.setattr(doorkeeper, "PATIENCE_S", DEADLINE_S)
    monkeypatch.setattr(HashedPassword, "matches", late)
    await site.start("[rooms]\nfile = rooms\n", rooms=f"vault hash={HASHED}")
    first = await site.connect()
    await first.send("new", {"id": "ann", "room": "vault", "password": "x"})
    plugin = plugin_of(site)
    await until(lambda: plugin._doorkeeper._turnstile._taken)
    answer = await refusal(await site.connect(), "ben", "vault", password="y")
    assert answer["code"] == "room-password"
    assert answer["reason"] == "Too many passwords are tried: try again later."
    go.set()
    await first.send("keepalive", {})
    told = (await first.read())["data"]["reason"]
    assert told == "This is not the password of the room [vault]."


async def test_password_for_what_has_none(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    for room in ("open", "blue"):
        answer = await refusal(await site.connect(), "ann", room, password="x")
        assert answer["code"] == "room-password"
        assert answer["reason"] == f"The room [{room}] has no password: join without one."
    answer = await refusal(await site.connect(), "ann", password="x")
    assert (answer["code"], answer["reason"]) == (
        "room-password",
        "The password is for no room: name one.",
    )
    await site.join("ann", "open", password="")


async def test_first_peer_locks_a_room(site: PluginSite) -> None:
    await site.start("[rooms]\nadhoc_passwords = yes\n")
    ann = await site.join("ann", "blue", password="sesame")
    assert await site.refused("ben", "blue") == "room-password"
    assert await site.refused("ben", "blue", password="wrong") == "room-password"
    ben = await site.join("ben", "blue", password="sesame")
    await ann.drop()
    await until(lambda: len(list(site.server.hub.peers("blue"))) == 1)
    assert await site.refused("eve", "blue", password="other") == "room-password"
    await ben.drop()
    await until(lambda: not list(site.server.hub.peers("blue")))
    await site.join("eve", "blue", password="other")
    assert await site.refused("ben", "blue", password="sesame") == "room-password"


async def test_room_that_is_open_stays_open(site: PluginSite) -> None:
    await site.start("[rooms]\nadhoc_passwords = yes\n")
    await site.join("ann", "blue")
    answer = await refusal(await site.connect(), "ben", "blue", password="sesame")
    assert answer["reason"] == "The room [blue] has no password: join without one."
    await site.join("ben", "blue")


# --- the operator -------------------------------------------------------------------------


async def test_room_without_limit(site: PluginSite) -> None:
    server = await site.start("[rooms]\n")
    await site.join("ann", "blue")
    entry = server.collections["rooms"].get("blue")
    assert entry is not None
    assert entry["max_peers"] is None


async def test_reload(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    ann = await site.join("ann", "open")
    vault = await site.join("ann", "vault", password="sesame")
    await site.join("ben", "open")
    report = await site.reload("[rooms]\nfile = rooms\n", rooms='open max_peers=1 password="new"')
    assert (report.applied, report.needs_restart) == (("rooms.file",), ())
    assert [peer.id for peer in site.server.hub.peers("open")] == ["ann", "ben"]
    assert await site.refused("eve", "open") == "room-password"
    assert plugin_of(site)._doorkeeper._known == {}
    assert await site.refused("eve", "open", password="new") == "room-full"
    await site.join("ben", "vault")
    await seen(vault, "ann", "ben")
    sections = "[rooms]\nfile = rooms\nonly_listed = yes\nlobby = no\nmax_peers = 3\n"
    report = await site.reload(sections, rooms="open")
    assert {"rooms.only_listed", "rooms.lobby", "rooms.max_peers"} <= {*report.applied}
    assert await site.refused("eve", "vault") == "room-unknown"
    assert await site.refused("eve") == "room-needed"
    await site.join("eve", "open")
    assert await site.refused("kim", "open") == "room-full"
    await seen(ann, "ann", "ben", "eve")


async def test_reload_with_a_bad_file_changes_nothing(
    site: PluginSite, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over, all stays as it is:\n.*line 2: two names")
    await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    with pytest.raises(ConfigError, match=r"rooms.*, line 2: two names"):
        await site.reload("[rooms]\nfile = rooms\nlobby = no\n", rooms="locked\nboard room")
    assert await site.refused("eve", "locked") == "room-password"
    await site.join("eve")


async def test_server_does_not_start_with_a_bad_file(site: PluginSite) -> None:
    site.write("[rooms]\nfile = rooms\n", rooms="a size=1\nb hash=x")
    server = Server(*load(site.conf))
    with pytest.raises(ConfigError) as raised:
        await server.start()
    await server.stop()
    first, second = map(str, raised.value.problems)
    place = rf"{site.conf}, line \d+, rooms.file: {site.folder}/rooms"
    assert re.match(f"{place}, line 1: there is an option", first)
    assert re.match(f"{place}, line 2: a hash is", second)


async def test_file_that_goes_bad_unseen(site: PluginSite, expect_log: ExpectLog) -> None:
    """Between `check` and what comes of it somebody may write the file."""
    expect_log("plugin rooms: settings_changed failed: .*line 1: two names")
    server = await site.start("[rooms]\nfile = rooms\n", rooms=FILE)
    (site.folder / "rooms").write_text("board room")
    server.hooks.notify("settings_changed", old=server.config, new=server.config)
    assert await site.refused("ann", "locked") == "room-password"
    expect_log("plugin rooms: start failed: .*line 1: two names")
    config, found = load(site.conf)
    with pytest.raises(PluginError, match="line 1: two names"):
        await PluginManager(found, config, ()).start(server)


async def test_doubts_are_warnings(site: PluginSite, expect_log: ExpectLog) -> None:
    expect_log("nobody can join any")
    await site.start("[rooms]\nonly_listed = yes\n")
    assert await site.refused("ann", "blue") == "room-unknown"


# --- together -----------------------------------------------------------------------------


async def test_turn_credentials_for_peers_in_rooms(site: PluginSite) -> None:
    await site.start("[rooms]\nfile = rooms\n[turn]\napi_access = peer\n", rooms=FILE)
    await site.join("ann", "open")
    await site.join("ben", "vault", password="sesame")
    for name, status in (("ann", 200), ("ben", 200), ("eve", 403)):
        answer = await fetch(site.server.port, f"/api/turn?service=turn&username={name}")
        assert answer.status == status
