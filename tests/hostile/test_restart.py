"""`kill -9` and a new start: what was promised holds, and everybody finds their way back."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import HOST, OperatedSite
from tests.hostile.site import STOP_S, until
from tests.plugins.turn.client import TurnClient, UdpWire
from tests.wire import WireClient, call

CALLERS = 20
ROUNDS = 3
IN_STATE_DIR = {"turn.secret": "", "general.state_dir": "state"}
"""No secret is set: the server makes one, and keeps it."""


async def credential(site: OperatedSite) -> tuple[str, str]:
    """A credential of `/api/turn`."""
    status, body = await site.get("/api/turn?service=turn&username=alice")
    assert status == 200, body
    answer = json.loads(body)
    return answer["username"], answer["password"]


def turn_client(site: OperatedSite, shown: tuple[str, str]) -> TurnClient:
    return TurnClient(UdpWire(HOST, site.turn_udp), *shown)


async def kill(site: OperatedSite) -> None:
    """End it as the kernel does when memory runs out."""
    site.process.send_signal(signal.SIGKILL)
    await until(lambda: site.process.poll() is not None, "the process is gone", STOP_S)


async def come_back(site: OperatedSite, peer_id: str) -> WireClient:
    """Connect again, as clients do, and sign in with the same id."""
    client = await site.connect()
    await client.register(peer_id)
    return client


def private(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0


async def test_killed_again_and_again(install: Install, figures: Figures) -> None:
    """In the middle of calls, allocations, reloads and bans."""
    installation = install(IN_STATE_DIR)
    installation.fix_ports()
    state = installation.folder / "state"
    shown, node_id, secret = ("", ""), "", b""
    clients: list[WireClient] = []
    for number in range(ROUNDS):
        began = time.monotonic()
        with installation.run() as site:
            figures(**{f"started_s_{number}": time.monotonic() - began})
            if number:
                await is_as_before(site, shown, node_id)
                assert (state / "secret").read_bytes() == secret
            shown = await credential(site)
            secret = (state / "secret").read_bytes()
            node_id = (await site.admin("GET", "/status"))["node_id"]
            clients = await everybody_calls(site, figures)
            await in_use(site, shown, number)
            site.reload()
            await kill(site)
            assert installation.admin_path.exists(), "nobody could tidy up"
        ends = await asyncio.gather(*(client.read_until_closed() for client in clients))
        assert {end.code for end in ends} == {None}
        for client in clients:
            await client.drop()
    assert all(private(path) for path in state.iterdir())
    assert {path.name for path in state.iterdir()} == {"secret", "node_id", "bans.json"}
    with installation.run() as site:
        await is_as_before(site, shown, node_id)
    assert not installation.admin_path.exists()


async def everybody_calls(site: OperatedSite, figures: Figures) -> list[WireClient]:
    began = time.monotonic()
    clients = await asyncio.gather(*(come_back(site, f"c{each}") for each in range(CALLERS)))
    for one, other in zip(clients[::2], clients[1::2], strict=True):
        await call(one, other)
    figures(called_after_s=time.monotonic() - began)
    await site.until_tables(peers=CALLERS, sessions=CALLERS // 2)
    return clients


async def in_use(site: OperatedSite, shown: tuple[str, str], number: int) -> None:
    """Allocate, and ban somebody for ever and somebody for an hour."""
    client = turn_client(site, shown)
    await client.allocate()
    client.wire.close()
    if number == 0:
        await site.admin("POST", "/bans", {"peer": "mallory", "reason": "spam"})
        await site.admin("POST", "/bans", {"ip": "127.0.9.0/24", "seconds": 3600})
    await site.admin("POST", "/bans", {"user": f"user-{number}"})


async def is_as_before(site: OperatedSite, shown: tuple[str, str], node_id: str) -> None:
    """The credential, the node's name and the bans of the process that was killed."""
    client = turn_client(site, shown)
    await client.allocate()
    assert await client.refresh(0) == 0
    client.wire.close()
    assert (await site.admin("GET", "/status"))["node_id"] == node_id
    bans = {ban["id"] for ban in (await site.admin("GET", "/bans"))["bans"]}
    assert {"peer:mallory", "ip:127.0.9.0/24", "user:user-0"} <= bans
    async with await site.connect() as mallory:
        await mallory.send("new", {"id": "mallory", "name": "", "user_agent": ""})
        end = await mallory.read_until_closed()
        assert (end.code, end.reason) == (4403, "banned: spam")
    banned = TurnClient(UdpWire("127.0.9.9", site.turn_udp), *shown)
    assert await banned.try_to_allocate() == 403
    banned.wire.close()


async def test_client_goes_on_with_what_the_killed_server_gave_it(install: Install) -> None:
    """The same sockets, the same nonce: nobody is confused, everybody learns what to do."""
    installation = install(IN_STATE_DIR)
    installation.fix_ports()
    with installation.run() as site:
        shown = await credential(site)
        client = turn_client(site, shown)
        relayed = await client.allocate()
        nonce = client.nonce
        await kill(site)
    with installation.run() as site:
        assert await client.refresh(600) == 437, "there is no such allocation"
        assert client.nonce == nonce, "the key of nonces is the same as before"
        assert await client.try_to_allocate() == 0
        assert client.relayed != relayed or client.relayed.host == relayed.host
        assert await client.refresh(0) == 0
        client.wire.close()
        async with await site.connect() as first:
            await first.send("bye", {"session_id": "of-the-old-server"})
            answer = await first.read()
            assert answer["type"] == "error"
            await first.register("first")
            async with await site.connect() as second:
                await second.register("second")
                await call(first, second)


@pytest.mark.parametrize("left", ["half a file", "nothing"])
async def test_draft_of_a_file_is_no_harm(install: Install, left: str) -> None:
    """Killed while it wrote the bans: the file is the old one, the draft is beside it."""
    installation = install(IN_STATE_DIR)
    with installation.run() as site:
        await site.admin("POST", "/bans", {"peer": "mallory"})
        await kill(site)
    draft = installation.folder / "state" / ".bans.json.abcd1234"
    draft.write_text('{"bans": [' if left == "half a file" else "")
    with installation.run() as site:
        assert len((await site.admin("GET", "/bans"))["bans"]) == 1
        async with await site.connect() as mallory:
            await mallory.send("new", {"id": "mallory", "name": "", "user_agent": ""})
            assert (await mallory.read_until_closed()).code == 4403
