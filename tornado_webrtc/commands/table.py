"""Aligned columns for people: no wider than a screen, and nothing in them steers the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence

from tornado_webrtc.commands.words import cut, plain, width

__all__ = ["MAX_WIDTH", "columns", "screen_width", "table"]

GAP = "  "
MIN_WIDTH = 80
MAX_WIDTH = 100
MIN_COLUMN_WIDTH = 8


def screen_width() -> int:
    """What a line may take: the terminal's width, within limits; without one, the most."""
    return min(max(MIN_WIDTH, shutil.get_terminal_size((MAX_WIDTH, 24)).columns), MAX_WIDTH)


def columns(rows: Iterable[Sequence[object]], max_width: int = 0) -> str:
    """Align the cells of all rows; the last cell of a row is never padded.

    Args:
        rows: The cells, in order.
        max_width: What a line may take; the widest columns are cut for it. 0 cuts nothing.
    """
    texts = [[plain(cell) for cell in row] for row in rows]
    count = max(map(len, texts), default=0)
    widths = [
        max((width(row[at]) for row in texts if at < len(row)), default=0) for at in range(count)
    ]
    if max_width:
        _narrow(widths, max_width - len(GAP) * (count - 1))
    return "\n".join(
        GAP.join(_fitted(cell, each) for cell, each in zip(row, widths, strict=False)).rstrip()
        for row in texts
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], max_width: int = 0) -> str:
    """Align rows below their headings."""
    return columns([[heading.upper() for heading in headings], *rows], max_width)


def _narrow(widths: list[int], total: int) -> None:
    """Take from the widest column, again and again, until all fit."""
    while sum(widths) > total:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= MIN_COLUMN_WIDTH:
            return
        widths[widest] -= 1


def _fitted(cell: str, columns_wide: int) -> str:
    text = cut(cell, columns_wide)
    return text + " " * (columns_wide - width(text))
