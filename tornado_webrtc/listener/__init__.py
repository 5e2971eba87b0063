"""Ports, and what comes in through them, up to the protocol that takes it over.

The way of a connection:

    binding.py    addresses and a port -> listening sockets
    acceptor.py   `Listener`: accepts, counts, guards the file descriptors, closes
    arrival.py    one connection: TLS, first bytes, the protocol that claims them
    stream.py     streams whose bytes can be put back; `StreamProtocol`
    http.py       HTTP as one of these protocols
"""

from tornado_webrtc.listener.acceptor import Listener
from tornado_webrtc.listener.arrival import Counters
from tornado_webrtc.listener.http import http_protocol
from tornado_webrtc.listener.stream import (
    Claim,
    PushbackSSLStream,
    PushbackStream,
    SocketAddress,
    StreamProtocol,
)

__all__ = [
    "Claim",
    "Counters",
    "Listener",
    "PushbackSSLStream",
    "PushbackStream",
    "SocketAddress",
    "StreamProtocol",
    "http_protocol",
]
