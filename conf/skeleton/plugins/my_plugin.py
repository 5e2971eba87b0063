"""my_plugin: say here in a sentence what it is for.

As it comes it answers ``{"type": "my_plugin", "data": {}}`` with a greeting that the
section ``[my_plugin]`` of the configuration chooses. Replace that by what you need;
docs/plugins.md of the server describes every hook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Message, MessageHandler, PluginContext

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

__version__ = "0.1.0"

# The keys of the section [my_plugin]: type, range and default. `live` says that a reload
# applies a change, because settings_changed below takes it over.
SETTINGS = """
# What a peer is greeted with.
# live
greeting = string(min=1, max=200, default="Hello")
"""


class Plugin:
    """Greets peers that ask for it.

    Args:
        context: The plugin's name, its checked settings, and its logger.
    """

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._greeting: str = context.settings["greeting"]
        self._greeted = 0

    @hookimpl
    def message_types(self) -> Mapping[str, MessageHandler]:
        """Take messages of a type of one's own."""
        return {self._name: self.greet}

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now."""
        self._greeting = new.plugin_settings[self._name]["greeting"]

    @hookimpl
    def counters(self) -> Mapping[str, int]:
        """Say how often what happened, for ``tornado-webrtc status``."""
        return {"greeted": self._greeted}

    async def greet(self, message: Message) -> None:
        """Answer one message; what clients send in it may be anything."""
        if not isinstance(message.data, dict):
            message.error("data has to be an object", code="bad-message")
            return
        self._greeted += 1
        self._log.debug("%r is greeted", message.peer.id)
        message.reply(self._name, {"greeting": f"{self._greeting}, {message.peer.name}!"})
