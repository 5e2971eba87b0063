"""Very many at once: idle sockets, long names, people who come, call and go in every way."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.hostile.bystander import undisturbed
from tests.hostile.churner import CHURNERS, Churner
from tests.hostile.conftest import OpenSite
from tests.hostile.site import Site, until
from tests.wire import WireClient

CROWD = 2000
AT_ONCE = 100
CHURN_S = float(os.environ.get("HOSTILE_SECONDS", "10"))
LONG_CHURN_S = 120.0
EMPTY = {
    "connections": 0,
    "connection_timers": 0,
    "waiting_bytes": 0,
    "probes": 0,
    "clients": 0,
    "peers": 0,
    "scopes": 0,
    "sessions": 0,
    "announcements": 0,
    "abandoned": 0,
    "living_Connection": 0,
    "living_Peer": 0,
    "living_Session": 0,
    "living_SignalingSocket": 0,
}


async def in_parts(count: int, job: Callable[[int], Awaitable[WireClient]]) -> list[WireClient]:
    """Do a job many times, some at once, and return the clients in order."""
    clients: list[WireClient] = []
    for start in range(0, count, AT_ONCE):
        part = range(start, min(start + AT_ONCE, count))
        clients += await asyncio.gather(*(job(number) for number in part))
    return clients


# --- idle ---------------------------------------------------------------------


async def test_two_thousand_who_never_say_who_they_are(open_site: OpenSite) -> None:
    site = open_site(hello_timeout_s=8)
    async with undisturbed(site):
        files = site.open_files()

        async def idle(_number: int) -> WireClient:
            return await site.connect()

        clients = await in_parts(CROWD, idle)
        ends = await asyncio.gather(*(client.read_until_closed() for client in clients))
        assert {(end.code, end.reason) for end in ends} == {(4408, "no `new` in time")}
        for client in clients:
            client.writer.close()
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
    await site.until_tables(**EMPTY)


async def test_two_thousand_who_sign_in_and_wait(open_site: OpenSite) -> None:
    site = open_site(ping_s=0)
    async with undisturbed(site):
        files = site.open_files()

        async def member(number: int) -> WireClient:
            client = await site.connect()
            await client.send("new", {"id": f"member-{number}", "name": "", "user_agent": ""})
            while '"peers"' not in await client.read_text():
                pass
            return client

        clients = await in_parts(CROWD, member)
        await site.until_tables(peers=CROWD + 4)
        for client in clients:
            await client.send("keepalive", {"mark": True})
        for client in clients:
            while '"mark"' not in await client.read_text():
                pass
        for client in clients:
            client.writer.close()
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
    await site.until_tables(**EMPTY)


# --- coming and going ---------------------------------------------------------


async def churn(site: Site, seconds: float) -> None:
    """Let a crowd come and go; afterwards nothing of it may be left."""
    seed = random.randrange(1 << 32)  # noqa: S311
    async with undisturbed(site):
        files = site.open_files()
        deadline = time.monotonic() + seconds
        churners = [Churner(site, seed + number) for number in range(CHURNERS)]
        await asyncio.gather(*(each.run_until(deadline) for each in churners))
        assert sum(churner.rounds for churner in churners) > CHURNERS
        await site.until_tables(connections=4, peers=4, sessions=2, living_Connection=4)
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
    await site.until_tables(**EMPTY)


async def test_coming_and_going(open_site: OpenSite) -> None:
    await churn(open_site(), CHURN_S)


async def test_coming_and_going_over_tls(open_site: OpenSite) -> None:
    await churn(open_site(tls=True, event_loop="asyncio"), CHURN_S)


@pytest.mark.long
@pytest.mark.timeout(LONG_CHURN_S * 2)
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_coming_and_going_for_long(open_site: OpenSite, event_loop: str) -> None:
    await churn(open_site(tls=True, event_loop=event_loop), LONG_CHURN_S)
