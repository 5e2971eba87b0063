"""Columns align, fit a screen, and hold nothing that steers the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_webrtc.commands.table import MAX_WIDTH, columns, screen_width, table
from tornado_webrtc.commands.words import width


def test_columns_align() -> None:
    assert columns([["a", 1, "last"], ["long", 20, ""], ["b"]]) == "a     1   last\nlong  20\nb"


def test_wide_characters_align() -> None:
    assert columns([["山田", "x"], ["abcd", "y"]]) == "山田  x\nabcd  y"


def test_headings() -> None:
    assert table(["id", "name"], [["1", "Ann"]]) == "ID  NAME\n1   Ann"


def test_nothing() -> None:
    assert columns([]) == ""
    assert table(["id"], []) == "ID"


def test_the_widest_column_is_cut() -> None:
    shown = table(["id", "name", "age"], [["1", "x" * 200, "2 s"]], 40)
    assert shown == f"ID  {'NAME':<31}  AGE\n1   {'x' * 30}…  2 s"


def test_what_cannot_fit_stays_legible() -> None:
    assert columns([["123456789"] * 4], 10) == "  ".join(["1234567…"] * 4)


def test_nothing_steers_the_terminal() -> None:
    assert columns([["\x1b[2J", "a\nb"]]) == r"\x1b[2J  a\x0ab"


@pytest.mark.parametrize(("terminal", "used"), [(40, 80), (80, 80), (93, 93), (200, 100)])
def test_width_is_that_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: int, used: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    assert screen_width() == used


@pytest.mark.parametrize("max_width", [60, MAX_WIDTH])
@given(rows=st.lists(st.lists(st.text(max_size=120), min_size=1, max_size=6), max_size=5))
def test_every_line_fits(max_width: int, rows: list[list[str]]) -> None:
    lines = columns(rows, max_width).split("\n")
    assert len(lines) == max(1, len(rows))
    assert all(width(line) <= max_width for line in lines)
