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
        *[
            (shown, shown)
            for shown in (
                "team \u2764\ufe0f",
                "1\ufe0f\u20e3",
                "\u203c\ufe0f",
                "\u2139\ufe0f",
                "\U0001f469\U0001f3fd\u200d\U0001f52c",
                "\u2764\ufe0f\u200d\U0001f525",
                "\U0001f642\u200d\u2194\ufe0f",
                "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
                "\u0645\u064f\u200c\u0646",
                "\u0915\u094d\u200d\u0937",
                "\u0915\u094d\u200c\u0937",
                "\u0d28\u0d4d\u200d",
                "\ud55c\uae00",
            )
        ],
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
        *[(blank, "invisible") for blank in "\u200d\u200c\u3164\u115f\u1160\uffa0\u2800\ufe0f"],
        *[(f"board{blank}", "invisible") for blank in "\u034f\ufe00\ufe0f\u200d\u200c\U000e0100"],
        *[(f"{blank}x", "invisible") for blank in "\u180b\u180d\u180f\u200c\u200d"],
        *[(f"x{blank}y", "invisible") for blank in "\u17b4\u17b5\ufe0f\u200c\u200d"],
        ("1\ufe0f", "invisible"),
        ("\u2764\ufe0f\ufe0f", "invisible"),
        ("\U0001f469\u200d", "invisible"),
        ("\U0001f469\u200d\u200d\U0001f52c", "invisible"),
        ("\u0646\u200c", "invisible"),
        ("#\u200d*", "invisible"),
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
