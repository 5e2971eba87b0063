"""The wall clock jumps: calls and allocations do not care, credentials and bans go by it."""

import asyncio
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import PEER
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import until
from tests.plugins.turn.client import TurnClient
from tests.plugins.turn.site import LOOPBACK, SETTINGS, TTL_S, TurnSite, found
from tests.relay.lab import Endpoint
from tests.web.conftest import Serve, serve
from tests.wire import WireClient, call
from tornado_webrtc.clock import Clock

__all__ = ["serve"]

HOUR_S, DAY_S = 3600.0, 86400.0
JUMPS_S = (HOUR_S, -HOUR_S, -3 * DAY_S, 40 * 365 * DAY_S)
HEARTBEATS = 2

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Wall:
    """A wall clock that can be set, beside a monotonic one that cannot."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self.clock = Clock(now=time.monotonic, wall=lambda: time.time() + self.offset_s)


async def heartbeats(client: WireClient, count: int) -> float:
    """Wait for some; returns the seconds that took."""
    began = time.monotonic()
    for _ in range(count):
        while await client.read_text() != "{}":
            pass
    return time.monotonic() - began


async def allocates(site: TurnSite, name: str, credential: tuple[str, str]) -> int:
    """What a newcomer with a credential is answered."""
    client = await site.udp(name, credential=credential)
    answer = await client.try_to_allocate()
    if answer == 0:
        assert await client.refresh(0) == 0
    return answer


def bans(site: TurnSite) -> set[str]:
    """Who is banned."""
    find = site.server.bans.find
    return {peer for peer in ("hour", "ever") if find(peer=peer) is not None}


async def start(serve: Serve, clock: Clock, stack: ExitStack) -> TurnSite:
    server = await serve(
        turn={**SETTINGS, "allow_peers": LOOPBACK},
        signaling={"heartbeat_s": 0.5, "ping_s": 3},
        plugins=[found()],
        required=["turn"],
        clock=clock,
    )
    server.ban("peer", "hour", seconds=HOUR_S / 2)
    server.ban("peer", "ever")
    return TurnSite(server, stack)


async def goes_on(site: TurnSite, client: TurnClient, peer: Endpoint) -> None:
    """An allocation relays as before, and can be refreshed."""
    (allocation,) = site.driver.turn.allocations
    expires_at = allocation.expires_at
    client.send_channel(b"after the jump")
    assert await peer.data() == b"after the jump"
    assert await client.refresh(TTL_S) == 0, "with a new nonce, if that is needed"
    assert expires_at <= allocation.expires_at <= site.server.clock.now() + TTL_S


@pytest.mark.parametrize("jump_s", JUMPS_S)
async def test_jump_and_back(serve: Serve, figures: Figures, jump_s: float) -> None:
    """As when somebody sets the clock wrong, and right again."""
    wall = Wall()
    with ExitStack() as stack:
        site = await start(serve, wall.clock, stack)
        before = site.credential("alice")
        client, peer = await site.udp(credential=before), site.peer(PEER)
        await client.allocate()
        assert await client.bind(peer.address) == 0
        port = site.server.port
        async with await WireClient.connect(port) as one, await WireClient.connect(port) as other:
            await one.register("one")
            await other.register("other")
            session_id = await call(one, other)
            for offset_s in (jump_s, 0.0):
                wall.offset_s = offset_s
                await goes_on(site, client, peer)
                both = [heartbeats(each, HEARTBEATS) for each in (one, other)]
                figures(heartbeats_s=max(await asyncio.gather(*both)))
                sizes = [len(site.server.collections[name]) for name in ("sessions", "peers")]
                assert sizes == [1, 2]
                expected = 401 if offset_s > TTL_S else 0
                assert await allocates(site, "old", before) == expected
                assert await allocates(site, "new", site.credential("alice")) == 0
                assert bans(site) == ({"ever"} if offset_s > HOUR_S / 2 else {"ever", "hour"})
            await one.send("bye", {"session_id": session_id})
            assert (await other.read_type("bye"))["session_id"] == session_id


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_whole_process_jumps(install: Install, figures: Figures, event_loop: str) -> None:
    """All of its clocks but the monotonic one, seen from outside."""
    installation = install(
        {"general.event_loop": event_loop, "signaling.heartbeat_s": "1", "signaling.ping_s": "5"}
    )
    file = installation.folder / "faketime"
    file.write_text("+0\n")
    environ = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with installation.run(environ=os.environ | environ) as site:
        async with all_undisturbed(site) as relayed, await site.connect() as watcher:
            await watcher.register("watcher")
            for jump in ("+2h", "-3d", "+30d", "+0"):
                draft = file.with_suffix(".new")
                draft.write_text(f"{jump}\n")
                draft.rename(file)
                heard = [person.received + 10 for person in relayed.people]
                await heartbeats(watcher, 1)
                ban = await site.admin("POST", "/bans", {"peer": "x", "seconds": 100})
                figures(**{f"wall {jump}": ban["created_at"] - time.time()})
                assert (await site.get("/healthz"))[0] == 200
                people = list(zip(relayed.people, heard, strict=True))
                await until(
                    lambda: all(one.received >= goal for one, goal in people),  # noqa: B023
                    "those in the relayed call go on",
                )
            assert (await site.admin("GET", "/status"))["uptime_s"] < HOUR_S
