"""What a plugin is shown of a message, and how it answers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling import Peer, Send
from tornado_webrtc.signaling.message import Envelope, error_frame

if TYPE_CHECKING:
    from tornado_webrtc.web.hub import Hub

__all__ = ["MessageContext"]


class MessageContext:
    """A message from a registered peer; `tornado_webrtc.hooks.Message` is its shape.

    Attributes:
        type: The message type.
        peer: Who sent it.
    """

    def __init__(self, hub: Hub, peer: Peer, envelope: Envelope) -> None:
        self.type = envelope.type
        self.peer = peer
        self._hub = hub
        self._envelope = envelope

    def __repr__(self) -> str:
        return f"<message {self.type!r} from {self.peer.id!r}>"

    @cached_property
    def data(self) -> Any:
        """The decoded payload. The message is forwarded as it came, whatever is done to this."""
        return msgspec.json.decode(self._envelope.data)

    @property
    def to(self) -> str | None:
        """The peer id that it is for, if it says so."""
        to = self.data.get("to") if isinstance(self.data, dict) else None
        return to if isinstance(to, str) else None

    def reply(self, message_type: str, data: object) -> None:
        """Send the sender a message; `data` is anything that JSON can hold."""
        self._hub.send(self.peer, message_type, data)

    def send(self, peer_id: str, message_type: str, data: object) -> bool:
        """Send a message to a peer in the sender's scope; False if there is none of that id."""
        peer = self._hub.signaling.find(self.peer.scope, peer_id)
        if peer is None:
            return False
        self._hub.send(peer, message_type, data)
        return True

    def error(self, reason: str, code: str) -> None:
        """Answer with `error`."""
        frame = error_frame(self.type, SignalingError(code, reason))
        self._hub.perform([Send(self.peer.address, frame)])
