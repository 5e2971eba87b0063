"""aioice's TURN client works with this server, over UDP and TCP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import (
    TurnClientProtocol,
    TurnClientTcpProtocol,
    TurnClientUdpProtocol,
    create_turn_endpoint,
)

from tests.interop.turnprocess import PASSWORD, USER, TurnProcess

DEADLINE_S = 15.0

pytestmark = [
    pytest.mark.xdist_group("interop-python"),
    pytest.mark.parametrize("transport", ["udp", "tcp"]),
]

Address = tuple[str, int]


class Inbox(asyncio.DatagramProtocol):
    """Keeps what arrives."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.lost = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._arrived.put_nowait((data, (addr[0], addr[1])))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    async def next(self) -> tuple[bytes, Address]:
        return await asyncio.wait_for(self._arrived.get(), DEADLINE_S)


class Echo(asyncio.DatagramProtocol):
    """Sends back what arrives, in capitals."""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._transport.sendto(data.upper(), addr)


@asynccontextmanager
async def allocated(
    turn: TurnProcess, transport: str, password: str = PASSWORD
) -> AsyncIterator[tuple[TurnClientProtocol, Address, Inbox]]:
    """Have an allocation until the end of the block, which deletes it.

    Yields:
        aioice's client, the relayed address, and what arrives there.
    """
    host, port = "127.0.0.1", await turn.turn_port(transport)
    make = TurnClientTcpProtocol if transport == "tcp" else TurnClientUdpProtocol
    client = make((host, port), USER, password, lifetime=600, channel_refresh_time=0)
    inbox = client.receiver = Inbox()
    loop = asyncio.get_running_loop()
    if isinstance(client, TurnClientTcpProtocol):
        await loop.create_connection(lambda: client, host, port)
    else:
        await loop.create_datagram_endpoint(lambda: client, remote_addr=(host, port))
    try:
        yield client, await client.connect(), inbox
    finally:
        await client.delete()
        await asyncio.wait_for(inbox.lost.wait(), DEADLINE_S)


@asynccontextmanager
async def echo() -> AsyncIterator[Address]:
    """A peer that has nothing to do with TURN."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


async def test_endpoint_reaches_a_peer(lan_turn: TurnProcess, transport: str) -> None:
    """With the credential, and in the way, of an application."""
    credential = await lan_turn.credential("arthur")
    server = ("127.0.0.1", await lan_turn.turn_port(transport))
    login = (credential.username, credential.password)
    endpoint, inbox = await create_turn_endpoint(Inbox, server, *login, transport=transport)
    try:
        assert (await lan_turn.counts()).live == {"arthur": 1}
        async with echo() as peer:
            for data in (b"so long", b"and thanks for all the fish", b"x" * 1201):
                endpoint.sendto(data, peer)
                assert await inbox.next() == (data.upper(), peer)
    finally:
        endpoint.close()
        await asyncio.wait_for(inbox.lost.wait(), DEADLINE_S)
    await lan_turn.idle()


async def test_two_clients_reach_each_other(turn: TurnProcess, transport: str) -> None:
    before = await turn.counts()
    async with (
        allocated(turn, transport) as (ann, ann_address, ann_inbox),
        allocated(turn, transport) as (bob, bob_address, bob_inbox),
    ):
        await ann.send_data(b"too early", bob_address)  # Bob has no permission for Ann yet
        await bob.send_data(b"hello", ann_address)
        assert await ann_inbox.next() == (b"hello", bob_address)
        await ann.send_data(b"hello, Bob", bob_address)  # binds the channel again
        assert await bob_inbox.next() == (b"hello, Bob", ann_address)
        await bob.send_data(b"", ann_address)
        assert await ann_inbox.next() == (b"", bob_address)
    after = await turn.idle()
    assert after.created - before.created == 2
    assert after.ended["refreshed to 0"] - before.ended.get("refreshed to 0", 0) == 2
    assert after.packets_to_peer - before.packets_to_peer == 4
    assert after.packets_from_peer - before.packets_from_peer == 3
    assert after.dropped - before.dropped == 1


async def test_data_of_a_peer_without_a_channel(lan_turn: TurnProcess, transport: str) -> None:
    """A permission is for an address with all its ports: there, Data indications arrive."""
    async with allocated(lan_turn, transport) as (client, address, inbox), echo() as peer:
        await client.send_data(b"a", peer)
        assert await inbox.next() == (b"A", peer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            other.sendto(b"unexpected", address)
            assert await inbox.next() == (b"unexpected", other.getsockname())
    await lan_turn.idle()


async def test_allocation_is_refreshed(turn: TurnProcess, transport: str) -> None:
    before = await turn.counts()
    async with allocated(turn, transport) as (client, _, _):
        refreshing = asyncio.create_task(client.refresh(0))  # at once, then in minutes
        await turn.reached(lambda counts: counts.refreshed > before.refreshed)
        refreshing.cancel()
        await asyncio.wait([refreshing])
        assert not client.transport.is_closing()
    assert (await turn.idle()).refreshed - before.refreshed == 1


async def test_second_allocation_of_a_five_tuple(turn: TurnProcess, transport: str) -> None:
    """437 (Allocation Mismatch), and the first one stays (RFC 8656 section 7.2)."""
    async with allocated(turn, transport) as (client, _, _):
        with pytest.raises(TransactionFailed) as caught:
            await client.connect()
        assert caught.value.response.attributes["ERROR-CODE"][0] == 437
        assert (await turn.counts()).allocations == 1
    await turn.idle()


async def test_wrong_password(turn: TurnProcess, transport: str) -> None:
    with pytest.raises(TransactionFailed) as caught:
        async with allocated(turn, transport, "wrong"):
            pass
    assert caught.value.response.attributes["ERROR-CODE"][0] == 401
    await turn.idle()


async def test_peer_that_must_not_be_reached(turn: TurnProcess, transport: str) -> None:
    async with allocated(turn, transport) as (client, _, _), echo() as peer:
        with pytest.raises(TransactionFailed) as caught:
            await client.send_data(b"a", peer)
        assert caught.value.response.attributes["ERROR-CODE"][0] == 403
    await turn.idle()
