"""QR codes, read back by a reader that is not ours."""

import base64
import hashlib
from collections.abc import Iterator
from itertools import groupby, product
from typing import Any

import pytest
import zxingcpp
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress

QUIET_ZONE = 4
PIXELS = 4
MATRICES = """({ qrMatrix }, texts) =>
  texts.map((text) => qrMatrix(text).map((row) => row.map(Number).join("")))"""

# The most bytes of each version from 1 to 20 at level M (ISO/IEC 18004 table 7).
CAPACITIES = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213]
CAPACITIES += [251, 287, 331, 362, 412, 450, 504, 560, 624, 666]


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url, device_scale_factor=2) as opened:
        yield opened


def matrices(page: ModulePage, *texts: str) -> list[list[str]]:
    made: list[list[str]] = page.run("qr", MATRICES, texts)
    return made


def read(matrix: list[str]) -> Any:
    """Return what the reader finds in a matrix of "0" and "1", drawn with its quiet zone."""
    side = len(matrix) + 2 * QUIET_ZONE
    light = "0" * side
    margin = "0" * QUIET_ZONE
    rows = [light] * QUIET_ZONE + [margin + row + margin for row in matrix] + [light] * QUIET_ZONE
    pixels = b"".join(_row(row) * PIXELS for row in rows)
    image = memoryview(pixels).cast("B", shape=[side * PIXELS, side * PIXELS])
    (found,) = zxingcpp.read_barcodes(image)
    return found


def _row(modules: str) -> bytes:
    return b"".join((b"\x00" if module == "1" else b"\xff") * PIXELS for module in modules)


def test_every_version_is_read_at_its_limits(page: ModulePage) -> None:
    lengths = [each for most in CAPACITIES for each in (most - 1, most)]
    lengths += [each + 1 for each in CAPACITIES[:-1]]
    texts = [("https://calls.example/?id=123456&name=" * 20)[:length] for length in lengths]
    for text, matrix in zip(texts, matrices(page, *texts), strict=True):
        found = read(matrix)
        assert found.text == text
        assert found.ec_level == "M"
        version = next(index for index, most in enumerate(CAPACITIES, 1) if len(text) <= most)
        assert len(matrix) == 17 + 4 * version


@pytest.mark.parametrize(
    "text",
    [
        "é",
        "Grüße aus Köln",
        "名前",
        "🌪️ tornado",
        "https://calls.example/?name=Ann%20Kov%C3%A1cs&x=Kovács",
        "\u0000\u0001\u007f",
        " \n\t ",
        "é" * 332,
        "😀" * 166,
    ],
)
def test_any_text_is_read_back(page: ModulePage, text: str) -> None:
    (matrix,) = matrices(page, text)
    assert read(matrix).bytes.decode() == text


def test_every_mask_is_used_and_read(page: ModulePage) -> None:
    texts = [
        f"https://calls.example/?id={1000 + number}{'z' * (number % 60)}" for number in range(400)
    ]
    masks = set()
    for text, matrix in zip(texts, matrices(page, *texts), strict=True):
        assert read(matrix).text == text
        masks.add(format_mask(matrix))
    assert masks == set(range(8))


def test_masks_are_weighed_by_the_four_rules(page: ModulePage) -> None:
    shares = [(21, 50), (21, 10), (25, 90), (29, 30), (33, 60)]
    symbols = [noise(size, percent) for size, percent in shares]
    symbols += [*matrices(page, "https://calls.example/"), ["1" * 21] * 21, ["0" * 21] * 21]
    script = """({ penalty }, symbols) => symbols.map((rows) =>
      penalty(rows.map((row) => Array.from(row, (module) => module === "1"))))"""
    assert page.run("qr", script, symbols) == [weigh(rows) for rows in symbols]


def noise(size: int, percent: int) -> list[str]:
    """Return a symbol without meaning, of which so much is dark."""
    grains = hashlib.shake_256(bytes([size, percent])).digest(size**2)
    modules = "".join("01"[grain < 256 * percent / 100] for grain in grains)
    return [modules[at : at + size] for at in range(0, size**2, size)]


