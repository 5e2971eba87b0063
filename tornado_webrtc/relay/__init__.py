"""The relay's data plane: who may send what to whom, and the sockets it goes through.

Whoever uses a table need not know which tier is behind it:

    table.py        `RelayTable`: what every tier can do, and the types it takes
    socket.py       relay and listening sockets
    pure.py         tier 0: in Python on the IOLoop; runs everywhere
    relaying.py     the way of a datagram through tier 0
    entry.py        what tier 0 remembers of an allocation
    indication.py   Data indications, written into the receive buffer
    icmp.py         what came back for datagrams that did not arrive
"""

from tornado_webrtc.relay.pure import PureTable
from tornado_webrtc.relay.socket import LISTENER_BUFFER_BYTES, RelaySocket, open_relay
from tornado_webrtc.relay.table import (
    Bucket,
    Client,
    Counters,
    RelayTable,
    SinkClient,
    Slot,
    UdpClient,
)

__all__ = [
    "LISTENER_BUFFER_BYTES",
    "Bucket",
    "Client",
    "Counters",
    "PureTable",
    "RelaySocket",
    "RelayTable",
    "SinkClient",
    "Slot",
    "UdpClient",
    "open_relay",
]
