"""A plugin of an operator's own: peers may say that they do not want to be called.

A peer sends ``{"type": "dnd", "data": {"on": true}}`` and gets the same back.
Calls to it are denied until it sends false or leaves. ``GET /api/dnd`` lists the
ids of the peers that are busy. Put this file into a folder that is named in
``[plugins] path``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import CallRequest, Denied, Message, MessageHandler, PluginContext

if TYPE_CHECKING:
    from tornado_webrtc.signaling import Peer

SETTINGS = """
# What a caller is told.
reason = string(default="does not want to be disturbed")
# Whether everybody may ask at /api/dnd who is busy.
public_list = boolean(default=True)
"""


class Plugin:
    """Remembers who is busy, and denies calls to them."""

    def __init__(self, context: PluginContext) -> None:
        self._reason: str = context.settings["reason"]
        self._public_list: bool = context.settings["public_list"]
        self._log = context.log
        self._busy: set[tuple[str, str]] = set()  # scope and id

    @hookimpl
    def message_types(self) -> Mapping[str, MessageHandler]:
        """Take messages of the type dnd."""
        return {"dnd": self.switch}

    @hookimpl
    def http_handlers(self) -> Sequence[Any]:
        """Serve the list, if it is public."""
        return [(r"/api/dnd", BusyHandler, {"busy": self._busy})] if self._public_list else []

    @hookimpl
    def permit_call(self, request: CallRequest) -> Denied | None:
        """Deny a call to a peer that is busy."""
        if _key(request.callee) in self._busy:
            return Denied(f"Peer [{request.callee.id}] {self._reason}.", code="do-not-disturb")
        return None

    @hookimpl
    def peer_left(self, peer: Peer) -> None:
        """Forget a peer: whoever gets the id next has not said anything yet."""
        self._busy.discard(_key(peer))

    async def switch(self, message: Message) -> None:
        """Handle ``{"type": "dnd", "data": {"on": true}}``; what clients send may be anything."""
        on = message.data.get("on") if isinstance(message.data, dict) else None
        if not isinstance(on, bool):
            message.error("data.on has to be true or false", code="bad-message")
            return
        if on:
            self._busy.add(_key(message.peer))
        else:
            self._busy.discard(_key(message.peer))
        self._log.debug("%d peers are busy", len(self._busy))
        message.reply("dnd", {"on": on})


class BusyHandler(RequestHandler):
    """``GET /api/dnd``: ``{"ids": ["123456"]}``."""

    def initialize(self, busy: set[tuple[str, str]]) -> None:
        """Tornado calls this with the third part of the rule."""
        self._busy = busy

    def get(self) -> None:
        """List the ids of the peers that are busy."""
        self.write({"ids": sorted(peer_id for _, peer_id in self._busy)})


def _key(peer: Peer) -> tuple[str, str]:
    return peer.scope, peer.id
