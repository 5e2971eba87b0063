"""No file may be opened any more: clear refusals, those inside go on, operators are answered."""

import asyncio
import re
import resource
import time

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import HOST, OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import until
from tests.plugins.turn.client import TurnClient
from tests.wire import WireClient, upgrade_request

FILES = 256
LIMITED = ("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh")
FEW_FILES = rf"only {FILES} files may be open"
REFUSALS = (
    r"connection of \S+ refused: ",
    r"no relay can be opened: .*too many open files",
)
WAITING = (
    r"cannot accept connections with \d+ open",
    r"operators cannot be answered: Too many open files",
)
WATCHED_S = 1.0
MAX_PROCESSOR_SHARE = 0.6
"""Of one processor; the bystanders' calls need some."""

CROWD = 400
MAX_LINES_EACH = 2
"""A minute may begin anew while the test runs."""

Held = tuple[list[WireClient], list[TurnClient]]


async def allocate_all(site: OperatedSite) -> list[TurnClient]:
    """Allocate until it is refused; returns those that have something."""
    clients: list[TurnClient] = []
    for number in range(FILES):
        client = site.udp(f"user-{number}", host=f"127.0.2.{1 + number % 250}")
        if (code := await client.try_to_allocate()) != 0:
            assert code == 508
            client.wire.close()
            return clients
        clients.append(client)
    raise AssertionError("allocations are never refused")


async def connect_all(site: OperatedSite) -> list[WireClient]:
    """Sign in until connections are refused; returns those who are in."""
    clients: list[WireClient] = []
    for number in range(FILES):
        client = WireClient(*await asyncio.open_connection(HOST, site.port))
        client.writer.write(upgrade_request())
        try:
            client.head = await client.reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            await client.drop()
            return clients
        await client.register(f"member-{number}")
        clients.append(client)
    raise AssertionError("connections are never refused")


async def knock(site: OperatedSite) -> None:
    """Try to come in, hundreds of times, and to allocate."""
    for number in range(CROWD):
        port = site.turn_tcp.port if number % 4 == 0 else site.port
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()
        if number % 10 == 0:
            client = site.udp("late")
            for _ in range(20):
                assert await client.try_to_allocate() == 508
            client.wire.close()


def says_so_once(site: OperatedSite) -> None:
    """The log tells of each kind of refusal, but not each time."""
    log = site.log()
    told = {pattern: len(re.findall(pattern, log)) for pattern in REFUSALS}
    assert all(0 < count <= MAX_LINES_EACH for count in told.values()), told
    assert "Traceback" not in log
    assert len(log.splitlines()) < CROWD, "the log is flooded"


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_no_file_is_left(install: Install, figures: Figures, event_loop: str) -> None:
    """First relays, then connections, up to the limit; all of it goes, and all is well again."""
    installation = install({"general.event_loop": event_loop, "signaling.ping_s": "0"})
    with installation.run(within=LIMITED) as site:
        for pattern in (FEW_FILES, *REFUSALS):
            site.expect(pattern)
        async with all_undisturbed(site):
            files = site.open_files()
            relays = await allocate_all(site)
            members = await connect_all(site)
            figures(relays=len(relays), members=len(members), spare_files=FILES - site.open_files())
            await knock(site)
            await goes_on(site, (members, relays))
            says_so_once(site)
            for member in members:
                await member.drop()
            for relay in relays:
                assert await relay.refresh(0) == 0
                relay.wire.close()
            await until(lambda: site.open_files() <= files, "the files are closed again")
            await comes_back(site)
        await site.until_tables(turn_allocations=0, peers=0, open_connections=1)


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_not_a_single_file(install: Install, figures: Figures, event_loop: str) -> None:
    """Nobody at all can be let in: the server waits, and neither spins nor fills its log."""
    with install({"general.event_loop": event_loop}).run() as site:
        for pattern in (*REFUSALS, *WAITING):
            site.expect(pattern)
        async with all_undisturbed(site):
            limits = resource.prlimit(site.process.pid, resource.RLIMIT_NOFILE)
            lowered = site.open_files(), limits[1]
            resource.prlimit(site.process.pid, resource.RLIMIT_NOFILE, lowered)
            operator = asyncio.create_task(site.admin("GET", "/status"))
            somebody = asyncio.create_task(site.get("/healthz"))
            client = site.udp("late")
            assert await client.try_to_allocate() == 508
            await until(lambda: all(re.search(each, site.log()) for each in WAITING), "it is said")
            began, cpu_s = time.monotonic(), site.cpu_s()
            await until(lambda: time.monotonic() - began > WATCHED_S, "it is watched")
            spent = (site.cpu_s() - cpu_s) / (time.monotonic() - began)
            figures(processor_share=spent, log_lines=len(site.log().splitlines()))
            assert spent < MAX_PROCESSOR_SHARE
            assert "Traceback" not in site.log()
            assert all(len(re.findall(each, site.log())) == 1 for each in (*WAITING, REFUSALS[1]))
            resource.prlimit(site.process.pid, resource.RLIMIT_NOFILE, limits)
            assert (await operator)["state"] == "running"
            assert (await somebody)[0] == 200
            client.wire.close()
            await comes_back(site)


async def goes_on(site: OperatedSite, held: Held) -> None:
    """Who is inside is served, and the operator is answered."""
    members, relays = held
    await members[0].send("keepalive", {"still": "there"})
    while (await members[0].read())["type"] != "keepalive":
        pass
    assert await relays[0].refresh(600) == 0
    for _ in range(20):
        status = await site.admin("GET", "/status")
        assert status["state"] == "running"
    ban = await site.admin("POST", "/bans", {"peer": "nobody-at-all"})
    assert ban["stored"] is True
    await site.admin("DELETE", "/bans/peer%3Anobody-at-all")
    await site.admin("POST", "/reload")


async def comes_back(site: OperatedSite) -> None:
    """New ones are taken again."""
    assert (await site.get("/healthz"))[0] == 200
    client = site.udp("late")
    await until_allocated(client)
    assert await client.refresh(0) == 0
    client.wire.close()
    async with await site.connect() as somebody:
        await somebody.register("late")


async def until_allocated(client: TurnClient) -> None:
    """A range that is used up is not looked at again for a second."""
    async with asyncio.timeout(10):
        while await client.try_to_allocate() != 0:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.1)
