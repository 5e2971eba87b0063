"""What an operator sees of a server, as JSON holds it: no secrets, nothing of what is said."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tornado_webrtc import __version__
from tornado_webrtc.ban import Ban
from tornado_webrtc.collection import Collection
from tornado_webrtc.implementation import implemented

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["all_collections", "shown_ban", "status"]

Shown = dict[str, Any]

DAY_S = timedelta(days=1).total_seconds()


def status(server: Server, uptime_s: float) -> Shown:
    """The server at a glance.

    Args:
        server: The server.
        uptime_s: How long it has been running.
    """
    return {
        "version": __version__,
        "state": str(server.state),
        "uptime_s": round(uptime_s, 3),
        "pid": os.getpid(),
        "node_id": server.hub.node_id,
        "event_loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "config": str(server.config.path.absolute()) if server.config.path else None,
        "addresses": [f"{server.scheme}://{address}" for address in server.addresses],
        "certificate": _certificate(server),
        "plugins": _running_plugins(server),
        "plugins_left_out": dict(server.plugins.left_out),
        "collections": _counts(server),
        "bans_stored": server.bans.stored,
        "counters": server.figures.counters(),
        "gauges": server.figures.gauges(),
    }


def all_collections(server: Server) -> dict[str, Collection]:
    """What can be listed: the server's collections, and what only operators see."""
    return {**server.collections, "plugins": _plugins(server), "bans": _bans(server)}


def _counts(server: Server) -> dict[str, int | None]:
    """How many there are of what; None of what its plugin cannot count."""
    counts = {name: server.count(name) for name in server.collections}
    return {**counts, "plugins": len(server.plugins.names), "bans": len(server.bans)}


def shown_ban(ban: Ban, wall: float) -> Shown:
    """A ban; times are Unix seconds."""
    left = None if ban.expires_at is None else round(max(0.0, ban.expires_at - wall), 3)
    return {
        "id": ban.id,
        "kind": ban.kind,
        "value": ban.value,
        "reason": ban.reason,
        "created_at": ban.created_at,
        "expires_at": ban.expires_at,
        "left_s": left,
    }


def _bans(server: Server) -> Collection:
    bans, wall = server.bans, server.clock.wall

    def get(ban_id: str) -> Mapping[str, object] | None:
        ban = bans.get(ban_id)
        return shown_ban(ban, wall()) if ban else None

    return Collection(
        count=lambda: len(bans),
        entries=lambda: [shown_ban(ban, wall()) for ban in bans],
        get=get,
        end=lambda ban_id, _reason: bans.remove(ban_id),
    )


def _plugins(server: Server) -> Collection:
    def get(name: str) -> Mapping[str, object] | None:
        return next((each for each in _running_plugins(server) if each["id"] == name), None)

    return Collection(
        count=lambda: len(server.plugins.names),
        entries=lambda: _running_plugins(server),
        get=get,
    )


def _running_plugins(server: Server) -> list[Shown]:
    return [
        {
            "id": found.name,
            "version": found.version,
            "origin": found.origin,
            "hooks": list(implemented(found.module)),
        }
        for found in server.plugins.running()
    ]


def _certificate(server: Server) -> Shown | None:
    if server.certificates is None:
        return None
    ends = server.certificates.certificate.not_valid_after_utc
    left_s = ends.timestamp() - server.clock.wall()
    return {
        "file": str(server.certificates.cert.absolute()),
        "not_after": ends.isoformat(),
        "days_left": math.floor(left_s / DAY_S),
    }
