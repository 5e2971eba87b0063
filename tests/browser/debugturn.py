"""A plugin for the tests' own server: ``GET /debug/turn`` tells what became of allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tornado.web import RequestHandler

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import PluginContext, TurnAllocation, TurnTraffic


class Plugin:
    """Remembers every allocation of the server."""

    def __init__(self, _context: PluginContext) -> None:
        self._allocations: dict[int, dict[str, Any]] = {}

    @hookimpl
    def http_handlers(self) -> Sequence[Any]:
        """Serve the list."""
        return [(r"/debug/turn", AllocationHandler, {"allocations": self._allocations})]

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """Begin an entry."""
        self._allocations[allocation.id] = {
            "user": allocation.user,
            "transport": allocation.transport,
            "relayed": allocation.relayed.host,
            "deleted": None,
            "bytes": 0,
        }

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """Complete an entry."""
        total = traffic.bytes_to_peer + traffic.bytes_from_peer
        self._allocations[allocation.id] |= {"deleted": reason, "bytes": total}


class AllocationHandler(RequestHandler):
    """``GET /debug/turn``: ``{"allocations": [{"transport": "udp", ...}]}``."""

    def initialize(self, allocations: dict[int, dict[str, Any]]) -> None:
        """Tornado calls this with the third part of the rule."""
        self._allocations = allocations

    def get(self) -> None:
        """List all allocations there ever were."""
        self.write({"allocations": list(self._allocations.values())})
