"""STUN as a library: bytes to values and back, no socket, no clock, no randomness.

Where things stand:

    header.py       the first 20 bytes, what all messages have in common
    address.py      transport addresses, five-tuples, plain and XORed on the wire
    value.py        what attributes contain, and its wire forms
    attribute.py    one constant per attribute: `Attribute`, and the table of all
    message.py      `Message`, `decode`, `encode`
    integrity.py    keys, MESSAGE-INTEGRITY, FINGERPRINT
    channeldata.py  ChannelData messages, TURN's short form for data
    framing.py      `Framer`: messages out of a byte stream; `classify` by the first byte

Bytes from the network raise `DecodeError` and nothing else. A value that does
not fit its field is the caller's mistake and raises `ValueError`.
"""

from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import Attribute
from tornado_webrtc.stun.framing import Framer
from tornado_webrtc.stun.message import Message, MessageClass, Method

__all__ = [
    "Attribute",
    "FiveTuple",
    "Framer",
    "Message",
    "MessageClass",
    "Method",
    "TransportAddress",
]
