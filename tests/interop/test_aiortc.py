"""Two aiortc peers talk through this server, and through nothing else."""

import asyncio
import re

import pytest
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)

from tests.interop.turnprocess import TurnProcess

DEADLINE_S = 30.0
NAMES = ("zaphod", "marvin")

pytestmark = pytest.mark.xdist_group("interop-python")


async def connection(turn: TurnProcess, name: str, transport: str) -> RTCPeerConnection:
    """A peer connection with the ICE servers that `/api/turn` names, and relayed candidates only.

    aiortc takes one TURN URI of them: the first.
    """
    servers = [
        RTCIceServer(
            urls=[url for url in each["urls"] if not url.startswith("turn:") or transport in url],
            username=each.get("username"),
            credential=each.get("credential"),
        )
        for each in await turn.ice_servers(name)
    ]
    policy = RTCIceTransportPolicy.RELAY
    return RTCPeerConnection(RTCConfiguration(iceServers=servers, iceTransportPolicy=policy))


async def negotiate(caller: RTCPeerConnection, callee: RTCPeerConnection) -> list[str]:
    """Exchange offer and answer; return all candidates."""
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)
    descriptions = (caller.localDescription.sdp, callee.localDescription.sdp)
    return re.findall(r"^a=candidate:(.*)\r$", "".join(descriptions), re.M)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_data_channel(turn: TurnProcess, transport: str) -> None:
    before = await turn.counts()
    caller, callee = [await connection(turn, name, transport) for name in NAMES]
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()

    @callee.on("datachannel")
    def echo(channel: RTCDataChannel) -> None:
        channel.on("message", channel.send)

    channel = caller.createDataChannel("chat")
    channel.on("message", heard.put_nowait)
    opened = asyncio.Event()
    channel.on("open", opened.set)
    candidates = await negotiate(caller, callee)
    assert len(candidates) == 2
    assert all(" 127.0.0.1 " in each and " typ relay" in each for each in candidates)
    assert (await turn.counts()).live == dict.fromkeys(NAMES, 1)

    await asyncio.wait_for(opened.wait(), DEADLINE_S)
    for message in ("don't panic", b"\x00\xff", "x" * 100_000):
        channel.send(message)
        assert await asyncio.wait_for(heard.get(), DEADLINE_S) == message

    await asyncio.gather(caller.close(), callee.close())
    after = await turn.idle()
    assert after.created - before.created == 2
    assert after.ended["refreshed to 0"] - before.ended.get("refreshed to 0", 0) == 2
    assert after.packets_to_peer > before.packets_to_peer
