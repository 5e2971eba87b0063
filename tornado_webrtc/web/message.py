"""What a plugin is shown of a message, and how it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling import Peer, Send
from tornado_webrtc.signaling.message import Envelope, decode_payload, error_frame

if TYPE_CHECKING:
    from tornado_webrtc.web.hub import Hub

__all__ = ["MessageContext"]


class MessageContext:
    """A message from a registered peer; `tornado_webrtc.hooks.Message` is its shape.

    Its payload is decoded before any plugin sees it, so that one which cannot be
    decoded is the fault of its sender and of nobody's plugin.

    Attributes:
        type: The message type.
        peer: Who sent it.

    Raises:
        SignalingError: ``bad-message`` if the payload cannot be decoded.
    """

    def __init__(self, hub: Hub, peer: Peer, envelope: Envelope) -> None:
        self.type = envelope.type
        self.peer = peer
        self._hub = hub
        self._envelope = envelope
        self._checked = decode_payload(envelope)

    def __repr__(self) -> str:
        return f"<message {self.type!r} from {self.peer.id!r}>"

    @property
    def data(self) -> Any:
        """The payload, decoded anew each time: whoever changes it changes only its own copy."""
        return decode_payload(self._envelope)

    @property
    def to(self) -> str | None:
        """The peer id that it is for, if it says so."""
        to = self._checked.get("to") if isinstance(self._checked, dict) else None
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
