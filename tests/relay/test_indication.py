"""Data indications, as the STUN library reads them."""

from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.relay.indication import HEADROOM, TAILROOM, IndicationWriter
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import DATA, XOR_PEER_ADDRESS
from tornado_webrtc.stun.message import MessageClass, Method, decode

LARGEST = 65507  # of IPv4


def write(
    data: bytes, address: TransportAddress, transaction_id: int = 0, room: int = HEADROOM
) -> bytes | None:
    buffer = bytearray(b"\xaa" * room + data + b"\xbb" * TAILROOM)
    writer = IndicationWriter(buffer, transaction_id)
    message = writer.write(room, len(data), address.packed, address.port)
    if message is None:
        return None
    begin, end = message
    assert 0 <= begin < room
    assert end <= len(buffer)
    return bytes(buffer[begin:end])


@given(
    data=st.binary(max_size=100),
    host=st.ip_addresses().map(str),
    port=st.integers(0, 65535),
    transaction_id=st.integers(0, (1 << 96) - 1),
    room=st.integers(HEADROOM, HEADROOM + 8),
)
def test_is_read_as_it_was_written(
    data: bytes, host: str, port: int, transaction_id: int, room: int
) -> None:
    address = TransportAddress(host, port)
    written = write(data, address, transaction_id, room)
    assert written is not None
    message = decode(written)
    assert message.method == Method.DATA
    assert message.message_class == MessageClass.INDICATION
    assert message.get(XOR_PEER_ADDRESS) == address
    assert message.get(DATA) == data
    assert int.from_bytes(message.transaction_id) == (transaction_id + 1) % (1 << 96)


def test_bytes() -> None:
    written = write(b"hello", TransportAddress("192.0.2.1", 32853), 0xB7E7A701BC34D686FA87DFAD)
    assert written == bytes.fromhex(
        "0017 0018 2112a442 b7e7a701bc34d686fa87dfae"
        "0012 0008 0001 a147 e112a643"  # the address is that of RFC 5769 section 2.2
        "0013 0005 68656c6c6f 000000"
    )


def test_longest() -> None:
    written = write(bytes(LARGEST), TransportAddress("192.0.2.1", 1))
    assert written is not None
    assert decode(written).get(DATA) == bytes(LARGEST)
    assert write(bytes(65532 - 28), TransportAddress("2001:db8::1", 1)) is not None
    assert write(bytes(65532 - 27), TransportAddress("2001:db8::1", 1)) is None
