"""A thousand who lose their connections all at once, and come back with the same ids."""

import asyncio
import time
from collections import Counter

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import reset, until
from tests.hostile.test_crowd import EMPTY, in_parts
from tests.wire import WireClient

CROWD = 1000
ROUNDS = 3
BYSTANDERS = 4


class Member:
    """Somebody with an id, who comes with one connection after the other."""

    def __init__(self, site: OperatedSite, number: int) -> None:
        self.id = f"member-{number}"
        self._site = site
        self.client: WireClient | None = None
        self.refused = 0

    async def come(self, _number: int = 0) -> WireClient:
        """Sign in, and try again if somebody with this id is thought to be there."""
        while True:
            client = self.client = await self._site.connect()
            await client.send("new", {"id": self.id, "name": "", "user_agent": "storm"})
            while True:
                text = await client.read_text()
                if '"peers"' in text:
                    return client
                if '"id-in-use"' in text:
                    break
            self.refused += 1
            await client.drop()

    def cut(self) -> None:
        """Lose the connection without a farewell."""
        assert self.client is not None
        reset(self.client)


async def storm(site: OperatedSite, figures: Figures, count: int) -> None:
    """They come, are cut, and come back at once, round after round."""
    async with all_undisturbed(site):
        files = site.open_files()
        members = [Member(site, number) for number in range(count)]
        recovery_s = []
        for _ in range(ROUNDS):
            began = time.monotonic()
            await in_parts(count, lambda number: members[number].come())
            await site.until_tables(peers=count + BYSTANDERS, connections=count + BYSTANDERS)
            recovery_s.append(time.monotonic() - began)
            for member in members:
                member.cut()
        await in_parts(count, lambda number: members[number].come())
        await site.until_tables(peers=count + BYSTANDERS, connections=count + BYSTANDERS)
        peers = (await site.admin("GET", "/peers"))["peers"]
        ids = Counter(peer["id"] for peer in peers)
        assert {member.id for member in members} < set(ids)
        assert max(ids.values()) == 1
        figures(
            come_s=recovery_s[0],
            come_back_s=max(recovery_s[1:]),
            refused=sum(member.refused for member in members),
        )
        for member in members:
            member.cut()
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
        await site.until_tables(peers=BYSTANDERS, connections=BYSTANDERS, sessions=2)
    await site.until_tables(**EMPTY, turn_allocations=0, open_connections=1)


async def test_reconnect_storm(install: Install, figures: Figures) -> None:
    with install().run() as site:
        await storm(site, figures, CROWD)


@pytest.mark.long
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_reconnect_storm_on_every_loop(
    install: Install, figures: Figures, tls: bool, event_loop: str
) -> None:
    with install({"general.event_loop": event_loop}, tls=tls).run() as site:
        await storm(site, figures, CROWD)


async def test_ids_are_free_when_those_who_hold_them_hang(
    install: Install, figures: Figures
) -> None:
    """Connections that are neither closed nor answer, as behind a dead link: probed, replaced."""
    with install({"signaling.ping_s": "0"}).run() as site:
        hanging = [Member(site, number) for number in range(50)]
        await asyncio.gather(*(member.come() for member in hanging))
        began = time.monotonic()
        newcomers = [Member(site, number) for number in range(50)]
        await asyncio.gather(*(member.come() for member in newcomers))
        figures(replaced_s=time.monotonic() - began)
        await site.until_tables(peers=50)
        for member in (*hanging, *newcomers):
            member.cut()
        await site.until_tables(**EMPTY)
