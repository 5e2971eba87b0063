"""What people do to a TURN server: use it to look around, flood it, come in crowds."""

import asyncio
import gc
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import serve, start_turn
from tests.plugins.turn.client import CHANNEL, UDP_TRANSPORT, TurnClient, code
from tests.plugins.turn.site import HOST, LOOPBACK, REALM, Manual, StartTurn, TurnSite
from tests.relay.lab import Endpoint
from tests.wire import until
from tornado_webrtc.config.address import parse_network, parse_public_address
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import NONCE, REQUESTED_ADDRESS_FAMILY, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import MessageClass, Method, encode
from tornado_webrtc.turn.policy import BUILT_IN_DENIALS

__all__ = ["serve", "start_turn"]

FLOODER = Path(__file__).with_name("turn_flooder.py")
MALLORY = "127.0.0.2"
RELAY = "127.0.0.9"
IPV6 = (REQUESTED_ADDRESS_FAMILY, 2)
TRANSPORTS = ("udp", "tcp")

# Where an address of IPv4 can hide in one of IPv6, with how far it is from the end.
CARRIERS = (
    ("::", 0),  # IPv4-compatible
    ("::ffff:0:0", 0),  # IPv4-mapped
    ("::ffff:0:0:0", 0),  # IPv4-translated
    ("64:ff9b::", 0),  # NAT64
    ("64:ff9b:1::", 0),  # NAT64 for local use, its longest form
    ("2002::", 80),  # 6to4
    ("2001::", 64),  # Teredo's server
    ("2600::5efe:0:0", 0),  # ISATAP
    ("2600::200:5efe:0:0", 0),  # ISATAP with a global address
)


