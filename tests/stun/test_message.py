"""Messages: the RFCs' samples, what is refused, what is ignored, and any bytes at all."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stun import vector
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import TransportAddress
from tornado_webrtc.stun.attribute import (
    CHANNEL_NUMBER,
    DATA,
    DONT_FRAGMENT,
    ERROR_CODE,
    FINGERPRINT,
    ICE_CONTROLLED,
    KNOWN,
    LIFETIME,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    NONCE,
    PASSWORD_ALGORITHM,
    PRIORITY,
    REALM,
    SOFTWARE,
    UNKNOWN_ATTRIBUTES,
    USERHASH,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    Attribute,
    ErrorCode,
)
from tornado_webrtc.stun.integrity import (
    SHA_256,
    append_fingerprint,
    append_integrity,
    long_term_key,
    verify_integrity,
)
from tornado_webrtc.stun.message import (
    Message,
    MessageClass,
    Method,
    decode,
    encode,
    is_stun,
)

anything = settings(deadline=None, database=None)

ID = bytes(range(12))
REQUEST = MessageClass.REQUEST

V4 = TransportAddress("192.0.2.1", 32853)
V6 = TransportAddress("2001:db8:1234:5678:11:2233:4455:6677", 32853)


def message(body: str, kind: str = "0003", length: int | None = None) -> bytes:
    """Return a message with these attributes, in hexadecimal."""
    attributes = bytes.fromhex(body)
    size = len(attributes) if length is None else length
    return bytes.fromhex(kind) + size.to_bytes(2) + bytes.fromhex("2112a442") + ID + attributes


def values(decoded: Message, *attributes: Attribute[Any]) -> list[Any]:
    return [decoded.get(each) for each in attributes]


# --- samples of RFC 5769 and RFC 8489 ----------------------------------------


def test_sample_request() -> None:
    decoded = decode(vector.REQUEST)
    assert (decoded.method, decoded.message_class) == (Method.BINDING, MessageClass.REQUEST)
    assert decoded.transaction_id == vector.TRANSACTION_ID
    assert decoded.raw == vector.REQUEST
    assert values(decoded, SOFTWARE, PRIORITY, ICE_CONTROLLED, USERNAME, FINGERPRINT) == [
        *("STUN test client", 0x6E0001FF, 0x932FF9B151263B36, "evtj:h6vY", 0xE57A3BCF)
    ]
    assert decoded.unknown_comprehension_required(KNOWN) == ()


@pytest.mark.parametrize(
    ("raw", "address"), [(vector.IPV4_RESPONSE, V4), (vector.IPV6_RESPONSE, V6)]
)
def test_sample_responses(raw: bytes, address: TransportAddress) -> None:
    decoded = decode(raw)
    assert (decoded.method, decoded.message_class) == (Method.BINDING, MessageClass.SUCCESS)
    assert values(decoded, SOFTWARE, XOR_MAPPED_ADDRESS) == ["test vector", address]


def test_sample_request_with_long_term_authentication() -> None:
    decoded = decode(vector.LONG_TERM_REQUEST)
    found = values(decoded, USERNAME, NONCE, REALM)
    assert found == [vector.USERNAME, vector.LONG_TERM_NONCE, vector.REALM]
    key = long_term_key(vector.USERNAME, vector.REALM, vector.LONG_TERM_PASSWORD)
    assert verify_integrity(decoded, key)
    attributes = [
        (USERNAME, vector.USERNAME),
        (NONCE, vector.LONG_TERM_NONCE),
        (REALM, vector.REALM),
    ]
    made = encode(Method.BINDING, REQUEST, vector.LONG_TERM_ID, attributes, key=key)
    assert made == vector.LONG_TERM_REQUEST


def test_sample_request_with_sha256_and_userhash() -> None:
    decoded = decode(vector.SHA256_REQUEST)
    found = values(decoded, USERHASH, NONCE, REALM, PASSWORD_ALGORITHM)
    assert found == [vector.USERHASH, vector.SHA256_NONCE, vector.REALM, SHA_256]
    key = long_term_key(vector.USERNAME, vector.REALM, vector.LONG_TERM_PASSWORD, SHA_256)
    made = encode(
        Method.BINDING,
        REQUEST,
        vector.LONG_TERM_ID,
        list(zip((USERHASH, NONCE, REALM, PASSWORD_ALGORITHM), found, strict=True)),
        key=key,
        integrity=MESSAGE_INTEGRITY_SHA256,
    )
    assert made == vector.SHA256_REQUEST


# --- types -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "message_class", "kind"),
    [
        (Method.BINDING, MessageClass.REQUEST, "0001"),
        (Method.BINDING, MessageClass.ERROR, "0111"),
        (Method.ALLOCATE, MessageClass.REQUEST, "0003"),
        (Method.ALLOCATE, MessageClass.SUCCESS, "0103"),
        (Method.ALLOCATE, MessageClass.ERROR, "0113"),
        (Method.REFRESH, MessageClass.REQUEST, "0004"),
        (Method.SEND, MessageClass.INDICATION, "0016"),
        (Method.DATA, MessageClass.INDICATION, "0017"),
        (Method.CREATE_PERMISSION, MessageClass.REQUEST, "0008"),
        (Method.CHANNEL_BIND, MessageClass.REQUEST, "0009"),
        (Method.CONNECT, MessageClass.REQUEST, "000a"),
        (Method.CONNECTION_BIND, MessageClass.SUCCESS, "010b"),
        (Method.CONNECTION_ATTEMPT, MessageClass.INDICATION, "001c"),
        (0x0FF, MessageClass.REQUEST, "02ef"),
        (0x0FF, MessageClass.ERROR, "03ff"),
        (0x080, MessageClass.REQUEST, "0200"),
        (0x040, MessageClass.REQUEST, "0080"),
    ],
)
def test_type_interleaves_method_and_class(
    method: int, message_class: MessageClass, kind: str
) -> None:
    raw = message("", kind)
    assert encode(method, message_class, ID) == raw
    decoded = decode(raw)
    assert (decoded.method, decoded.message_class) == (method, message_class)


def test_repr_names_what_is_in_it() -> None:
    raw = message("00190004 11000000 80220000")
    assert repr(decode(raw)) == "<Message 0x003 REQUEST 0x0019 0x8022>"


# --- attributes --------------------------------------------------------------


def test_attributes_that_are_not_there() -> None:
    decoded = decode(message(""))
    assert decoded.get(LIFETIME) is None
    assert decoded.get_all(LIFETIME) == []
    assert not decoded.has(LIFETIME)
    assert decoded.place(LIFETIME) is None


def test_of_several_the_first_counts() -> None:
    decoded = decode(message("000d0004 00000001 001a0000 000d0004 00000002"))
    assert decoded.get(LIFETIME) == 1
    assert decoded.get_all(LIFETIME) == [1, 2]
    assert decoded.has(DONT_FRAGMENT)
    assert decoded.place(LIFETIME) == (24, 4)


def test_malformed_value_is_noticed_when_asked_for() -> None:
    decoded = decode(message("000d0003 00000100 000c0004 40000000"))
    assert decoded.has(LIFETIME)
    assert decoded.get(CHANNEL_NUMBER) == 0x4000
    with pytest.raises(DecodeError):
        decoded.get(LIFETIME)
    with pytest.raises(DecodeError):
        decoded.get_all(LIFETIME)


def test_padding_is_ignored() -> None:
    assert decode(message("00130001 61ffffff 00130002 6263eeee")).get_all(DATA) == [b"a", b"bc"]


def test_unknown_attributes_that_must_be_understood() -> None:
    raw = message("7fff0000 00020000 80ff0000 00020000 000d0004 00000001")
    decoded = decode(raw)
    assert decoded.unknown_comprehension_required(KNOWN) == (0x7FFF, 0x0002)
    assert decoded.unknown_comprehension_required({0x7FFF, 0x0002}) == (LIFETIME.code,)
    unknown = decoded.unknown_comprehension_required(KNOWN)
    attributes: list[tuple[Attribute[Any], Any]] = [
        (ERROR_CODE, ErrorCode(420)),
        (UNKNOWN_ATTRIBUTES, unknown),
    ]
    answer = encode(Method.ALLOCATE, MessageClass.ERROR, ID, attributes)
    assert answer == message("00090004 00000414 000a0004 7fff0002", "0113")


# --- what follows the integrity ----------------------------------------------

SHA1 = "00080014" + "00" * 20
SHA256 = "001c0020" + "00" * 32
DROPPED = "000d0004 00000001"


def codes(raw: bytes) -> list[int]:
    decoded = decode(raw)
    return [code for code in KNOWN if decoded.has(KNOWN[code])]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SHA1 + DROPPED, {MESSAGE_INTEGRITY.code}),
        (SHA256 + DROPPED, {MESSAGE_INTEGRITY_SHA256.code}),
        (SHA256 + SHA1, {MESSAGE_INTEGRITY_SHA256.code}),
        (SHA1 + SHA256 + DROPPED, {MESSAGE_INTEGRITY.code, MESSAGE_INTEGRITY_SHA256.code}),
        (SHA1 + DROPPED + SHA256, {MESSAGE_INTEGRITY.code, MESSAGE_INTEGRITY_SHA256.code}),
        (DROPPED + SHA1, {LIFETIME.code, MESSAGE_INTEGRITY.code}),
    ],
)
def test_what_follows_the_integrity_is_ignored(body: str, expected: set[int]) -> None:
    raw = message(body)
    assert set(codes(raw)) == expected
    assert set(codes(append_fingerprint(raw))) == {*expected, FINGERPRINT.code}


def test_second_integrity_does_not_count() -> None:
    raw = append_integrity(encode(Method.BINDING, REQUEST, ID, key=b"right"), b"wrong")
    decoded = decode(raw)
    assert len(decoded.get_all(MESSAGE_INTEGRITY)) == 1
    assert verify_integrity(decoded, b"right")
    assert not verify_integrity(decoded, b"wrong")


def test_unknown_attributes_after_the_integrity_are_ignored_too() -> None:
    decoded = decode(message(SHA1 + "7fff0000"))
    assert decoded.unknown_comprehension_required(KNOWN) == ()


# --- malformed messages ------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not a STUN message"),
        (message("")[:19], "not a STUN message"),
        (b"\x40" + message("")[1:], "not a STUN message"),
        (message("").replace(b"\x21\x12", b"\x21\x13"), "not a STUN message"),
        (message("", length=4), "20 bytes says that 4 follow"),
        (message("001a0000", length=0), "24 bytes says that 0 follow"),
        (message("001a00"), "23 bytes says that 3 follow"),
        (message("001a0000 00"), "25 bytes says that 5 follow"),
        (message("001a0001"), "attribute 0x001a of 1 bytes, 0 are left"),
        (message("00130005 61626364"), "attribute 0x0013 of 5 bytes, 4 are left"),
        (message("0013ffff 61626364"), "attribute 0x0013 of 65535 bytes, 4 are left"),
        (message(SHA1 + "000d0004"), "attribute 0x000d of 4 bytes, 0 are left"),
    ],
)
def test_malformed_message_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(raw)


@pytest.mark.parametrize(
    "body",
    ["80280000", "80280003 00000000", "80280008 0000000000000000"],
)
def test_fingerprint_of_another_length_is_refused(body: str) -> None:
    with pytest.raises(DecodeError, match="FINGERPRINT is not the last attribute"):
        decode(message(body))


def test_fingerprint_has_to_be_right() -> None:
    raw = vector.REQUEST
    for at in (1, 30, 104, 107):
        with pytest.raises(DecodeError, match="FINGERPRINT is wrong"):
            decode(raw[:at] + bytes([raw[at] ^ 2]) + raw[at + 1 :])


def test_fingerprint_has_to_be_last() -> None:
    raw = append_fingerprint(encode(Method.BINDING, REQUEST, ID))
    assert decode(raw).has(FINGERPRINT)
    with pytest.raises(DecodeError, match="FINGERPRINT is not the last attribute"):
        decode(append_fingerprint(raw))


# --- encoding ----------------------------------------------------------------


@pytest.mark.parametrize("size", range(9))
def test_padding_is_zero(size: int) -> None:
    raw = encode(Method.SEND, MessageClass.INDICATION, ID, [(DATA, b"x" * size)])
    assert raw[20:] == b"\0\x13\0" + bytes([size]) + b"x" * size + bytes(-size % 4)
    assert len(raw) % 4 == 0


def test_integrity_and_fingerprint_come_last() -> None:
    raw = encode(Method.REFRESH, REQUEST, ID, [(LIFETIME, 0)], key=b"k", fingerprint=True)
    assert raw[:28] == bytes.fromhex("00040028 2112a442") + ID + bytes.fromhex("000d0004 00000000")
    assert raw[28:32] == bytes.fromhex("00080014")
    assert raw[52:56] == bytes.fromhex("80280004")
    decoded = decode(raw)
    assert decoded.has(FINGERPRINT)
    assert verify_integrity(decoded, b"k")


@pytest.mark.parametrize("size", [0, 11, 13])
def test_transaction_id_of_another_length_is_the_callers_mistake(size: int) -> None:
    with pytest.raises(ValueError, match=f"a transaction id of {size} bytes, not 12"):
        encode(Method.BINDING, REQUEST, bytes(size))


def test_message_that_is_too_long_is_the_callers_mistake() -> None:
    longest = encode(Method.SEND, REQUEST, ID, [(DATA, bytes(0xFFF8))])
    assert decode(longest).get(DATA) == bytes(0xFFF8)
    with pytest.raises(ValueError, match="attributes of 65536 bytes, at most 65532"):
        encode(Method.SEND, REQUEST, ID, [(DATA, bytes(0xFFF9))])
    with pytest.raises(ValueError, match="UNKNOWN-ATTRIBUTES of 65536 bytes, at most 65535"):
        encode(Method.SEND, REQUEST, ID, [(UNKNOWN_ATTRIBUTES, [1] * 0x8000)])


# --- anything ----------------------------------------------------------------

transaction_ids = st.binary(min_size=12, max_size=12)
addresses = st.builds(TransportAddress, st.ip_addresses().map(str), st.integers(0, 0xFFFF))
pairs = st.one_of(
    st.tuples(st.just(XOR_PEER_ADDRESS), addresses),
    st.tuples(st.just(XOR_MAPPED_ADDRESS), addresses),
    st.tuples(st.just(DATA), st.binary(max_size=40)),
    st.tuples(st.just(USERNAME), st.text(max_size=40)),
    st.tuples(st.just(LIFETIME), st.integers(0, 0xFFFFFFFF)),
    st.tuples(
        st.just(ERROR_CODE), st.builds(ErrorCode, st.integers(300, 699), st.text("ab\u20ac"))
    ),
)
attribute_codes = st.sampled_from(sorted(KNOWN)) | st.integers(0, 0xFFFF)
raw_attributes = st.lists(st.tuples(attribute_codes, st.binary(max_size=40)), max_size=6)


def ask_for_everything(raw: bytes) -> None:
    """Decode a message and all its values; whatever but a DecodeError comes out passes on."""
    try:
        decoded = decode(raw)
    except DecodeError:
        return
    assert is_stun(raw)
    decoded.unknown_comprehension_required(KNOWN)
    verify_integrity(decoded, b"k", MESSAGE_INTEGRITY)
    verify_integrity(decoded, b"k", MESSAGE_INTEGRITY_SHA256)
    for known in KNOWN.values():
        for ask in (decoded.get, decoded.get_all):
            try:
                ask(known)
            except DecodeError:
                assert decoded.has(known)


@anything
@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_decode_errors(raw: bytes) -> None:
    ask_for_everything(raw)


@anything
@given(st.binary(max_size=80), st.integers(0, 0x3FFF))
def test_nor_do_bytes_after_a_header(body: bytes, kind: int) -> None:
    ask_for_everything(message(body.hex(), f"{kind:04x}"))


@anything
@given(raw_attributes, st.binary(max_size=4), st.booleans())
def test_nor_do_well_framed_attributes(
    attributes: list[tuple[int, bytes]], rest: bytes, fingerprint: bool
) -> None:
    body = b"".join(
        code.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)
        for code, value in attributes
    )
    raw = message((body + rest).hex())
    ask_for_everything(append_fingerprint(raw) if fingerprint else raw)


@anything
@given(
    st.integers(0, 0xFF),
    st.sampled_from(MessageClass),
    transaction_ids,
    st.lists(pairs, max_size=6),
    st.none() | st.binary(min_size=1, max_size=40),
    st.booleans(),
)
def test_what_is_encoded_is_decoded(
    method: int,
    message_class: MessageClass,
    transaction_id: bytes,
    attributes: list[tuple[Attribute[Any], Any]],
    key: bytes | None,
    fingerprint: bool,
) -> None:
    raw = encode(
        method, message_class, transaction_id, attributes, key=key, fingerprint=fingerprint
    )
    decoded = decode(raw)
    assert (decoded.method, decoded.message_class) == (method, message_class)
    assert (decoded.transaction_id, decoded.raw) == (transaction_id, raw)
    for attribute, _ in attributes:
        expected = [value for each, value in attributes if each is attribute]
        assert decoded.get_all(attribute) == expected
    assert decoded.has(FINGERPRINT) is fingerprint
    assert verify_integrity(decoded, key or b"k") is (key is not None)
