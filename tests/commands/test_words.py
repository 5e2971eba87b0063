"""Durations, sizes and strangers' texts: as people read and write them."""

import os
import time
import unicodedata

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.commands.words import (
    DURATION,
    cut,
    duration,
    moment,
    plain,
    size,
    unescaped,
    width,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (0.34, "0.3 s"),
        (9.99, "10.0 s"),
        (10.7, "10 s"),
        (60, "1 min"),
        (61.5, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (11520, "3 h 12 min"),
        (86400, "1 d"),
        (86400 * 400 + 7200, "400 d 2 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (10**19, "10000 PB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5h", 5400),
        (" 10m ", 600),
        ("2d", 172800),
        ("1w", 604800),
        (7, 7),
    ],
)
def test_written_duration(text: object, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e9", "10 min", "1y", "9" * 10, "∞"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration: write 90"):
        DURATION.convert(text, None, None)


def test_moment() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TZ", "UTC")
        time.tzset()
        assert moment(1_800_000_000) == "2027-01-15 08:00:00 UTC"
    time.tzset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Anna Köln 山田 🎉", "Anna Köln 山田 🎉"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\nb\rc\td", r"a\x0ab\x0dc\x09d"),
        ("CORP\\nick", r"CORP\\nick"),
        ("\U000e0041", r"\U000e0041"),
        ("\u202eevil", r"\u202eevil"),
        ("\x9b1m", r"\x9b1m"),
        (7, "7"),
    ],
)
def test_nothing_steers_the_terminal(text: object, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_plain_text_is_printable(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cf"}]


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\\xuU0041\u200b")))
def test_what_is_shown_can_be_typed_in(text: str) -> None:
    assert unescaped(plain(text)) == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (r"tr\u200boll", "tr\u200boll"),
        (r"\x1b[2J", "\x1b[2J"),
        (r"CORP\nick", r"CORP\nick"),
        (r"CORP\\nick", r"CORP\nick"),
        (r"\ud83c\udf89", "🎉"),
        (r"\xZZ\u12", r"\xZZ\u12"),
        (r"\Uffffffff", r"\Uffffffff"),
    ],
)
def test_what_is_typed(typed: str, meant: str) -> None:
    assert unescaped(typed) == meant


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("山田太郎", 8, "山田太郎"),
        ("山田太郎", 7, "山田太…"),
        ("山田太郎", 6, "山田…"),
        ("e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_cut(text: str, columns: int, shown: str) -> None:
    assert cut(text, columns) == shown


@given(st.text(), st.integers(1, 40))
def test_cut_text_fits(text: str, columns: int) -> None:
    assert width(cut(plain(text), columns)) <= columns
