"""ChannelData: header, padding, and that short frames are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornado_webrtc.errors import DecodeError
from tornado_webrtc.stun import channeldata

anything = settings(deadline=None, database=None)


@pytest.mark.parametrize(
    ("number", "data", "padded"),
    [
        (0x4000, b"", "40000000"),
        (0x4001, b"a", "40010001 61000000"),
        (0x4FFF, b"ab", "4fff0002 61620000"),
        (0x5000, b"abc", "50000003 61626300"),
        (0x7FFE, b"abcd", "7ffe0004 61626364"),
    ],
)
def test_wire_form(number: int, data: bytes, padded: str) -> None:
    wire = bytes.fromhex(padded)
    bare = wire[: 4 + len(data)]
    assert channeldata.encode(number, data, pad=True) == wire
    assert channeldata.encode(number, data, pad=False) == bare
    assert channeldata.decode(wire) == (number, data)
    assert channeldata.decode(bare) == (number, data)


def test_longest_data() -> None:
    frame = channeldata.encode(0x4000, bytes(0xFFFF), pad=True)
    assert len(frame) == 4 + 0x10000
    assert channeldata.decode(frame) == (0x4000, bytes(0xFFFF))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "ChannelData of 0 bytes"),
        ("400000", "ChannelData of 3 bytes"),
        ("3fff0000", "channel number 0x3fff"),
        ("7fff0000", "channel number 0x7fff"),
        ("80000000", "channel number 0x8000"),
        ("40000001", "ChannelData of 1 bytes, 0 came"),
        ("4000ffff 00", "ChannelData of 65535 bytes, 1 came"),
    ],
)
def test_malformed_frame_is_refused(frame: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        channeldata.decode(bytes.fromhex(frame))


@pytest.mark.parametrize(("number", "size"), [(0x10000, 0), (-1, 0), (0x4000, 0x10000)])
def test_what_does_not_fit_is_the_callers_mistake(number: int, size: int) -> None:
    with pytest.raises(ValueError, match="channel"):
        channeldata.encode(number, bytes(size), pad=False)


@anything
@given(
    st.integers(channeldata.MIN_CHANNEL, channeldata.MAX_CHANNEL),
    st.binary(max_size=1500),
    st.booleans(),
)
def test_what_is_encoded_is_decoded(number: int, data: bytes, pad: bool) -> None:
    frame = channeldata.encode(number, data, pad=pad)
    assert channeldata.decode(frame) == (number, data)
    assert not any(frame[4 + len(data) :])
    assert len(frame) % 4 == 0 or not pad


@anything
@given(st.binary(max_size=64))
def test_decoder_raises_nothing_but_decode_errors(frame: bytes) -> None:
    try:
        number, data = channeldata.decode(frame)
    except DecodeError:
        return
    assert frame.startswith(channeldata.encode(number, data, pad=False))
