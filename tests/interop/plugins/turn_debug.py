"""A plugin that the tests drop into the server: ``GET /debug/turn`` counts allocations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tornado.web import RequestHandler

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import PluginContext, TurnAllocation, TurnTraffic

COUNTED = (
    *("created", "refreshed", "packets_to_peer", "bytes_to_peer"),
    *("packets_from_peer", "bytes_from_peer", "dropped"),
)
OWN_FILES = Path("/proc/self/fd")
UDP_TABLES = (Path("/proc/self/net/udp"), Path("/proc/self/net/udp6"))
INODE_FIELD = 9


class Plugin:
    """Counts what it is told of allocations."""

    def __init__(self, _context: PluginContext) -> None:
        self._live: dict[int, str] = {}
        self._counts: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()

    @hookimpl
    def http_handlers(self) -> Sequence[Any]:
        """Serve the counts."""
        return [(r"/debug/turn", DebugHandler, {"plugin": self})]

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """Remember an allocation, and whose it is."""
        self._live[allocation.id] = allocation.user
        self._counts["created"] += 1

    @hookimpl
    def allocation_refreshed(self, allocation: TurnAllocation) -> None:
        """Count; there is no such thing as an unknown allocation."""
        assert allocation.id in self._live
        self._counts["refreshed"] += 1

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """Forget an allocation, and remember what it relayed."""
        del self._live[allocation.id]
        self._ended[reason] += 1
        for name in COUNTED[2:]:
            self._counts[name] += getattr(traffic, name)

    def shown(self) -> dict[str, Any]:
        """All that is known, with the number of UDP sockets that are really open."""
        return {
            **{name: self._counts[name] for name in COUNTED},
            "live": Counter(self._live.values()),
            "ended": self._ended,
            "udp_sockets": len(udp_inodes() & own_inodes()),
        }


class DebugHandler(RequestHandler):
    """Shows what the plugin knows."""

    def initialize(self, plugin: Plugin) -> None:
        """Take what the rule says."""
        self._plugin = plugin

    def get(self) -> None:
        """Answer in JSON."""
        self.finish(self._plugin.shown())


def own_inodes() -> set[str]:
    """The inodes of this process's sockets."""
    targets = []
    for path in OWN_FILES.iterdir():
        try:
            targets.append(str(path.readlink()))
        except FileNotFoundError:  # the folder's own descriptor
            continue
    return {each[len("socket:[") : -1] for each in targets if each.startswith("socket:[")}


def udp_inodes() -> set[str]:
    """The inodes of all UDP sockets of this machine."""
    lines = [line for table in UDP_TABLES for line in table.read_text().splitlines()[1:]]
    return {line.split()[INODE_FIELD] for line in lines}
