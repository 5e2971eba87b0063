"""Transport addresses: what they are equal to, and their bytes."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stun.vector import TRANSACTION_ID
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun.address import (
    IPV4,
    IPV6,
    FiveTuple,
    TransportAddress,
    decode_address,
    decode_xor_address,
    encode_address,
    encode_xor_address,
)

anything = settings(deadline=None, database=None)

V4 = TransportAddress("192.0.2.1", 32853)
V6 = TransportAddress("2001:db8:1234:5678:11:2233:4455:6677", 32853)

# Address, plain value, XORed value; the XORed ones are those of RFC 5769.
PAIRS = [
    (V4, bytes.fromhex("00018055 c0000201"), bytes.fromhex("0001a147 e112a643")),
    (
        V6,
        bytes.fromhex("00028055 20010db8 12345678 00112233 44556677"),
        bytes.fromhex("0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"),
    ),
]

MALFORMED = [
    b"",
    b"\0",
    b"\0\1",
    bytes.fromhex("00018055 c00002"),
    bytes.fromhex("00018055 c0000201 00"),
    bytes.fromhex("00018055 20010db8 12345678 00112233 44556677"),
    bytes.fromhex("00028055 c0000201"),
    bytes.fromhex("00028055 20010db8 12345678 00112233 445566"),
    bytes.fromhex("00008055 c0000201"),
    bytes.fromhex("00038055 c0000201"),
]

addresses = st.builds(
    TransportAddress, st.ip_addresses().map(str), st.integers(min_value=0, max_value=0xFFFF)
)
transaction_ids = st.binary(min_size=12, max_size=12)


def test_families() -> None:
    assert (V4.family, V6.family) == (IPV4, IPV6) == (1, 2)


def test_address_alone() -> None:
    assert V4.packed == b"\xc0\0\2\1"
    assert V6.packed == ipaddress.ip_address(V6.host).packed


def test_text_has_brackets_around_ipv6_only() -> None:
    assert str(V4) == "192.0.2.1:32853"
    assert str(V6) == "[2001:db8:1234:5678:11:2233:4455:6677]:32853"


@pytest.mark.parametrize(
    ("transport", "is_stream"), [("udp", False), ("dtls", False), ("tcp", True), ("tls", True)]
)
def test_stream_transports(transport: str, is_stream: bool) -> None:
    assert FiveTuple(transport, V4, V6).is_stream is is_stream


def test_five_tuples_of_other_transports_differ() -> None:
    assert len({FiveTuple("udp", V4, V6), FiveTuple("tcp", V4, V6), FiveTuple("udp", V4, V6)}) == 2


@pytest.mark.parametrize(("address", "plain", "_"), PAIRS)
def test_plain_address(address: TransportAddress, plain: bytes, _: bytes) -> None:
    assert encode_address(address) == plain
    assert decode_address(plain) == address


@pytest.mark.parametrize(("address", "_", "xored"), PAIRS)
def test_xored_address(address: TransportAddress, _: bytes, xored: bytes) -> None:
    assert encode_xor_address(address, TRANSACTION_ID) == xored
    assert decode_xor_address(xored, TRANSACTION_ID) == address


def test_reserved_byte_is_ignored() -> None:
    assert decode_address(bytes.fromhex("ff018055 c0000201")) == V4
    assert decode_xor_address(bytes.fromhex("ff01a147 e112a643"), TRANSACTION_ID) == V4


def test_family_is_kept_as_it_was_sent() -> None:
    mapped = decode_address(bytes.fromhex("00020000 00000000 00000000 0000ffff c0000201"))
    assert mapped.family == IPV6
    assert mapped.packed == bytes.fromhex("00000000 00000000 0000ffff c0000201")


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_address_is_refused(value: bytes) -> None:
    with pytest.raises(DecodeError, match="address"):
        decode_address(value)
    with pytest.raises(DecodeError, match="address"):
        decode_xor_address(value, TRANSACTION_ID)


@pytest.mark.parametrize("port", [-1, 0x10000])
def test_port_out_of_range_is_the_callers_mistake(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port} is not between 0 and 65535"):
        encode_address(TransportAddress("192.0.2.1", port))
    with pytest.raises(ValueError, match=f"port {port} is not between 0 and 65535"):
        encode_xor_address(TransportAddress("192.0.2.1", port), TRANSACTION_ID)


def test_host_that_is_a_name_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="example"):
        encode_address(TransportAddress("example.org", 1))
    with pytest.raises(ValueError, match="example"):
        encode_xor_address(TransportAddress("example.org", 1), TRANSACTION_ID)


@anything
@given(addresses, transaction_ids)
def test_what_is_encoded_is_decoded(address: TransportAddress, transaction_id: bytes) -> None:
    assert decode_address(encode_address(address)) == address
    xored = encode_xor_address(address, transaction_id)
    assert decode_xor_address(xored, transaction_id) == address


@anything
@given(st.binary(max_size=24))
def test_equal_addresses_are_equal_texts(value: bytes) -> None:
    try:
        address = decode_address(value)
    except DecodeError:
        return
    assert str(ipaddress.ip_address(address.host)) == address.host
