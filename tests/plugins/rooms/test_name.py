"""One spelling for each room, and none for what nobody could see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.plugins.rooms.name import MAX_NAME_LENGTH, BadNameError, room_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("blue", "blue"),
        ("Blue", "Blue"),
        ("  blue room\t", "blue room"),
        ("caf\u0065\u0301", "caf\u00e9"),
        ("\u212b", "\u00c5"),
        ("x" * MAX_NAME_LENGTH, "x" * MAX_NAME_LENGTH),
        ("e\u0301" * MAX_NAME_LENGTH, "\u00e9" * MAX_NAME_LENGTH),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("a/b?c#d%20-\u00a0[*]", "a/b?c#d%20-\u00a0[*]"),
        ("..", ".."),
    ],
)
def test_spelling(written: str, name: str) -> None:
    assert room_name(written) == name


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "empty"),
        (" \t\n ", "empty"),
        ("x" * (MAX_NAME_LENGTH + 1), f"at most {MAX_NAME_LENGTH} characters"),
        ("e\u0301" * 60_000, f"at most {MAX_NAME_LENGTH} characters"),
        ("a\nb", "control characters"),
        ("a\x00b", "control characters"),
        ("a\u202eb", "invisible"),
        ("a\u200bb", "invisible"),
        ("a\ud800b", "invisible"),
        ("a\u2028b", "invisible"),
        ("\ufeffblue", "invisible"),
    ],
)
def test_no_name(written: str, fault: str) -> None:
    with pytest.raises(BadNameError, match=fault):
        room_name(written)


@given(st.text(max_size=300))
def test_spelling_is_the_last_one(written: str) -> None:
    try:
        name = room_name(written)
    except BadNameError:
        return
    assert room_name(name) == name
    assert 1 <= len(name) <= MAX_NAME_LENGTH
