"""Places in rooms whose peers never come: they are free at once, not after a while."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite
from tests.wire import WireClient, call, error, until
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Denied, JoinRequest

__all__ = ["site"]

RESETS = 60


class Slow:
    """Asked after rooms, it has all the time there is; or it denies."""

    def __init__(self) -> None:
        self.asked: list[JoinRequest] = []
        self.deny = False

    @hookimpl(trylast=True)
    async def permit_join(self, request: JoinRequest) -> Denied | None:
        if self.deny:
            return Denied("not today")
        self.asked.append(request)
        if request.name == "slow":
            await asyncio.Event().wait()
        return None


def add(site: PluginSite) -> Slow:
    slow = Slow()
    site.server.plugins._pluggy.register(slow, "slow")
    return slow


def rooms_of(site: PluginSite) -> Any:
    return dict(site.server.plugins._pluggy.list_name_plugin())["rooms"]


def table_of(site: PluginSite) -> Any:
    return rooms_of(site)._table


async def test_who_goes_while_another_plugin_thinks_has_no_room(
    site: PluginSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that stands still."""
    await site.start("[rooms]\nmax_rooms = 1\n")
    now = site.server.clock.now()
    monkeypatch.setattr(table_of(site), "_clock", lambda: now)
    slow = add(site)
    client = await site.connect()
    await client.send("new", {"id": "eve", "name": "slow", "room": "red"})
    await until(lambda: bool(slow.asked))
    assert table_of(site).find("red") is not None
    assert await site.refused("ann", "blue") == "room-full"
    await client.drop()
    await until(lambda: table_of(site).find("red") is None)
    await site.join("ann", "blue")


async def test_denial_of_a_plugin_that_is_asked_later_costs_no_place(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_rooms = 1\nmax_peers = 1\n")
    slow = add(site)
    slow.deny = True
    assert await site.refused("eve", "red") == "denied"
    assert table_of(site).count_besides({}) == 0
    slow.deny = False
    await site.join("ann", "red")
    slow.deny = True
    assert await site.refused("ann", "red") == "denied"
    assert table_of(site).find("red").kept == {}


async def test_id_that_is_taken_costs_no_place(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_peers = 2\n")
    ann = await site.join("ann", "red")
    reading = asyncio.ensure_future(ann.read_until_closed())
    client = await site.connect()
    await client.send("new", {"id": "ann", "room": "red"})
    assert (await client.read_until_closed()).code == 4409
    reading.cancel()
    assert table_of(site).find("red").kept == {}


async def test_clients_that_hang_up_at_once_keep_nobody_out(site: PluginSite) -> None:
    """Each asks for a room of its own and resets its connection a moment later."""
    await site.start("[rooms]\nmax_rooms = 4\n")
    add(site)  # with an `async def` behind it, the place is kept some steps before the join
    for number in range(RESETS):
        client = await WireClient.connect(site.server.port)
        await client.send("new", {"id": f"eve-{number}", "room": f"room {number}"})
        await asyncio.sleep(0.00001 * number)
        reset(client)
        await client.drop()
        await until(lambda: not len(site.server.hub))
    await until(lambda: table_of(site).count_besides({}) == 0)
    for number in range(4):
        await site.join("ann", f"blue {number}")
    assert await site.refused("ann", "red") == "room-full"


def reset(client: WireClient) -> None:
    """Let the socket end with RST: nothing of what it sent is waited for."""
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_new_name_takes_no_place_and_asks_for_no_password(
    site: PluginSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a room that has been locked, filled or forbidden since let go of its members."""
    await site.start("[rooms]\nfile = rooms\n", rooms="vault max_peers=1 password=sesame\nopen")
    ann = await site.join("ann", "vault", password="sesame")
    await site.reload(
        "[rooms]\nfile = rooms\nonly_listed = yes\nmax_peers = 1\n", rooms="other password=new"
    )

    async def judge(*_arguments: object) -> None:
        raise AssertionError("a password is looked at")

    monkeypatch.setattr(rooms_of(site)._doorkeeper, "judge", judge)
    for name, fields in (("Anna", {}), ("Annika", {"password": "wrong"}), ("An", {"room": "\n"})):
        peers = await ann.register("ann", name=name, **fields)
        assert [(peer["id"], peer["name"]) for peer in peers] == [("ann", name)]
    assert [peer.scope for peer in site.server.hub.peers()] == ["vault"]
    assert table_of(site).find("vault").kept == {}
    assert site.counters("rooms") == {"joined": 1}


async def test_another_plugin_may_deny_a_name_in_a_room(site: PluginSite) -> None:
    await site.start("[rooms]\nmax_peers = 2\n")
    slow = add(site)
    ann, ben = await site.join("ann", "red", name="Ann"), await site.join("ben", "red")
    slow.deny = True
    await ann.read_type("peers")
    await ann.send("new", {"id": "ann", "name": "Support"})
    assert await ann.read() == error("new", "not today", "denied")
    assert [peer.name for peer in site.server.hub.peers("red")] == ["Ann", "peer ben"]
    await call(ann, ben)
    assert site.counters("rooms") == {"joined": 2}
