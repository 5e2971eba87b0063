"""What the operator sees of the TURN server: its allocations, as they are at the moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tornado_webrtc.hooks import Collection
from tornado_webrtc.turn.allocation import Allocation

from .credential import peer_id_of

if TYPE_CHECKING:
    from .driver import Driver

__all__ = ["allocations"]

_ID = re.compile(r"[1-9][0-9]{0,19}")


def allocations(driver: Driver, now: Callable[[], float]) -> Collection:
    """All allocations of one TURN server; ending one deletes it.

    Args:
        driver: Has them.
        now: Monotonic seconds.
    """

    def shown(allocation: Allocation) -> Mapping[str, object]:
        return _shown(driver, allocation, now())

    def get(entry_id: str) -> Mapping[str, object] | None:
        allocation = _find(driver, entry_id)
        return shown(allocation) if allocation else None

    def end(entry_id: str, reason: str) -> bool:
        allocation = _find(driver, entry_id)
        if allocation is not None:
            driver.end(allocation, reason or "ended by the operator")
        return allocation is not None

    return Collection(
        count=lambda: len(driver.turn.allocations),
        entries=lambda: [shown(allocation) for allocation in driver.turn.allocations],
        get=get,
        end=end,
        holds_drain=True,
    )


def _find(driver: Driver, entry_id: str) -> Allocation | None:
    if not _ID.fullmatch(entry_id):
        return None
    return driver.find(int(entry_id))


def _shown(driver: Driver, allocation: Allocation, now: float) -> dict[str, object]:
    five_tuple = allocation.five_tuple
    relayed = driver.relayed(allocation)
    channels = [each for each in allocation.channels.values() if now < each.expires_at]
    return {
        "id": str(allocation.id),
        "user": allocation.user,
        "username": allocation.username,
        "peer_id": peer_id_of(allocation.username),
        "client": str(five_tuple.client),
        "remote_ip": five_tuple.client.host,
        "transport": five_tuple.transport,
        "relayed": str(allocation.relay.advertised),
        "created_s": round(max(0.0, now - allocation.created_at), 3),
        "expires_s": round(max(0.0, allocation.expires_at - now), 3),
        "permissions": [
            ip for ip, permission in allocation.permissions.items() if now < permission.expires_at
        ],
        "channels": [{"number": each.number, "peer": str(each.peer)} for each in channels],
        "bytes_to_peer": relayed.bytes_to_peer,
        "bytes_from_peer": relayed.bytes_from_peer,
        "packets_to_peer": relayed.packets_to_peer,
        "packets_from_peer": relayed.packets_from_peer,
        "dropped": relayed.dropped,
    }
