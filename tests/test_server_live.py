"""Every setting that is marked live does what it says, for what is there already too.

A check is an asynchronous generator: it begins before the reload and goes on after it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.plugins.turn.client import CHANNEL, TurnClient
from tests.plugins.turn.site import HOST, SECRET
from tests.reloading import ReloadSite, site
from tests.web.rawhttp import Answer, fetch
from tests.wire import PING, WireClient, until
from tornado_webrtc.config import marks
from tornado_webrtc.credential import password_for

__all__ = ["site"]

DEADLINE_S = 15.0
SHORT_S = "0.05"

Check = Callable[[ReloadSite], AsyncIterator[None]]

CHECKS: dict[str, tuple[Check, str, Mapping[str, str]]] = {}
"""For each key: its check, its new value, and what differs at the beginning."""


def checks(key: str, value: str, **at_first: str) -> Callable[[Check], Check]:
    """Say that a function checks a key; its value at first can be given as ``old``."""
    section = key.partition(".")[0]
    before = {key if name == "old" else f"{section}.{name}": at_first[name] for name in at_first}

    def add(check: Check) -> Check:
        CHECKS[key] = check, value, before
        return check

    return add


def test_every_live_key_has_a_check() -> None:
    assert sorted(CHECKS) == sorted(key for key, mark in marks().items() if mark == "live")


@pytest.mark.parametrize("key", CHECKS)
async def test_live_key_is_applied(site: ReloadSite, expect_log: ExpectLog, key: str) -> None:
    if key == "general.challenge_dir":
        expect_log("redirect_port is not set")
    if key in {"turn.user_bytes_per_s", "turn.user_bytes_per_day"}:
        expect_log("does nothing in this version")
    check, value, before = CHECKS[key]
    await site.start(before)
    async with asyncio.timeout(DEADLINE_S):
        steps = check(site)
        await anext(steps)
        report = await site.reload({key: value})
        assert (report.applied, report.needs_restart) == ((key,), ())
        async for _ in steps:
            raise AssertionError("a check has two parts")


async def credential(site: ReloadSite, name: str = "alice", **headers: str) -> Answer:
    path = f"/api/turn?service=turn&username={name}"
    return await fetch(site.server.port, path, headers=headers)


# --- general ------------------------------------------------------------------


@checks("general.domain", "rtc.example.org")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    assert site.server.config.general.domain == ""
    yield
    assert site.server.config.general.domain == "rtc.example.org"


@checks("general.challenge_dir", "acme")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    (site.folder / "acme").mkdir()
    assert site.server.config.general.challenge_dir is None
    yield
    assert site.server.config.general.challenge_dir == site.folder / "acme"


@checks("general.trusted_proxies", f"{HOST},")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    yield
    upgrade = {"X-Forwarded-For": "203.0.113.7"}
    async with await WireClient.connect(site.server.port, headers=upgrade) as client:
        await client.register("1")
        assert [peer.remote_ip for peer in site.server.hub.peers()] == ["203.0.113.7"]


@checks("general.drain_s", "0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    await site.allocated()
    yield
    await site.server.drain()


@checks("general.log_level", "ERROR")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    assert site.server.config.general.log_level == "INFO"
    yield
    assert logging.getLogger().level == logging.ERROR
    assert logging.getLogger("tornado.general").level == logging.ERROR


# --- signaling ----------------------------------------------------------------


@checks("signaling.heartbeat_s", SHORT_S, old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client = await site.connect("1")
    yield
    assert [await client.read_text() for _ in range(2)] == ["{}", "{}"]


@checks("signaling.ping_s", SHORT_S, old="3600")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client = await site.connect("1")
    yield
    while (await client.read_frame())[0] != PING:
        pass
    assert (await client.read_unanswered()).code is None
    assert site.server.hub.counters["closed.no-pong"] == 1


@checks("signaling.hello_timeout_s", SHORT_S, old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, registered = await site.connect(), await site.connect("1")
    yield
    assert (await client.read_until_closed()).code == 4408
    assert await registered.settled() == []


@checks("signaling.send_queue_bytes", "65536", old="104857600")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    fast, slow = await site.connect("1"), await site.connect("2")
    yield
    text = "x" * 60000
    while not site.server.hub.counters["closed.too-slow"]:
        await fast.send("candidate", {"to": "2", "session_id": "1-2", "text": text})
        await fast.settled()
    assert slow.id == "2"


@checks("signaling.allowed_origins", "https://example.org,")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    elsewhere = {"Origin": "https://example.com"}
    yield
    async with await WireClient.connect(site.server.port, headers=elsewhere) as client:
        assert (await client.read_until_closed()).code == 4403
    assert "Access-Control-Allow-Origin" not in (await credential(site, **elsewhere)).headers


@checks("signaling.max_connections", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    first = await site.connect("1")
    yield
    assert (await (await site.connect()).read_until_closed()).code == 1013
    assert await first.settled() == []


@checks("signaling.max_connections_per_ip", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    first = await site.connect("1")
    yield
    assert (await (await site.connect()).read_until_closed()).code == 4429
    assert await first.settled() == []


@checks("signaling.messages_per_s", "5", old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client = await site.connect("1")
    loop = asyncio.get_running_loop()
    yield
    began = loop.time()
    for _ in range(28):  # a burst of five seconds' worth goes through at once
        await client.send("keepalive", {})
    await client.settled()
    assert loop.time() - began > 0.5


@checks("signaling.legacy_list_max", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    first = await site.connect("1")
    await site.connect("2")
    assert len(await first.read_type("peers")) == 2
    yield
    assert [peer["id"] for peer in await first.read_type("peers")] == ["1"]
    third = await site.connect()
    assert [peer["id"] for peer in await third.register("3")] == ["3"]


@checks("signaling.on_duplicate_id", "reject")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    await site.connect("1")
    yield
    second = await site.connect()
    await second.send("new", {"id": "1"})
    assert (await second.read())["data"]["code"] == "id-in-use"


# --- credentials --------------------------------------------------------------


@checks("turn.secret", f"the-second-secret, {SECRET}")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    old = await site.allocated()
    before = await site.turn.udp()
    yield
    assert await before.try_to_allocate() == 0, "the old secret is still listed"
    made = (await credential(site)).json
    assert made["password"] == password_for("the-second-secret", made["username"])
    after = await site.turn.udp(credential=(made["username"], made["password"]))
    assert await after.try_to_allocate() == 0
    await site.reload({"turn.secret": "the-second-secret"})
    assert await (await site.turn.udp("bob")).try_to_allocate() == 401
    assert await old.refresh(600) == 0, "what is there goes on"


@checks("turn.secret_file", "secrets", old="")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    path = site.folder / "secrets"
    path.touch(0o600)
    path.write_text("from-the-file-one\n")
    yield
    made = site.turn.credential("alice", "from-the-file-one")
    assert await (await site.turn.udp(credential=made)).try_to_allocate() == 0
    path.write_text("from-the-file-two\nfrom-the-file-one\n")
    assert (await site.reload({})).applied == ("turn.secret_file",)
    for secret in ("from-the-file-two", "from-the-file-one", SECRET):
        made = site.turn.credential("bob", secret)
        assert await (await site.turn.udp(credential=made)).try_to_allocate() == 0
    assert (await site.reload({})).applied == ()


@checks("turn.users_file", "users", old="")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    path = site.folder / "users"
    path.touch(0o600)
    path.write_text("carol:carols-password\n")
    yield
    carol, dave = ("carol", "carols-password"), ("dave", "daves-password")
    first = await site.turn.udp(credential=carol)
    assert await first.try_to_allocate() == 0
    assert await (await site.turn.udp(credential=dave)).try_to_allocate() == 401
    path.write_text("dave:daves-password\n")
    await site.reload({})
    assert await (await site.turn.udp(credential=dave)).try_to_allocate() == 0
    assert await (await site.turn.udp(credential=carol)).try_to_allocate() == 401
    assert await first.refresh(600) == 0


@checks("turn.credential_ttl_s", "60")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    assert (await credential(site)).json["ttl"] == 86400
    yield
    assert (await credential(site)).json["ttl"] == 60


@checks("turn.api_access", "peer")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    assert (await credential(site)).status == 200
    yield
    assert (await credential(site)).status == 403


@checks("turn.api_per_minute", "1", old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    assert [(await credential(site)).status for _ in range(3)] == [200, 200, 200]
    yield
    assert [(await credential(site)).status for _ in range(2)] == [200, 429]


@checks("turn.uris", "turn:turn.example.org,")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    yield
    assert "turn:turn.example.org" in (await credential(site)).json["uris"]


# --- peers, limits ------------------------------------------------------------


@checks("turn.allow_peers", "10.0.0.0/8,")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, peer = await site.allocated(), site.turn.peer("127.0.0.2")
    assert await client.bind(peer.address) == 0
    client.send_channel(b"before")
    assert (await peer.receive())[0] == b"before"
    yield
    client.send_channel(b"after")
    assert await client.permit(peer.address) == 403
    await until(lambda: site.turn.driver.counters()["relay-dropped-permission"] == 1)
    assert await client.permit(peer.address._replace(host="10.0.0.1")) == 0


@checks("turn.deny_peers", f"{HOST},", old="")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, peer, other = await site.allocated(), site.turn.peer(), site.turn.peer("127.0.0.2")
    assert await client.permit(peer.address, other.address) == 0
    yield
    client.indicate(peer.address, b"denied")
    client.indicate(other.address, b"allowed")
    assert (await other.receive())[0] == b"allowed"
    assert await client.permit(peer.address) == 403
    entry = site.server.collections["allocations"].get("1")
    assert entry is not None
    assert entry["permissions"] == ["127.0.0.2"]


@checks("turn.max_allocations", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    first, second = await site.allocated("alice"), await site.allocated("bob")
    yield
    assert await (await site.turn.udp("carol")).try_to_allocate() == 486
    assert [await each.refresh(600) for each in (first, second)] == [0, 0]


@checks("turn.max_allocations_per_user", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    await site.allocated("alice")
    yield
    assert await (await site.turn.udp("alice")).try_to_allocate() == 486
    assert await (await site.turn.udp("bob")).try_to_allocate() == 0


@checks("turn.max_allocations_per_ip", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    await site.allocated("alice")
    yield
    assert await (await site.turn.udp("bob")).try_to_allocate() == 486
    assert await (await site.turn.udp("bob", host="127.0.0.2")).try_to_allocate() == 0


@checks("turn.max_permissions", "1")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, peer = await site.allocated(), site.turn.peer()
    assert await client.permit(peer.address) == 0
    yield
    assert await client.permit(peer.address._replace(host="127.0.0.2")) == 508
    assert await client.permit(peer.address) == 0


@checks("turn.challenges_per_s", "1", old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    for _ in range(6):
        await site.allocated()
    yield
    assert site.turn.driver.counters().get("dropped-challenge-limit", 0) == 0
    clients = [await site.turn.udp() for _ in range(20)]
    asking = [asyncio.create_task(client.try_to_allocate()) for client in clients]
    assert await asking[0] == 0
    await until(lambda: site.turn.driver.counters().get("dropped-challenge-limit", 0) > 0)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def limited(client: TurnClient, peer: Any, site: ReloadSite) -> None:
    """The second datagram passes too, and leaves a minute's debt behind."""
    for text in (b"1" * 600, b"2" * 60_000, b"3"):
        client.send_channel(text)
    assert [(await peer.receive())[0][:1] for _ in range(2)] == [b"1", b"2"]
    await until(lambda: site.turn.driver.counters()["relay-dropped-quota"] == 1)


@checks("turn.allocation_bytes_per_s", "1000", old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, peer = await site.allocated(), site.turn.peer()
    assert await client.bind(peer.address) == 0
    yield
    await limited(client, peer, site)
    later = await site.allocated("bob")
    assert await later.bind(peer.address, CHANNEL) == 0
    later.send_channel(b"x")
    assert (await peer.receive())[0] == b"x"


@checks("turn.server_bytes_per_s", "1000", old="0")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    client, peer = await site.allocated(), site.turn.peer()
    assert await client.bind(peer.address) == 0
    yield
    await limited(client, peer, site)
    other = await site.allocated("bob")
    assert await other.bind(peer.address) == 0
    other.send_channel(b"x")
    await until(lambda: site.turn.driver.counters()["relay-dropped-quota"] == 2)


@checks("turn.user_bytes_per_s", "1000")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    yield
    assert site.server.config.turn.user_bytes_per_s == 1000, "it does nothing yet"


@checks("turn.user_bytes_per_day", "1000")
async def _(site: ReloadSite) -> AsyncIterator[None]:
    yield
    assert site.server.config.turn.user_bytes_per_day == 1000, "it does nothing yet"
