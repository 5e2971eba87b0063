"""A plugin for tests: serves the sizes of the server's tables at `/debug/tables`.

It is dropped into the plugin folder of the server under attack. The number of
living objects is counted too: a table can be empty while something else still
holds what was in it.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import TYPE_CHECKING

from tornado.web import RequestHandler

from tornado_webrtc import hookimpl

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

LIVING = (
    "Connection",
    "Peer",
    "Session",
    "SignalingSocket",
    "PushbackStream",
    "PushbackSSLStream",
    "Arrival",
    "Allocation",
    "RelaySocket",
    "Client",
)


class Tables(RequestHandler):
    """Answers with a JSON object of numbers."""

    def initialize(self, server: Server) -> None:
        """Take the server to look into."""
        self._server = server

    def get(self) -> None:
        """Count everything."""
        hub = self._server.hub
        connections = list(hub._connections.values())
        self.write(
            {
                "connections": len(connections),
                "connection_timers": sum(len(each._timers) for each in connections),
                "fullest_inbox": max((len(each._inbox) for each in connections), default=0),
                "waiting_bytes": sum(each._outbox.waiting_bytes for each in connections),
                "probes": sum(len(each._probes) for each in connections),
                "clients": len(hub._per_client),
                "peers": hub.signaling.peer_count,
                "scopes": len(list(hub.signaling.presence)),
                "sessions": len(hub.signaling.sessions),
                "remembered": hub.signaling.sessions.remembered,
                "announcements": len(hub._announcer._timers),
                "spacings": len(hub._announcer._free_at),
                "counters": len(hub.counters),
                "abandoned": len(hub.hooks._isolation._abandoned),
                "tasks": len(asyncio.all_tasks()),
                "open_connections": self._server.listener.open_connections,
                "arrivals": len(self._server.listener._tasks),
                "bans": len(self._server.bans),
                **_timers(),
                **_turn(self._server),
                **_living(),
            }
        )


def _timers() -> dict[str, int]:
    """What the event loop will call later; only asyncio's own shows it."""
    scheduled = getattr(asyncio.get_running_loop(), "_scheduled", ())
    return {"timers": sum(not each.cancelled() for each in scheduled)}


def _turn(server: Server) -> dict[str, int]:
    """The tables of the TURN server, if there is one."""
    plugin = server.plugins._pluggy.get_plugin("turn")
    if plugin is None:
        return {}
    driver, turn = plugin._driver, plugin._driver.turn
    return {
        "turn_allocations": len(turn.allocations),
        "turn_quotas": len(turn.quotas),
        "turn_deadlines": len(turn.deadlines),
        "turn_questions": len(turn._pending) + len(turn._waiting) + len(turn.reservations),
        "turn_slots": len(driver._slots) + len(driver._allocations) + len(driver._traffic),
        "turn_streams": len(driver._streams) + len(plugin._streams.clients),
        "turn_strangers": len(plugin._streams.strangers),
        "turn_tasks": len(driver._tasks),
    }


def _living() -> dict[str, int]:
    gc.collect()
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        if kind.__name__ in LIVING and kind.__module__.startswith("tornado_webrtc."):
            found[kind.__name__] += 1
    return {f"living.{name}": found[name] for name in LIVING}


@hookimpl
def http_handlers(server: Server) -> list[tuple[str, type[RequestHandler], dict[str, Server]]]:
    """Add the page."""
    return [("/debug/tables", Tables, {"server": server})]
