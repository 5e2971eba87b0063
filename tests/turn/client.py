"""A client of the TURN server under test: one user on one five-tuple, who signs for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    ERROR_CODE,
    LIFETIME,
    MESSAGE_INTEGRITY,
    NONCE,
    REALM,
    REQUESTED_TRANSPORT,
    USERNAME,
    XOR_PEER_ADDRESS,
)
from tornado_webrtc.stun.integrity import append_integrity, long_term_key, verify_integrity
from tornado_webrtc.stun.message import Message, MessageClass, Method, decode, encode
from tornado_webrtc.turn.action import Action
from tornado_webrtc.turn.allocation import Allocation
from tornado_webrtc.turn.request import AttributeValue

if TYPE_CHECKING:
    from tests.turn.world import World

REALM_NAME = "example.org"
SERVER = TransportAddress("198.51.100.1", 3478)
PEER = TransportAddress("20.0.0.1", 5000)
OTHER_PEER = TransportAddress("20.0.0.2", 5000)
PRIVATE_PEER = TransportAddress("192.168.1.2", 5000)
PEER_IPV6 = TransportAddress("2600::1", 5000)
UDP = (REQUESTED_TRANSPORT, 17)


def code(response: Message) -> int:
    """Return the error code of a response, 0 for success."""
    if response.message_class is MessageClass.SUCCESS:
        return 0
    assert response.message_class is MessageClass.ERROR
    error = response.get(ERROR_CODE)
    assert error is not None
    assert error.reason == ""
    return error.code


def codes(client: Client) -> list[int]:
    """Take the responses since the last look, as their codes."""
    return [code(response) for response in client.responses()]


def peers(*addresses: TransportAddress) -> list[AttributeValue]:
    """Make XOR-PEER-ADDRESS attributes."""
    return [(XOR_PEER_ADDRESS, address) for address in addresses]


def signed_with(message: bytes, key: bytes, attribute_code: int, value: bytes) -> bytes:
    """Append an attribute of any number and value to an unsigned message, and sign it."""
    padded = value + bytes(-len(value) % 4)
    body = message[20:] + attribute_code.to_bytes(2) + len(value).to_bytes(2) + padded
    return append_integrity(message[:2] + len(body).to_bytes(2) + message[4:20] + body, key)


class Client:
    """One user on one five-tuple."""

    def __init__(self, world: World, username: str, five_tuple: FiveTuple) -> None:
        self.world = world
        self.username = username
        self.five_tuple = five_tuple
        known = world.users.get(username)
        self.password = known.password if known is not None else "?"

    @property
    def key(self) -> bytes:
        """The key of the password that this client believes to be right."""
        return long_term_key(self.username, REALM_NAME, self.password)

    @property
    def allocation(self) -> Allocation | None:
        """The live allocation of the five-tuple."""
        return self.world.server.allocations.get_live(self.five_tuple, self.world.now)

    def credentials(self, **changed: str) -> list[AttributeValue]:
        """Make USERNAME, REALM and a fresh NONCE, or others."""
        host = self.five_tuple.client.host
        nonce = changed.get("nonce") or self.world.nonces.make(host, self.world.wall)
        return [
            (USERNAME, changed.get("username", self.username)),
            (REALM, changed.get("realm", REALM_NAME)),
            (NONCE, nonce),
        ]

    def message(self, method: int, *attributes: AttributeValue, **changed: str) -> bytes:
        """Encode a request that is signed with this client's key."""
        request = encode(
            method,
            MessageClass.REQUEST,
            self.world.transaction_id(),
            [*attributes, *self.credentials(**changed)],
            key=self.key,
        )
        return self.world.sign(self, request)

    def malformed(
        self, method: int, attribute_code: int, value: bytes, *attributes: AttributeValue
    ) -> bytes:
        """Encode a signed request with an attribute of any number and content."""
        request = encode(
            method,
            MessageClass.REQUEST,
            self.world.transaction_id(),
            [*attributes, *self.credentials()],
        )
        return self.world.sign(self, signed_with(request, self.key, attribute_code, value))

    def unsigned(self, method: int, *attributes: AttributeValue) -> bytes:
        """Encode a request without integrity."""
        return encode(method, MessageClass.REQUEST, self.world.transaction_id(), attributes)

    def send(self, data: bytes) -> list[Action]:
        """Let bytes arrive from the five-tuple; returns the actions, which are carried out."""
        return self.world.receive(self.five_tuple, data)

    def take(self) -> list[bytes]:
        """Take what was sent to the five-tuple since the last look."""
        return self.world.outbox.pop(self.five_tuple, [])

    def responses(self) -> list[Message]:
        """Take the responses since the last look, checked and decoded."""
        return [decode(data) for data in self.take()]

    def ask(self, data: bytes) -> Message:
        """Send a request; its only answer comes at once."""
        self.send(data)
        (response,) = self.responses()
        assert response.transaction_id == data[8:20]
        if response.has(MESSAGE_INTEGRITY):
            assert verify_integrity(response, self.key)
        return response

    def request(self, method: int, *attributes: AttributeValue, **changed: str) -> Message:
        """Send a signed request; its only answer comes at once."""
        return self.ask(self.message(method, *attributes, **changed))

    def allocate(self, *attributes: AttributeValue) -> Message:
        """Allocate for UDP."""
        return self.request(Method.ALLOCATE, UDP, *attributes)

    def allocated(self, *attributes: AttributeValue) -> Allocation:
        """Allocate for UDP, with success."""
        assert code(self.allocate(*attributes)) == 0
        allocation = self.allocation
        assert allocation is not None
        return allocation

    def refresh(self, lifetime: int | None = None) -> Message:
        """Refresh the allocation."""
        attributes = [] if lifetime is None else [(LIFETIME, lifetime)]
        return self.request(Method.REFRESH, *attributes)

    def permit(self, *addresses: TransportAddress) -> Message:
        """Create permissions."""
        return self.request(Method.CREATE_PERMISSION, *peers(*addresses))

    def bind(self, number: int, peer: TransportAddress) -> Message:
        """Bind a channel."""
        return self.request(Method.CHANNEL_BIND, (CHANNEL_NUMBER, number), *peers(peer))

    def indicate(
        self, peer: TransportAddress, data: bytes, *attributes: AttributeValue
    ) -> list[Action]:
        """Send an indication with data for a peer."""
        content = [*peers(peer), (DATA, data), *attributes]
        return self.send(
            encode(Method.SEND, MessageClass.INDICATION, self.world.transaction_id(), content)
        )

    def channel_data(self, number: int, data: bytes) -> list[Action]:
        """Send data over a channel."""
        return self.send(channeldata.encode(number, data, pad=self.five_tuple.is_stream))

    def disconnect(self) -> list[Action]:
        """End the stream."""
        world = self.world
        return world.perform(world.server.disconnected(self.five_tuple, world.now))
