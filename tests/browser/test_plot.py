"""Plots on a real canvas: what is drawn, in which colours, and what it says of itself."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress

Scheme = Literal["light", "dark"]

WIDTH = 240
HEIGHT = 80
RATIO = 2
ACCENT = {"light": (0x23, 0x69, 0x7D), "dark": (0x6F, 0xBC, 0xCD)}

PREPARE = """async ({ Plot }, [capacity, label, least]) => {
  if (!document.querySelector("link")) {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = "/style.css";
    const loaded = new Promise((resolve) => { sheet.onload = resolve; });
    document.head.append(sheet);
    await loaded;
  }
  document.querySelector("canvas")?.remove();
  const canvas = document.createElement("canvas");
  canvas.style = "display: block; width: 240px; height: 80px";
  document.body.prepend(canvas);
  window.plot = new Plot(canvas, { label, unit: "ms", capacity, least });
  return [canvas.width, canvas.height];
}"""

# For each column of the canvas, how many of its pixels are nearly of one colour, and the highest.
COLUMNS = """([red, green, blue]) => {
  const canvas = document.querySelector("canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const near = (at) => data[at + 3] > 200 && Math.abs(data[at] - red) < 12
    && Math.abs(data[at + 1] - green) < 12 && Math.abs(data[at + 2] - blue) < 12;
  return Array.from({ length: width }, (_, x) => {
    const all = Array.from({ length: height }, (_, y) => y);
    const rows = all.filter((y) => near(4 * (y * width + x)));
    return [rows.length, rows[0] ?? -1];
  });
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url, device_scale_factor=RATIO) as opened:
        yield opened


@pytest.fixture(autouse=True)
def light(page: ModulePage) -> None:
    page.page.emulate_media(color_scheme="light")


def make(page: ModulePage, *values: float | None, capacity: int = 5, least: float = 0) -> list[int]:
    size: list[int] = page.run("plot", PREPARE, [capacity, "Round trip", least])
    push(page, *values)
    return size


def push(page: ModulePage, *values: float | None) -> None:
    page.page.evaluate("(values) => values.forEach((value) => window.plot.push(value))", values)


def columns(page: ModulePage, scheme: Scheme = "light") -> list[list[int]]:
    found: list[list[int]] = page.page.evaluate(COLUMNS, ACCENT[scheme])
    return found


def drawn(page: ModulePage, scheme: Scheme = "light") -> list[bool]:
    """Return for each column whether the line goes through it."""
    return [count > 0 for count, _ in columns(page, scheme)]


def label(page: ModulePage) -> str:
    return page.page.locator("canvas").get_attribute("aria-label") or ""


def test_it_has_as_many_pixels_as_the_screen(page: ModulePage) -> None:
    assert make(page) == [WIDTH * RATIO, HEIGHT * RATIO]


def test_it_fits_its_place_again_when_that_changes(page: ModulePage) -> None:
    make(page, 1, 2, 3)
    resized = page.page.evaluate("""() => {
      const canvas = document.querySelector("canvas");
      canvas.style.width = "120px";
      window.plot.resize();
      return [canvas.width, canvas.height];
    }""")
    assert resized == [120 * RATIO, HEIGHT * RATIO]
    assert any(drawn(page))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "Round trip: no value yet"),
        ([None], "Round trip: no value yet"),
        ([12], "Round trip: 12 ms, between 12 and 12 ms"),
        ([1234.56, 0.4567, 20.26], "Round trip: 20.3 ms, between 0.457 and 1235 ms"),
        ([20, 10, None], "Round trip: not known now, between 10 and 20 ms"),
        ([99, 1, 2, 3, 4, 5], "Round trip: 5 ms, between 1 and 5 ms"),
    ],
)
def test_it_says_what_it_shows(page: ModulePage, values: list[float | None], words: str) -> None:
    make(page, *values)
    assert label(page) == words
    assert page.page.locator("canvas").get_attribute("role") == "img"


