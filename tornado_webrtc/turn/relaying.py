"""Data from a client: Send indications and ChannelData (RFC 8656 sections 11.2 and 12.6).

Nothing here is answered: what may not be relayed is dropped and counted.
ChannelData is relayed by the relay table, and only what it has no live
allocation for comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.attribute import DATA, DONT_FRAGMENT, XOR_PEER_ADDRESS
from tornado_webrtc.turn.action import Action, RelayData
from tornado_webrtc.turn.authentication import UNDERSTOOD

if TYPE_CHECKING:
    from tornado_webrtc.stun.address import FiveTuple, TransportAddress
    from tornado_webrtc.stun.message import Message
    from tornado_webrtc.turn.allocation import Allocation
    from tornado_webrtc.turn.server import TurnServer

__all__ = ["channel_data", "send_indication"]


def send_indication(
    server: TurnServer, five_tuple: FiveTuple, message: Message, now: float
) -> list[Action]:
    """Relay the DATA of a Send indication to its XOR-PEER-ADDRESS."""
    allocation = server.allocations.get_live(five_tuple, now)
    if allocation is None:
        return server.dropped("send-without-allocation")
    if message.unknown_comprehension_required(UNDERSTOOD):
        return server.dropped("unknown-attribute")
    try:
        peer, data = message.get(XOR_PEER_ADDRESS), message.get(DATA)
    except DecodeError:
        return server.dropped("malformed")
    if peer is None or data is None:
        return server.dropped("malformed")
    if not _permitted(server, allocation, peer, now):
        return server.dropped("no-permission")
    return [RelayData(allocation, peer, data, message.has(DONT_FRAGMENT))]


def channel_data(server: TurnServer, frame: bytes) -> list[Action]:
    """Drop what is no STUN: ChannelData without an allocation, or nothing at all."""
    try:
        channeldata.decode(frame)
    except DecodeError:
        return server.dropped("malformed")
    return server.dropped("channel-data-without-allocation")


def _permitted(
    server: TurnServer, allocation: Allocation, peer: TransportAddress, now: float
) -> bool:
    permission = allocation.permission(peer.host, now)
    if permission is None:
        return False
    return not permission.hairpin or server.allocations.is_live_relay(peer, now)