def targets() -> Iterator[TransportAddress]:
    """The ends and the middle of every network that nobody may be relayed to."""
    for network in BUILT_IN_DENIALS:
        last = network.num_addresses - 1
        for offset in sorted({0, 1 % (last + 1), last // 2, last}):
            yield TransportAddress(str(network[offset]), 4000)


def embedded(address: IPv4Address) -> Iterator[TransportAddress]:
    """Every form in which an IPv6 address carries one of IPv4."""
    for carrier, shift in CARRIERS:
        value = int(ip_address(carrier)) | int(address) << shift
        yield TransportAddress(str(IPv6Address(value)), 4000)
    obfuscated = int(ip_address("2001::")) | ~int(address) & 0xFFFFFFFF  # Teredo's client
    yield TransportAddress(str(IPv6Address(obfuscated)), 4000)
    for shift in (48, 40, 32):  # NAT64 for local use, around a byte of zeroes (RFC 6052)
        upper, lower = divmod(int(address) << shift, 1 << 64)
        value = int(ip_address("64:ff9b:1::")) | upper << 64 | lower >> 8
        yield TransportAddress(str(IPv6Address(value)), 4000)


async def probe(client: TurnClient, peer: TransportAddress) -> set[int]:
    """Try every way to reach a peer; returns the error codes."""
    client.indicate(peer, b"knock")
    codes = {await client.permit(peer), await client.bind(peer)}
    client.indicate(peer, b"knock")
    client.send_channel(b"knock")
    return codes


# --- looking around -----------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_range_scan_reaches_nothing(start_turn: StartTurn, transport: str) -> None:
    """IPv4 peers are refused (403), IPv6 ones cannot be had by a relay of IPv4 (443)."""
    site = await start_turn(bind=(RELAY,), public_ip=(parse_public_address(RELAY),))
    client, victim = await site.client(transport), site.peer()
    await client.allocate()
    for peer in (victim.address, *targets()):
        assert await probe(client, peer) == ({443} if ":" in peer.host else {403}), peer
    for peer in embedded(IPv4Address(HOST)):
        assert await probe(client, peer._replace(port=victim.address.port)) == {443}, peer
    assert await client.refresh(600) == 0
    assert victim.is_empty()
    counters = site.plugin.counters()
    assert counters["relay-packets-to-peer"] == 0
    assert counters["dropped-no-permission"] > 100


async def test_range_scan_through_a_relay_of_ipv6(start_turn: StartTurn) -> None:
    """No IPv4 address may hide in one of IPv6."""
    site = await start_turn(
        bind=(HOST, RELAY, "::1"), public_ip=tuple(map(parse_public_address, (RELAY, "::1")))
    )
    port = (await site.address("udp")).port
    client = await site.udp(there=TransportAddress(HOST, port))
    assert await client.try_to_allocate(IPV6) == 0
    assert client.relayed.host == "::1"
    private = [each for each in BUILT_IN_DENIALS if isinstance(each, IPv4Network)]
    hidden = [peer for each in private for peer in embedded(each[-1])]
    outside = [peer for peer in targets() if ":" in peer.host and peer.host != "::1"]
    for peer in (*outside, *hidden):
        assert await probe(client, peer) == {403}, peer
    assert site.plugin.counters()["relay-packets-to-peer"] == 0


async def test_one_bad_peer_spoils_the_request(start_turn: StartTurn) -> None:
    """Permissions are installed all together or not at all (RFC 8656 section 10.2)."""
    site = await start_turn(
        bind=(RELAY,),
        public_ip=(parse_public_address(RELAY),),
        allow_peers=(parse_network("127.0.0.5"),),
    )
    client, good, bad = await site.udp(), site.peer("127.0.0.5"), site.peer()
    await client.allocate()
    for peers in ((good, bad), (bad, good)):
        assert await client.permit(*(each.address for each in peers)) == 403
        client.indicate(good.address, b"too early")
    assert await client.permit(good.address) == 0
    client.indicate(good.address, b"now")
    assert await good.data() == b"now"
    assert good.is_empty()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_services_on_the_relays_own_address(start_turn: StartTurn, transport: str) -> None:
    """A permission for it is granted, other clients are there; but nothing else is."""
    site = await start_turn()
    client, echo = await site.client(transport), site.peer()
    relayed = await client.allocate()
    assert await client.permit(echo.address) == 0
    assert await client.bind(echo.address) == 403
    client.indicate(echo.address, b"echo this")
    client.indicate(await site.address("udp"), b"and this")
    assert await client.refresh(600) == 0
    assert echo.is_empty()
    assert site.plugin.counters()["dropped-no-permission"] == 2
    echo.send(b"unasked", relayed)
    await relays_nothing(site, client, "relay-dropped-own", 1)


async def test_server_does_not_talk_to_itself(start_turn: StartTurn) -> None:
    """A relay could ask its own server for a relay, and so on; even if all is allowed."""
    site = await start_turn(allow_peers=LOOPBACK)
    client, inner = await site.udp(), await site.udp()
    await client.allocate()
    itself = await site.address("udp")
    assert await client.bind(itself) == 0
    request = encode(Method.ALLOCATE, MessageClass.REQUEST, bytes(12), [UDP_TRANSPORT])
    client.indicate(itself, request)
    client.send_channel(request)
    await relays_nothing(site, client, "relay-dropped-own", 2)
    assert await inner.try_to_allocate() == 0


async def relays_nothing(site: TurnSite, client: TurnClient, counter: str, count: int) -> None:
    """Wait until so many datagrams were dropped, and see that none passed."""
    async with asyncio.timeout(20):
        while site.plugin.counters()[counter] < count:
            assert await client.refresh(600) == 0
    assert site.plugin.counters()["relay-packets-to-peer"] == 0
    assert site.plugin.counters()["relay-packets-from-peer"] == 0


async def test_allocation_of_somebody_else(start_turn: StartTurn) -> None:
    """Nobody gets at it from another address, nor under another name."""
    site = await start_turn(allow_peers=LOOPBACK)
    alice, mallory = await site.udp(), await site.udp("mallory")
    victim = site.peer()
    await alice.allocate()
    assert await alice.bind(victim.address) == 0
    mallory.send_channel(b"from mallory")
    mallory.indicate(victim.address, b"from mallory")
    assert await mallory.try_to_allocate() == 0
    mallory.send_channel(b"from mallory")
    alice.username, alice.password = site.credential("mallory")
    assert await alice.refresh(0) == 441
    assert await mallory.refresh(600) == 0
    assert victim.is_empty()


# --- floods -------------------------------------------------------------------


async def bad_messages(site: TurnSite) -> list[bytes]:
    """Requests that cost the server as much as possible and are worth nothing."""
    mallory = await site.udp("mallory", host=MALLORY)
    naked = mallory.encode(Method.ALLOCATE, [UDP_TRANSPORT])
    mallory.nonce = (await mallory.ask(naked)).get(NONCE) or ""
    mallory.realm, mallory.password = REALM, "wrong"
    messages = [naked, mallory.encode(Method.ALLOCATE, [UDP_TRANSPORT])]
    messages.append(mallory.encode(Method.REFRESH, []))
    peer = (XOR_PEER_ADDRESS, TransportAddress("8.8.8.8", 53))
    messages.append(mallory.encode(Method.CREATE_PERMISSION, [peer] * 20))
    mallory.nonce = "stale"
    messages.append(mallory.encode(Method.ALLOCATE, [UDP_TRANSPORT]))
    messages.append(encode(Method.BINDING, MessageClass.REQUEST, secrets.token_bytes(12)))
    return messages


async def flood(site: TurnSite, per_s: int, count: int) -> "asyncio.Task[dict[str, Any]]":
    """Begin to send bad messages; the task ends with the flood, and says what came of it."""
    what = {
        "host": MALLORY,
        "server": await site.address("udp"),
        "messages": [each.hex() for each in await bad_messages(site)],
        "per_s": per_s,
        "count": count,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FLOODER), stdin=pipe, stdout=pipe
    )

    async def wait() -> dict[str, Any]:
        output, _ = await process.communicate(json.dumps(what).encode())
        result: dict[str, Any] = json.loads(output)
        return result

    return asyncio.create_task(wait())


async def echo(peer: Endpoint) -> None:
    """Send back whatever comes."""
    loop = asyncio.get_running_loop()
    while True:
        data, source = await loop.sock_recvfrom(peer.sock, 65536)
        peer.sock.sendto(data, source)


async def test_flood_of_bad_credentials(start_turn: StartTurn) -> None:
    """Ten thousand a second from one address: others come, relay and go meanwhile."""
    site = await start_turn(allow_peers=LOOPBACK, challenges_per_s=50.0)
    peer = site.peer("127.0.0.3")
    echoing = asyncio.create_task(echo(peer))
    steady = await site.udp("bob")
    await steady.allocate()
    assert await steady.permit(peer.address) == 0
    flooding = await flood(site, per_s=10_000, count=30_000)
    rounds = 0
    while not flooding.done():
        client = await site.udp()
        await client.allocate()
        assert await client.permit(peer.address) == 0
        await client.echoed(peer.address, f"round {rounds}".encode())
        await steady.echoed(peer.address, f"steady {rounds}".encode())
        assert await client.refresh(0) in (0, 437), "437: it was repeated, the answer was lost"
        rounds += 1
    result = await flooding
    echoing.cancel()
    await asyncio.gather(echoing, return_exceptions=True)
    assert rounds
    assert result["sent"] == 30_000
    kinds = 2  # Bindings and challenges are rationed apart
    assert 0 < result["received"] <= kinds * (200 + 50 * result["seconds"] + 1), result
    assert site.plugin.counters()["dropped-challenge-limit"] > 1000
    assert_nothing_is_kept(site, allocations=1)


def assert_nothing_is_kept(site: TurnSite, allocations: int = 0) -> None:
    """Nobody is remembered who has no allocation."""
    turn = site.driver.turn
    assert len(turn.allocations) == len(turn.quotas) == len(site.driver._slots) == allocations
    for table in (turn._pending, turn._waiting, turn.reservations):
        assert not table
    assert not site.driver._tasks


# --- crowds -------------------------------------------------------------------

ROUNDS, CLIENTS = 20, 100
GROWTH_BYTES = 16 << 20


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def memory_bytes() -> int:
    """The memory that this process occupies."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(120)
async def test_two_thousand_allocations_leave_nothing(start_turn: StartTurn) -> None:
    """They come, relay, and end by themselves or by their clients' wish."""
    asyncio.get_running_loop().set_debug(False)  # it keeps a traceback for every callback
    time = Manual()
    site = await start_turn(clock=time.clock, allow_peers=LOOPBACK)
    peer = site.peer()
    somebody = await site.udp()
    files = open_files()
    memory: list[int] = []
    for _ in range(ROUNDS):
        with ExitStack() as stack:
            await crowd(TurnSite(site.server, stack), peer)
        time.advance(601)
        assert code(await somebody.request(Method.BINDING)) == 0
        assert_nothing_is_kept(site)
        assert not site.driver.turn.deadlines
        await until(lambda: open_files() <= files)
        memory.append(memory_bytes())
    assert site.plugin.counters()["relay-packets-to-peer"] == ROUNDS * CLIENTS
    assert memory[-1] - memory[2] < GROWTH_BYTES, memory


async def crowd(site: TurnSite, peer: Endpoint) -> None:
    """A hundred clients, each with an allocation, a channel and something to say."""

    async def visit(number: int) -> None:
        client = await site.client(TRANSPORTS[number % 10 == 0], f"user{number}")
        await client.allocate()
        assert await client.bind(peer.address, CHANNEL + number) == 0
        client.send_channel(b"hello", CHANNEL + number)
        if number % 2:
            assert await client.refresh(0) == 0

    await asyncio.gather(*map(visit, range(CLIENTS)))
    for _ in range(CLIENTS):
        assert await peer.data() == b"hello"
