"""Everything at once: people who come, call, relay and go, garbage, and an operator at work."""

import asyncio
import os
import random
import time
from collections import Counter

import pytest

from tests.hostile.churner import CHURNERS, Churner
from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import Installation, OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import DEADLINE_S, POLL_S, until
from tests.hostile.test_crowd import EMPTY
from tests.hostile.turn_churner import USERS, TurnChurner
from tornado_webrtc.errors import AdminError

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "15"))
LONG_S = 60.0
TURNERS = 20
PACE_S = 0.15
RELOAD_EVERY = 12
BYSTANDERS = 4

ALL_EMPTY = EMPTY | {
    "open_connections": 1,
    "arrivals": 0,
    "bans": 0,
    "turn_allocations": 0,
    "turn_quotas": 0,
    "turn_deadlines": 0,
    "turn_questions": 0,
    "turn_slots": 0,
    "turn_streams": 0,
    "turn_strangers": 0,
    "turn_tasks": 0,
    "living_Allocation": 0,
    "living_Client": 0,
    "living_RelaySocket": 0,
}
"""With the one connection that asks."""


class Operator:
    """Kicks, bans, ends calls and allocations, looks, and reloads, at random.

    Attributes:
        done: How often what was done.
    """

    def __init__(self, installation: Installation, site: OperatedSite, seed: int) -> None:
        self._installation = installation
        self._site = site
        self._random = random.Random(seed)  # noqa: S311
        self.done: Counter[str] = Counter()

    async def run_until(self, deadline: float) -> None:
        """Work again and again."""
        acts = (self._kick, self._end, self._ban_peer, self._ban_user, self._look)
        number = 0
        while time.monotonic() < deadline:
            number += 1
            act = self._reload if number % RELOAD_EVERY == 1 else self._random.choice(acts)
            try:
                await act()
                self.done[act.__name__] += 1
            except AdminError as error:
                if error.status != 404:
                    raise
                self.done["missing"] += 1
            await asyncio.sleep(PACE_S)

    async def tidy(self) -> None:
        """End every allocation that was abandoned, and take every ban back."""
        for ban in (await self._site.admin("GET", "/bans"))["bans"]:
            await self._site.admin("DELETE", f"/bans/{ban['id'].replace(':', '%3A')}")
        for each in (await self._site.admin("GET", "/allocations"))["allocations"]:
            if each["user"].startswith("turner-"):
                await self._ignore_missing("DELETE", f"/allocations/{each['id']}")

    async def _kick(self) -> None:
        peer = self._random.randrange(CHURNERS)
        await self._site.admin("DELETE", f"/peers/churner-{peer}?reason=because")

    async def _end(self) -> None:
        listed = (await self._site.admin("GET", "/allocations"))["allocations"]
        theirs = [each["id"] for each in listed if each["user"].startswith("turner-")]
        if theirs:
            await self._site.admin("DELETE", f"/allocations/{self._random.choice(theirs)}")
        listed = (await self._site.admin("GET", "/sessions"))["sessions"]
        theirs = [each["id"] for each in listed if each["id"].startswith("churner-")]
        if theirs:
            await self._site.admin("DELETE", f"/sessions/{self._random.choice(theirs)}")

    async def _ban_peer(self) -> None:
        peer = f"churner-{self._random.randrange(CHURNERS)}"
        await self._site.admin("POST", "/bans", {"peer": peer, "seconds": 1})

    async def _ban_user(self) -> None:
        user = f"turner-{self._random.randrange(USERS)}"
        await self._site.admin("POST", "/bans", {"user": user, "seconds": 1, "reason": "enough"})

    async def _look(self) -> None:
        for name in ("status", "peers", "sessions", "allocations", "plugins", "bans"):
            await self._site.admin("GET", f"/{name}")

    async def _reload(self) -> None:
        changed = {
            "signaling.ping_s": str(self._random.randrange(5, 30)),
            "signaling.heartbeat_s": str(self._random.randrange(1, 5)),
            "signaling.messages_per_s": str(self._random.choice((0, 100, 500))),
            "signaling.legacy_list_max": str(self._random.choice((0, 200, 500))),
            "turn.max_permissions": str(self._random.choice((8, 256))),
            "turn.max_allocations_per_user": str(self._random.choice((0, 20))),
            "turn.deny_peers": self._random.choice(("", "127.0.0.77,")),
            "general.log_level": self._random.choice(("INFO", "DEBUG")),
        }
        self._installation.write(changed)
        if self._random.randrange(2):
            self._site.reload()
        else:
            await self._site.admin("POST", "/reload")

    async def _ignore_missing(self, method: str, path: str) -> None:
        try:
            await self._site.admin(method, path)
        except AdminError as error:
            if error.status != 404:
                raise


async def churn(
    installation: Installation,
    site: OperatedSite,
    figures: Figures,
    seconds: float,
    *,
    reserving: bool = False,
) -> None:
    """Let it all happen; afterwards nothing of it may be left."""
    before = await site.tables()
    files_before = site.open_files()
    seed = random.randrange(1 << 32)  # noqa: S311
    figures(seed=seed)
    async with all_undisturbed(site) as call:
        files = site.open_files()
        deadline = time.monotonic() + seconds
        operator = Operator(installation, site, seed)
        churners = [Churner(site, seed + number) for number in range(CHURNERS)]
        turners = [TurnChurner(site, seed + each, reserving) for each in range(TURNERS)]
        await asyncio.gather(
            operator.run_until(deadline),
            *(each.run_until(deadline) for each in churners),
            *(each.run_until(deadline) for each in turners),
        )
        memory_mb = site.memory_bytes() / 1e6
        await operator.tidy()
        await site.until_tables(connections=BYSTANDERS, peers=BYSTANDERS, sessions=2)
        await site.until_tables(turn_allocations=2, turn_streams=2, turn_questions=0)
        await until(lambda: site.open_files() <= files, "the server's files are closed again")
        figures(
            rounds=sum(each.rounds for each in churners),
            turn_rounds=sum(each.rounds for each in turners),
            codes=sorted(set().union(*(each.codes for each in turners))),
            operator=dict(operator.done),
            memory_mb=memory_mb,
            lost=call.lost,
        )
        assert operator.done["_reload"]
        assert not sum(each.unanswered for each in turners)
        assert sum(each.rounds for each in turners) > TURNERS
    await site.until_tables(**ALL_EMPTY)
    await until(lambda: site.open_files() <= files_before, "no file is left open")
    await until_no_more(site, before, "tasks", "timers")


async def until_no_more(site: OperatedSite, before: dict[str, int], *names: str) -> None:
    """Wait until tables are no larger than before: some tasks outlast their work by a second."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        after = await site.tables()
        if all(after[name] <= before[name] for name in names):
            return
        assert time.monotonic() < deadline, after
        await asyncio.sleep(POLL_S)


async def test_everything_at_once(install: Install, figures: Figures) -> None:
    installation = install({"general.event_loop": "asyncio"})
    with installation.run() as site:
        await churn(installation, site, figures, SECONDS)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_everything_at_once_for_long(
    install: Install, figures: Figures, tls: bool, event_loop: str
) -> None:
    installation = install({"general.event_loop": event_loop}, tls=tls)
    with installation.run() as site:
        await churn(installation, site, figures, LONG_S, reserving=True)
