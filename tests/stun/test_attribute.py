"""Attributes: the number and the wire form of each, and that no bytes surprise a decoder."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stun.vector import TRANSACTION_ID
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import attribute
from tornado_webrtc.stun.address import TransportAddress
from tornado_webrtc.stun.attribute import (
    KNOWN,
    AddressErrorCode,
    Attribute,
    ChangeRequest,
    ErrorCode,
    Icmp,
    PasswordAlgorithm,
)

anything = settings(deadline=None, database=None)

V4 = TransportAddress("192.0.2.1", 32853)
V6 = TransportAddress("2001:db8:1234:5678:11:2233:4455:6677", 32853)
PLAIN_V4 = "00018055 c0000201"
PLAIN_V6 = "00028055 20010db8 12345678 00112233 44556677"
XOR_V4 = "0001a147 e112a643"
XOR_V6 = "0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"

# Number, name, value, its bytes.
WIRE: list[tuple[int, str, Any, str]] = [
    (0x0001, "MAPPED-ADDRESS", V4, PLAIN_V4),
    (0x0001, "MAPPED-ADDRESS", V6, PLAIN_V6),
    (0x0003, "CHANGE-REQUEST", ChangeRequest(ip=True, port=False), "00000004"),
    (0x0003, "CHANGE-REQUEST", ChangeRequest(ip=False, port=True), "00000002"),
    (0x0003, "CHANGE-REQUEST", ChangeRequest(ip=True, port=True), "00000006"),
    (0x0006, "USERNAME", "1700000000:J\u00fcrgen", "31373030303030303030 3a 4a c3bc 7267656e"),
    (0x0006, "USERNAME", "x" * 512, "78" * 512),
    (0x0008, "MESSAGE-INTEGRITY", bytes(range(20)), bytes(range(20)).hex()),
    (0x0009, "ERROR-CODE", ErrorCode(401), "00000401"),
    (0x0009, "ERROR-CODE", ErrorCode(699, "no"), "00000663 6e6f"),
    (0x0009, "ERROR-CODE", ErrorCode(300, "x" * 127), "00000300" + "78" * 127),
    (0x000A, "UNKNOWN-ATTRIBUTES", (0x7FFF, 0x0002), "7fff0002"),
    (0x000C, "CHANNEL-NUMBER", 0x4001, "40010000"),
    (0x000D, "LIFETIME", 600, "00000258"),
    (0x000D, "LIFETIME", 0xFFFFFFFF, "ffffffff"),
    (0x0012, "XOR-PEER-ADDRESS", V4, XOR_V4),
    (0x0012, "XOR-PEER-ADDRESS", V6, XOR_V6),
    (0x0013, "DATA", b"", ""),
    (0x0013, "DATA", b"hello", "68656c6c6f"),
    (0x0014, "REALM", "example.org", "6578616d706c652e6f7267"),
    (0x0014, "REALM", "\U0001f600" * 127, "f09f9880" * 127),
    (0x0015, "NONCE", "obMatJos2AAAC", "6f624d61744a6f7332414141 43"),
    (0x0016, "XOR-RELAYED-ADDRESS", V4, XOR_V4),
    (0x0016, "XOR-RELAYED-ADDRESS", V6, XOR_V6),
    (0x0017, "REQUESTED-ADDRESS-FAMILY", 2, "02000000"),
    (0x0018, "EVEN-PORT", True, "80"),
    (0x0018, "EVEN-PORT", False, "00"),
    (0x0019, "REQUESTED-TRANSPORT", 17, "11000000"),
    (0x001A, "DONT-FRAGMENT", True, ""),
    (0x001B, "ACCESS-TOKEN", b"\0\1", "0001"),
    (0x001C, "MESSAGE-INTEGRITY-SHA256", bytes(range(32)), bytes(range(32)).hex()),
    (0x001C, "MESSAGE-INTEGRITY-SHA256", bytes(range(16)), bytes(range(16)).hex()),
    (0x001D, "PASSWORD-ALGORITHM", PasswordAlgorithm(2), "00020000"),
    (0x001D, "PASSWORD-ALGORITHM", PasswordAlgorithm(9, b"abcde"), "00090005 6162636465 000000"),
    (0x001E, "USERHASH", bytes(range(32)), bytes(range(32)).hex()),
    (0x0020, "XOR-MAPPED-ADDRESS", V4, XOR_V4),
    (0x0020, "XOR-MAPPED-ADDRESS", V6, XOR_V6),
    (0x0022, "RESERVATION-TOKEN", b"12345678", "3132333435363738"),
    (0x0024, "PRIORITY", 0x6E0001FF, "6e0001ff"),
    (0x0025, "USE-CANDIDATE", True, ""),
    (0x0026, "PADDING", bytes(3), "000000"),
    (0x0027, "RESPONSE-PORT", 3478, "0d960000"),
    (0x002A, "CONNECTION-ID", 0x01020304, "01020304"),
    (0x8000, "ADDITIONAL-ADDRESS-FAMILY", 2, "02000000"),
    (0x8001, "ADDRESS-ERROR-CODE", AddressErrorCode(2, 440, "no"), "02000428 6e6f"),
    (
        0x8002,
        "PASSWORD-ALGORITHMS",
        (PasswordAlgorithm(2), PasswordAlgorithm(9, b"a"), PasswordAlgorithm(1)),
        "00020000 00090001 61000000 00010000",
    ),
    (0x8003, "ALTERNATE-DOMAIN", "turn.example.org", "7475726e2e6578616d706c652e6f7267"),
    (0x8004, "ICMP", Icmp(3, 4, 1280), "00000604 00000500"),
    (0x8004, "ICMP", Icmp(127, 511), "0000ffff 00000000"),
    (0x8022, "SOFTWARE", "test vector", "7465737420766563746f72"),
    (0x8023, "ALTERNATE-SERVER", V4, PLAIN_V4),
    (0x8028, "FINGERPRINT", 0xE57A3BCF, "e57a3bcf"),
    (0x8029, "ICE-CONTROLLED", 0x932FF9B151263B36, "932ff9b151263b36"),
    (0x802A, "ICE-CONTROLLING", 1, "0000000000000001"),
    (0x802B, "RESPONSE-ORIGIN", V4, PLAIN_V4),
    (0x802C, "OTHER-ADDRESS", V6, PLAIN_V6),
    (0x802E, "THIRD-PARTY-AUTHORIZATION", "as.example.org", "61732e6578616d706c652e6f7267"),
    (0x8030, "MOBILITY-TICKET", b"", ""),
    (0x8030, "MOBILITY-TICKET", b"ticket", "7469636b6574"),
]

every_attribute = pytest.mark.parametrize("known", KNOWN.values(), ids=str)


@pytest.mark.parametrize(("code", "name", "value", "wire"), WIRE)
def test_wire_form(code: int, name: str, value: Any, wire: str) -> None:
    known = KNOWN[code]
    assert str(known) == known.name == name
    assert getattr(attribute, name.replace("-", "_")) is known
    assert known.encode(value, TRANSACTION_ID) == bytes.fromhex(wire)
    assert known.decode(bytes.fromhex(wire), TRANSACTION_ID) == value


def test_every_attribute_has_its_wire_form_in_the_table() -> None:
    assert {code for code, *_ in WIRE} == set(KNOWN)
    constants = [each for each in vars(attribute).values() if isinstance(each, Attribute)]
    assert {each.code: each for each in constants} == KNOWN
    assert {each.name.replace("-", "_") for each in constants} <= set(attribute.__all__)


@every_attribute
@anything
@given(st.binary(max_size=48), st.binary(min_size=12, max_size=12))
def test_decoders_raise_nothing_but_decode_errors(
    known: Attribute[Any], value: bytes, transaction_id: bytes
) -> None:
    try:
        decoded = known.decode(value, transaction_id)
    except DecodeError:
        return
    again = known.decode(known.encode(decoded, transaction_id), transaction_id)
    assert again == decoded


@every_attribute
@pytest.mark.parametrize("size", [127, 128, 255, 256, 512, 513, 763, 764, 65535])
def test_nor_do_they_for_long_values(known: Attribute[Any], size: int) -> None:
    for value in (b"x" * size, b"\xc3\xbc" * (size // 2), bytes(size)):
        try:
            known.decode(value, TRANSACTION_ID)
        except DecodeError:
            continue
