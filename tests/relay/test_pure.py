"""Tier 0 itself; what every tier does is in `suite/`."""

import secrets
import time

from tests.relay.lab import PEER, Clock, open_lab
from tornado_webrtc.relay import PureTable, RelayTable
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.message import decode


def test_is_a_relay_table() -> None:
    table: RelayTable = PureTable(secrets.randbelow)
    table.stop()


def test_time_is_monotonic_unless_the_test_says_otherwise() -> None:
    with open_lab(lambda _: PureTable(secrets.randbelow), start=False) as lab:
        lab.clock.now = time.monotonic()
        allocation, peer = lab.allocate(), lab.endpoint(PEER)
        lab.permit(allocation, PEER)
        assert lab.table.send(allocation.slot, peer.address, b"hello", False)
        lab.clock.now -= 301
        lab.permit(allocation, PEER)
        assert not lab.table.send(allocation.slot, peer.address, b"hello", False)


async def test_transaction_ids_begin_at_random() -> None:
    def make(clock: Clock) -> PureTable:
        return PureTable(lambda limit: limit - 1, clock)

    with open_lab(make) as lab:
        allocation, peer = lab.allocate(), lab.endpoint(PEER)
        lab.permit(allocation, PEER)
        for expected in (0, 1):
            peer.send(b"hello", allocation.address)
            message = decode(await allocation.client.data())
            assert message.transaction_id == expected.to_bytes(12)


async def test_callbacks_need_not_be_set() -> None:
    with open_lab(lambda clock: PureTable(secrets.randbelow, clock)) as lab:
        fresh = PureTable(secrets.randbelow, lab.clock)
        lab.table.on_punt, lab.table.on_icmp = fresh.on_punt, fresh.on_icmp
        allocation, peer = lab.allocate(), lab.endpoint(PEER)
        lab.connect(allocation, peer.address)
        allocation.client.send(b"\0 not relayed", allocation.five_tuple.server)
        lab.table.send(allocation.slot, TransportAddress(PEER, 1), b"anybody?", False)
        lab.send_channel(allocation, b"hello")
        assert await peer.data() == b"hello"
