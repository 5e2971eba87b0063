"""Thousands of sockets on which nothing happens: what they cost, and that they harm nobody."""

import asyncio
import resource
import signal
import time
from collections.abc import Iterator

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import STOP_S, until
from tests.hostile.test_crowd import EMPTY, in_parts
from tests.wire import WireClient, call

CROWD = 1000
LONG_CROWD = 5000
WARM_UP = 100
MAX_BYTES_EACH = 128 << 10
BYSTANDERS = 4


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process, and those that it starts, open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LONG_CROWD + 1000:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def sign_in(site: OperatedSite, number: int) -> WireClient:
    """Somebody who is in, and has read what came until then."""
    client = await site.connect()
    await client.send("new", {"id": f"idle-{number}", "name": f"idle {number}", "user_agent": "x"})
    while '"peers"' not in await client.read_text():
        pass
    return client


async def idle(site: OperatedSite, figures: Figures, count: int) -> None:
    """Many sign in and say nothing more; people call each other; the server is stopped."""
    warm = await in_parts(WARM_UP, lambda number: sign_in(site, number))
    for client in warm:
        client.writer.close()
    await site.until_tables(**EMPTY)
    async with all_undisturbed(site):
        memory = site.memory_bytes()
        began = time.monotonic()
        clients = await in_parts(count, lambda number: sign_in(site, number))
        figures(idle_sockets=count, signed_in_s=time.monotonic() - began)
        await site.until_tables(peers=count + BYSTANDERS, waiting_bytes=0)
        each_bytes = (site.memory_bytes() - memory) / count
        figures(kb_per_idle_socket=each_bytes / 1000)
        assert each_bytes < MAX_BYTES_EACH
        async with await site.connect() as one, await site.connect() as other:
            began = time.monotonic()
            await one.register("caller")
            await other.register("callee")
            await call(one, other)
            figures(call_set_up_s=time.monotonic() - began)
        await site.until_tables(peers=count + BYSTANDERS)
    await stop(site, figures, clients)


async def stop(site: OperatedSite, figures: Figures, clients: list[WireClient]) -> None:
    """Stop the server: everybody is told, and it takes no longer than it may."""
    reading = [asyncio.create_task(client.read_until_closed()) for client in clients]
    began = time.monotonic()
    site.process.send_signal(signal.SIGTERM)
    await until(lambda: site.process.poll() is not None, "the server ends", STOP_S)
    figures(stopped_s=time.monotonic() - began)
    ends = await asyncio.gather(*reading)
    assert {end.code for end in ends} == {1001}
    for client in clients:
        client.writer.close()


async def test_a_thousand_idle_sockets(install: Install, figures: Figures) -> None:
    with install({"signaling.legacy_list_max": "50"}).run() as site:
        await idle(site, figures, CROWD)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_five_thousand_idle_sockets(
    install: Install, figures: Figures, tls: bool, event_loop: str
) -> None:
    with install({"general.event_loop": event_loop}, tls=tls).run() as site:
        await idle(site, figures, LONG_CROWD)
