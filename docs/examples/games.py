"""A plugin that an operator can live with: its games can be seen, ended, limited and waited for.

A peer sends ``{"type": "game", "data": {"on": true}}`` to begin a game and gets the same
back; false, or its leaving, ends it. Put this file into a folder that is named in
``[plugins] path``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Collection, Message, MessageHandler, PluginContext

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.signaling import Peer

SETTINGS = """
# How many games there may be at a time. (live)
limit = integer(min=0, default=10)
"""


class Plugin:
    """Keeps games."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._limit: int = context.settings["limit"]
        self._begun = 0
        self._draining = False
        self._games: dict[str, Peer] = {}  # by an id that is not used again

    @hookimpl
    def message_types(self) -> Mapping[str, MessageHandler]:
        """Take messages of the type game."""
        return {"game": self.switch}

    async def switch(self, message: Message) -> None:
        """Begin or end the sender's game."""
        on = message.data.get("on") if isinstance(message.data, dict) else None
        if on is False:
            self.peer_left(message.peer)
        elif on is not True:
            message.error("A game needs `on`, true or false.", "bad-message")
            return
        elif message.peer not in self._games.values():
            if self._draining or len(self._games) >= self._limit:
                message.error("There is no room for another game.", "too-many-games")
                return
            self._begun += 1
            self._games[str(self._begun)] = message.peer
        message.reply("game", {"on": on})

    @hookimpl
    def peer_left(self, peer: Peer) -> None:
        """End the game of somebody who is gone."""
        self._games = {key: each for key, each in self._games.items() if each is not peer}

    @hookimpl
    def collections(self) -> Mapping[str, Collection]:
        """Show the operator the games, let them be ended, and let a drain wait for them."""
        games = Collection(
            count=lambda: len(self._games),
            entries=lambda: [_shown(key, peer) for key, peer in self._games.items()],
            get=lambda key: _shown(key, self._games[key]) if key in self._games else None,
            end=lambda key, _reason: self._games.pop(key, None) is not None,
            holds_drain=True,
        )
        return {"games": games}

    @hookimpl
    def counters(self) -> Mapping[str, int]:
        """Say how many games were begun."""
        return {"begun": self._begun}

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Take another limit over; games above it go on."""
        self._limit = new.plugin_settings[self._name]["limit"]

    @hookimpl
    def server_draining(self) -> None:
        """Begin no game any more."""
        self._draining = True


def _shown(key: str, peer: Peer) -> dict[str, object]:
    return {"id": key, "player": peer.id, "remote_ip": peer.remote_ip, "user": peer.subject}
