"""What a server counts and measures: of its own parts and of plugins, gathered in one place.

Counters say how often what happened since the start, and only grow. Gauges say how much there
is of something at the moment. ``tornado-webrtc status`` shows both, and the plugin `metrics`
hands them on, so that whatever is counted anywhere is seen everywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["Figures"]


class Figures:
    """The counters and gauges of one server.

    Looking at the core's parts takes no longer with more peers or calls; plugins are asked to be
    quick, too. The TURN server adds up what its allocations have relayed: 0.7 ms for 1,000 of them
    on a core of 2.6 GHz.

    Args:
        server: Whose parts and plugins are asked.

    Attributes:
        events: How often what happened to the server as a whole.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.events = Counter({"reload.applied": 0, "reload.refused": 0})

    def counters(self) -> dict[str, dict[str, int]]:
        """How often what happened since the start: of the core's parts, then of plugins."""
        core = {
            "signaling": dict(self._server.hub.counters),
            "listener": asdict(self._server.listener.counters),
            "server": dict(self.events),
        }
        return self._with_plugins(core, "counters")

    def gauges(self) -> dict[str, dict[str, float]]:
        """How much there is of what: of the core's parts, then of plugins."""
        hub = self._server.hub
        core: dict[str, dict[str, float]] = {
            "signaling": {
                "connections": len(hub),
                "peers": hub.signaling.peer_count,
                "scopes": len(hub.signaling.presence),
            },
            "listener": {"open": self._server.listener.open_connections},
        }
        return self._with_plugins(core, "gauges")

    def _with_plugins(self, core: dict[str, dict[str, Any]], hook: str) -> dict[str, Any]:
        """Add what plugins say; one that fails is logged and left out, as is the name of a part."""
        found = self._server.hooks.collect(hook, on_failure=lambda _error: None)
        return core | {name: dict(figures) for name, figures in found if name not in core}
