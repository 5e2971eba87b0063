"""The signaling protocol as a library: no socket, no clock, no event loop.

Frames and the time go in, actions come out. Where things stand:

    message.py    frames: envelopes, payloads, what the server says
    peer.py       who is signed in: `Peer`, `PeerAddress`
    session.py    calls: offered → answered → ended, and the memory of ended ones
    presence.py   who sees whom: one roster per scope
    action.py     what the caller has to do: send, announce, tell
    server.py     `SignalingServer`, which ties them together
"""

from tornado_webrtc.signaling.action import (
    Action,
    Announce,
    PeerJoined,
    PeerLeft,
    Send,
    SessionAnswered,
    SessionEnded,
    SessionOffered,
)
from tornado_webrtc.signaling.peer import Peer, PeerAddress
from tornado_webrtc.signaling.server import SignalingServer
from tornado_webrtc.signaling.session import Session, SessionState

__all__ = [
    "Action",
    "Announce",
    "Peer",
    "PeerAddress",
    "PeerJoined",
    "PeerLeft",
    "Send",
    "Session",
    "SessionAnswered",
    "SessionEnded",
    "SessionOffered",
    "SessionState",
    "SignalingServer",
]