def weigh(rows: list[str]) -> int:
    """Return a symbol's penalty, counted after ISO/IEC 18004 section 7.8.3.1 word by word."""
    size = len(rows)
    lines = [*rows, *("".join(column) for column in zip(*rows, strict=True))]
    cost = 0
    for line in lines:
        cost += sum(3 + len(run) - 5 for run in map(joined, groupby(line)) if len(run) >= 5)
        wide = f"0000{line}0000"
        for at in range(4, size - 2):
            beside = (wide[at - 4 : at], wide[at + 7 : at + 11])
            cost += 40 * (wide[at : at + 7] == "1011101" and "0000" in beside)
    for y, x in product(range(size - 1), repeat=2):
        cost += 3 * (len({rows[y][x], rows[y][x + 1], rows[y + 1][x], rows[y + 1][x + 1]}) == 1)
    dark = 100 * "".join(rows).count("1") / size**2
    return cost + 10 * int(abs(dark - 50) / 5)


def joined(group: tuple[str, Iterator[str]]) -> str:
    return "".join(group[1])


def format_mask(matrix: list[str]) -> int:
    """Return the mask that the format information names (ISO/IEC 18004 section 7.9)."""
    return int(matrix[8][2:5], 2) ^ 0b101


def test_a_damaged_code_is_read(page: ModulePage) -> None:
    text = "https://calls.example/?id=123456"
    (matrix,) = matrices(page, text)
    damaged = [
        row[:12] + "".join("10"[int(module)] for module in row[12:18]) + row[18:]
        if 12 <= number < 16
        else row
        for number, row in enumerate(matrix)
    ]
    assert read(damaged).text == text


def test_an_empty_text_has_a_code(page: ModulePage) -> None:
    (matrix,) = matrices(page, "")
    assert len(matrix) == 21


@pytest.mark.parametrize(
    ("text", "found", "most"),
    [("a" * 667, 667, 666), ("é" * 333, 666, 665), ("a" * 9000, 9000, 666)],
)
def test_text_that_is_too_long_is_refused(
    page: ModulePage, text: str, found: int, most: int
) -> None:
    script = """({ qrMatrix }, text) => {
      try { return qrMatrix(text); } catch (error) { return [error.name, error.message]; }
    }"""
    name, message = page.run("qr", script, text)
    assert name == "RangeError"
    assert f"has {found} bytes" in message
    assert f"holds {most} at most" in message


SHOW = """({ qrSvg }, [text, title]) => {
  const svg = qrSvg(text, { title });
  svg.setAttribute("width", 300);
  svg.setAttribute("height", 300);
  document.body.replaceChildren(svg);
  return {
    paths: svg.querySelectorAll("path").length,
    box: svg.getAttribute("viewBox"),
    label: svg.getAttribute("aria-label"),
    title: svg.querySelector("title").textContent,
    role: svg.getAttribute("role"),
  };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_read_from_the_screen(page: ModulePage, scheme: Any) -> None:
    page.page.emulate_media(color_scheme=scheme)
    title = "Invitation & <b>more</b>"
    made = page.run("qr", SHOW, ["https://calls.example/", title])
    assert made == {
        "paths": 1,
        "box": "0 0 33 33",
        "label": title,
        "title": title,
        "role": "img",
    }
    svg = page.page.locator("svg")
    grey = """async (png) => {
      const bitmap = await createImageBitmap(await (await fetch(png)).blob());
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      return [bitmap.width, Array.from(data).filter((_, index) => index % 4 === 0)];
    }"""
    width, pixels = page.page.evaluate(grey, data_url(svg.screenshot()))
    assert set(pixels) == {0, 255}, "its edges are not crisp"
    image = memoryview(bytes(pixels)).cast("B", shape=[len(pixels) // width, width])
    (found,) = zxingcpp.read_barcodes(image)
    assert found.text == "https://calls.example/"


def data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
