"""A signaling node without sockets, for tests: frames in, frames to each peer out.

`World` does what a server does around the library: it decodes a frame, hands it
to the right method, answers what is refused, and carries the actions out.
"""

import itertools
import json
from collections import defaultdict

from tornado_webrtc.errors import SignalingError
from tornado_webrtc.signaling import (
    Action,
    Announce,
    Peer,
    PeerAddress,
    Send,
    Session,
    SignalingServer,
)
from tornado_webrtc.signaling.message import Envelope, decode_envelope
from tornado_webrtc.signaling.server import DIRECTED_TYPES

NODE = "node-1"


def frame(message_type: str, **data: object) -> bytes:
    """Encode a frame; `sender` stands for `from`, which Python reserves."""
    if "sender" in data:
        data["from"] = data.pop("sender")
    return json.dumps({"type": message_type, "data": data}, separators=(",", ":")).encode()


class World:
    """One node, its peers, and what they were sent and have not yet looked at.

    Attributes:
        server: The library under test.
        now: The time; tests move it on.
        sent: Every frame but lists that was ever sent, with its address.
    """

    def __init__(self, *, list_max: int = 0) -> None:
        self.server = SignalingServer(NODE, list_max=list_max)
        self.now = 1000.0
        self.sent: list[Send] = []
        self._frames: defaultdict[PeerAddress, list[bytes]] = defaultdict(list)
        self._lists: defaultdict[PeerAddress, list[bytes]] = defaultdict(list)
        self._connection_ids = itertools.count(1)

    def peer(self, peer_id: str, *, name: str = "", scope: str = "", node_id: str = NODE) -> Peer:
        """Make a peer on a connection of its own that has not signed in."""
        address = PeerAddress(node_id, next(self._connection_ids))
        return Peer(peer_id, name, "", scope, address)

    def join(self, peer_id: str, *, name: str = "", scope: str = "", node_id: str = NODE) -> Peer:
        """Sign a peer in on a connection of its own."""
        peer = self.peer(peer_id, name=name, scope=scope, node_id=node_id)
        self.perform(self.server.join(peer))
        return peer

    def leave(self, peer: Peer, reason: str = "disconnected") -> list[Action]:
        """Close a peer's connection."""
        return self.perform(self.server.leave(peer.address, reason, self.now))

    def receive(self, peer: Peer, text: str | bytes) -> list[Action]:
        """Let a frame of this peer arrive; return the actions, which are carried out."""
        envelope = Envelope()
        try:
            envelope = decode_envelope(text)
            actions = self._dispatch(peer, envelope)
        except SignalingError as error:
            actions = self.server.refuse(peer.address, envelope, error)
        return self.perform(actions)

    def _dispatch(self, peer: Peer, envelope: Envelope) -> list[Action]:
        sender = self.server.registered(peer.address)
        if envelope.type in DIRECTED_TYPES:
            return self.server.forward(self.server.route(sender, envelope, self.now), self.now)
        if envelope.type == "bye":
            return self.server.bye(sender, envelope, self.now)
        assert envelope.type == "leave"
        return self.server.leave(sender.address, "left", self.now)

    def perform(self, actions: list[Action]) -> list[Action]:
        """Deliver the frames; lists go out at once."""
        for action in actions:
            if isinstance(action, Send):
                self.sent.append(action)
                self._frames[action.address].append(action.frame)
            elif isinstance(action, Announce):
                for send in self.server.announcement(action.scope):
                    self._lists[send.address].append(send.frame)
        return actions

    def frames_to(self, peer: Peer) -> list[bytes]:
        """Take what a peer was sent since the last look, lists of peers left out."""
        return self._frames.pop(peer.address, [])

    def all_have_looked(self) -> None:
        """Forget what everybody was sent up to now."""
        self._frames.clear()
        self._lists.clear()

    def lists_to(self, peer: Peer) -> list[bytes]:
        """Take the lists of peers that a peer was sent since the last look."""
        return self._lists.pop(peer.address, [])

    def offer(self, caller: Peer, callee: Peer, session_id: str) -> list[Action]:
        """Let a peer offer."""
        return self.receive(caller, frame("offer", to=callee.id, session_id=session_id))

    def call(self, caller: Peer, callee: Peer, session_id: str) -> Session:
        """Let a call be offered and answered; both legs have looked at their frames."""
        self.offer(caller, callee, session_id)
        self.receive(callee, frame("answer", to=caller.id, session_id=session_id))
        self.frames_to(caller)
        self.frames_to(callee)
        return caller.sessions[session_id]

    def live(self) -> list[tuple[str, str, str]]:
        """Return the live sessions as (session id, caller, callee)."""
        return [
            (session.id, session.caller.id, session.callee.id) for session in self.server.sessions
        ]