def test_small_changes_look_small(page: ModulePage) -> None:
    right = (WIDTH - 4) * RATIO - 2
    heights = []
    for values, least in (([1, 2], 0), ([1, 2], 40), ([1, 40], 40), ([1, 400], 40)):
        make(page, *values, least=least)
        heights.append(columns(page)[right][1] // RATIO)
    full, small, *reached = heights
    assert full == pytest.approx(15, abs=2), "as high as the axis"
    assert small == pytest.approx(HEIGHT - 4 - 3, abs=2), "a twentieth of it"
    assert reached == pytest.approx([15, 15], abs=2), "the axis grows with the values"


def test_the_newest_value_is_at_the_right_edge(page: ModulePage) -> None:
    make(page, 1, 1)
    line = drawn(page)
    step = (WIDTH - 8) / 4 * RATIO
    right = WIDTH * RATIO - 4 * RATIO
    assert line[right - 2]
    assert line[round(right - step) + 2]
    assert not any(line[: round(right - step) - 4])


def test_a_gap_is_a_gap_and_a_lone_value_a_dot(page: ModulePage) -> None:
    make(page, 1, None, 1, 1, None)
    line = drawn(page)
    step = (WIDTH - 8) / 4 * RATIO
    first = 4 * RATIO
    for index, there in enumerate([True, False, True, True, False]):
        assert line[round(first + index * step)] is there
    assert line[round(first + 2.5 * step)], "two neighbours are joined"
    for between in (0.5, 1.5, 3.5):
        assert not line[round(first + between * step)]


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "undefined", "'7'"])
def test_what_is_no_number_is_a_gap(page: ModulePage, bad: str) -> None:
    make(page, 3)
    page.page.evaluate(f"window.plot.push({bad})")
    assert label(page) == "Round trip: not known now, between 3 and 3 ms"


def test_larger_is_higher(page: ModulePage) -> None:
    make(page, 1, 5, 10, capacity=3)
    found = columns(page)
    first, middle, last = (found[x][1] for x in (4 * RATIO, WIDTH, (WIDTH - 4) * RATIO))
    assert first > middle > last
    assert last == pytest.approx(15 * RATIO, abs=3), "10 is the top of the axis"


@pytest.mark.parametrize(
    ("largest", "top"),
    [
        (0, 1),
        (-3, 1),
        (0.03, 0.04),
        (1, 1),
        (1.1, 2),
        (2.5, 4),
        (4.2, 5),
        (7, 10),
        (10, 10),
        (99, 100),
        (101, 200),
        (5_000_000, 5_000_000),
    ],
)
def test_the_axis_ends_at_a_round_number(page: ModulePage, largest: float, top: float) -> None:
    script = "({ axisMaximum }, largest) => axisMaximum(largest)"
    assert page.run("plot", script, largest) == pytest.approx(top)


def test_it_follows_the_colours_of_the_system(page: ModulePage) -> None:
    make(page, 1, 2, 1, 2)
    assert any(drawn(page, "light"))
    assert not any(drawn(page, "dark"))
    page.page.emulate_media(color_scheme="dark")
    page.page.wait_for_function(
        f"(wanted) => ({COLUMNS})(wanted).some(([count]) => count)", arg=list(ACCENT["dark"])
    )
    assert not any(drawn(page, "light"))


def test_a_page_may_give_it_a_colour_of_its_own(page: ModulePage) -> None:
    make(page)
    page.page.evaluate(
        'document.querySelector("canvas").style.setProperty("--plot-line", "rgb(255, 0, 0)")'
    )
    push(page, 1, 2)
    found: list[Any] = page.page.evaluate(COLUMNS, [255, 0, 0])
    assert any(count for count, _ in found)


def test_a_hidden_plot_is_no_trouble_and_can_be_shown_later(page: ModulePage) -> None:
    make(page, 1)
    page.page.evaluate("""() => {
      const canvas = document.querySelector("canvas");
      canvas.style.display = "none";
      window.plot.resize();
      window.plot.push(2);
      canvas.style.display = "block";
      window.plot.resize();
    }""")
    assert any(drawn(page))
    assert label(page) == "Round trip: 2 ms, between 1 and 2 ms"
