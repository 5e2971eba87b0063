"""Framing: the same messages however the stream is cut, and streams that are neither."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stun.vector import IPV4_RESPONSE, LONG_TERM_REQUEST, REQUEST
from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import channeldata
from tornado_webrtc.stun.framing import MAX_BYTES, Framer, Kind, classify

anything = settings(deadline=None, database=None)

BARE = bytes.fromhex("00010000 2112a442 000102030405060708090a0b")

stun_messages = st.sampled_from([REQUEST, IPV4_RESPONSE, LONG_TERM_REQUEST, BARE])
channel_data = st.builds(
    lambda number, data: channeldata.encode(number, data, pad=False),
    st.integers(channeldata.MIN_CHANNEL, channeldata.MAX_CHANNEL),
    st.binary(max_size=40),
)
messages = st.lists(stun_messages | channel_data, max_size=8)
cuts = st.lists(st.integers(0, 600), max_size=12)


def padded(frame: bytes) -> bytes:
    return frame + bytes(-len(frame) % 4)


def pieces(stream: bytes, at: Iterable[int]) -> list[bytes]:
    ends = sorted({min(each, len(stream)) for each in at} | {len(stream)})
    return [stream[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def outcome(parts: Iterable[bytes]) -> list[bytes] | None:
    """Return what comes out of a stream, None if it is refused."""
    framer = Framer()
    found: list[bytes] = []
    try:
        for part in parts:
            found += framer.feed(part)
    except DecodeError:
        return None
    return found


# --- messages ----------------------------------------------------------------


def test_messages_of_both_kinds_come_out_without_padding() -> None:
    frames = [REQUEST, b"\x40\x00\x00\x05hello", b"\x40\x01\x00\x00", LONG_TERM_REQUEST]
    stream = REQUEST + b"\x40\x00\x00\x05hello\0\0\0" + b"\x40\x01\x00\x00" + LONG_TERM_REQUEST
    assert Framer().feed(stream) == frames


def test_every_byte_alone() -> None:
    stream = padded(b"\x40\x00\x00\x05hello") + REQUEST + b"\x7f\xfe\0\0"
    framer = Framer()
    found = [framer.feed(stream[at : at + 1]) for at in range(len(stream))]
    assert [frames for frames in found if frames] == [
        [b"\x40\x00\x00\x05hello"],
        [REQUEST],
        [b"\x7f\xfe\0\0"],
    ]
    assert found[11] == [b"\x40\x00\x00\x05hello"]


def test_nothing_comes_of_nothing() -> None:
    framer = Framer()
    assert framer.feed(b"") == []
    assert framer.feed(b"\x40\0") == []
    assert framer.feed(b"") == []
    assert framer.feed(b"\0\0") == [b"\x40\0\0\0"]


def test_longest_messages() -> None:
    longest = bytes.fromhex("0001fffc 2112a442") + bytes(12 + 0xFFFC)
    data = channeldata.encode(0x4000, bytes(0xFFFF), pad=False)
    stream = longest + padded(data)
    assert outcome([stream]) == [longest, data]
    assert outcome(pieces(stream, range(0, len(stream), 1460))) == [longest, data]


def test_long_message_in_short_pieces() -> None:
    data = channeldata.encode(0x4000, bytes(0xFFFF), pad=False)
    assert outcome(pieces(padded(data), range(0xFFFF))) == [data]


@anything
@given(messages, cuts)
def test_cuts_make_no_difference(frames: list[bytes], at: list[int]) -> None:
    stream = b"".join(map(padded, frames))
    assert outcome([stream]) == frames
    assert outcome(pieces(stream, at)) == frames


@anything
@given(messages, st.binary(max_size=80), cuts)
def test_nor_do_they_for_what_is_no_message(
    frames: list[bytes], rest: bytes, at: list[int]
) -> None:
    stream = b"".join(map(padded, frames)) + rest
    assert outcome(pieces(stream, at)) == outcome([stream])


# --- what is too long --------------------------------------------------------

LIMIT = 100


def long_stun(size: int) -> bytes:
    return bytes.fromhex("0001") + (size - 20).to_bytes(2) + BARE[4:] + bytes(size - 20)


def long_channel_data(size: int) -> bytes:
    return channeldata.encode(0x4000, bytes(size - 4), pad=False)


@pytest.mark.parametrize("make", [long_stun, long_channel_data])
def test_limit(make: Callable[[int], bytes]) -> None:
    framer = Framer(LIMIT)
    assert framer.feed(make(LIMIT)) == [make(LIMIT)]
    with pytest.raises(DecodeError, match="a message of 104 bytes, the most is 100"):
        framer.feed(make(LIMIT + 4))
    with pytest.raises(DecodeError, match="the most is 100"):
        framer.feed(BARE)


@pytest.mark.parametrize("make", [long_stun, long_channel_data])
def test_length_says_it_before_anything_is_kept(make: Callable[[int], bytes]) -> None:
    framer = Framer(LIMIT)
    with pytest.raises(DecodeError, match="the most is 100"):
        framer.feed(make(LIMIT + 4)[:4])
    assert not framer._buffer


def test_padding_does_not_count() -> None:
    frame = long_channel_data(LIMIT + 1)
    assert Framer(LIMIT + 1).feed(padded(frame)) == [frame]


def test_limit_may_be_raised() -> None:
    framer = Framer(LIMIT)
    assert framer.feed(BARE + BARE[:10]) == [BARE]
    framer.max_bytes = MAX_BYTES
    longest = long_stun(MAX_BYTES)
    assert framer.feed(BARE[10:] + longest) == [BARE, longest]


# --- neither STUN nor ChannelData --------------------------------------------


@pytest.mark.parametrize(
    "stream",
    [
        b"\x16\x03\x01\x02\x00\x01",
        bytes.fromhex("80600001 00000000"),
        bytes.fromhex("10000000"),
        bytes.fromhex("04010000 2112a442"),
        bytes.fromhex("7fff0000"),
        bytes.fromhex("00010001 2112a442"),
        bytes.fromhex("00010002"),
        bytes.fromhex("00010000 20"),
        bytes.fromhex("00010000 2112a443"),
        bytes.fromhex("00010000 2112a443 000102030405060708090a0b"),
    ],
)
def test_other_streams_are_refused_for_good(stream: bytes) -> None:
    framer = Framer()
    with pytest.raises(DecodeError) as raised:
        framer.feed(REQUEST + stream)
    with pytest.raises(DecodeError, match=str(raised.value)):
        framer.feed(REQUEST)


def test_wrong_cookie_is_seen_as_soon_as_it_is_there() -> None:
    framer = Framer()
    assert framer.feed(bytes.fromhex("0001fffc")) == []
    assert framer.feed(bytes.fromhex("2112a4")) == []
    with pytest.raises(DecodeError, match="magic cookie 2112a443"):
        framer.feed(b"\x43")


# --- first bytes -------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (range(4), Kind.STUN),
        (range(4, 16), Kind.UNKNOWN),
        (range(16, 20), Kind.ZRTP),
        (range(20, 64), Kind.DTLS),
        (range(64, 128), Kind.CHANNEL_DATA),
        (range(128, 192), Kind.RTP),
        (range(192, 256), Kind.UNKNOWN),
    ],
)
def test_first_byte_says_what_it_is(numbers: range, kind: Kind) -> None:
    assert {classify(each) for each in numbers} == {kind}
