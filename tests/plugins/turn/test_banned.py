"""Who is banned has no allocation, gets none, and gets one again when the ban is over."""

import asyncio
from pathlib import Path

import pytest

from tests.plugins.turn.site import HOST, Manual, StartTurn
from tornado_webrtc import hookimpl
from tornado_webrtc.ban import Kind


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("kind", "value"), [("ip", "127.0.0.0/8"), ("user", "alice"), ("peer", "alice")]
)
async def test_banned_client(start_turn: StartTurn, transport: str, kind: Kind, value: str) -> None:
    time = Manual()
    site = await start_turn(clock=time.clock)
    client = await site.client(transport)
    await client.allocate()
    _, ended = site.server.ban(kind, value, seconds=60)
    assert ended == {"connections": 0, "allocations": 1}
    assert len(site.server.collections["allocations"]) == 0
    assert await client.try_to_allocate() == 403
    time.advance(61)
    await client.allocate()
    assert len(site.server.collections["allocations"]) == 1


async def test_others_keep_what_they_have(start_turn: StartTurn) -> None:
    site = await start_turn()
    alice, bob = await site.udp("alice"), await site.udp("bob")
    await alice.allocate()
    await bob.allocate()
    site.server.ban("user", "alice")
    site.server.ban("ip", "192.0.2.0/24")
    site.server.ban("peer", "alice")
    assert [each["user"] for each in site.server.collections["allocations"].entries()] == ["bob"]
    assert await bob.refresh(600) == 0


async def test_names_of_an_account_are_banned_one_by_one(start_turn: StartTurn) -> None:
    """A credential says a name, and not whose it is."""
    site = await start_turn()
    await (await site.udp("alice/laptop")).allocate()
    _, ended = site.server.ban("user", "alice")
    assert ended == {"connections": 0, "allocations": 0}
    _, ended = site.server.ban("user", "alice/laptop")
    assert ended == {"connections": 0, "allocations": 1}


async def test_a_fixed_user_is_no_peer(start_turn: StartTurn, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("alice:wonderland\n")
    site = await start_turn(users_file=users)
    client = await site.udp(credential=("alice", "wonderland"))
    await client.allocate()
    _, ended = site.server.ban("peer", "alice")
    assert ended == {"connections": 0, "allocations": 0}
    assert await client.refresh(600) == 0
    (entry,) = site.server.collections["allocations"].entries()
    assert (entry["user"], entry["peer_id"]) == ("alice", None)


async def test_a_ban_that_comes_while_plugins_are_asked(start_turn: StartTurn) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        @hookimpl
        async def permit_allocation(self) -> None:
            asked.set()
            await go_on.wait()

    site = await start_turn(Slow())
    client = await site.udp()
    allocating = asyncio.create_task(client.try_to_allocate())
    await asked.wait()
    site.server.ban("ip", HOST)
    go_on.set()
    assert await allocating == 403
