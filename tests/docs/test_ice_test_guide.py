"""What docs/ice-test.md says of the ICE test page is what the page says and does."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "ice-test.md").read_text(encoding="utf-8")
SCRIPTS = ROOT / "www" / "js"


def script(name: str) -> str:
    return (SCRIPTS / f"{name}.js").read_text(encoding="utf-8")


def first_cells(section: str) -> list[str]:
    """Return the first column of the table that follows a sentence, without its heading."""
    _, _, after = GUIDE.partition(section)
    rows = re.findall(r"^\| ([^|]+?) \|", after.split("\n\n", 2)[1], re.MULTILINE)
    return rows[1:]


def test_every_verdict_over_all_is_there() -> None:
    said = {"Works", *re.findall(r'short: "([^"]+)"', script("iceverdict"))}
    said |= set(re.findall(r'bad\("([A-Z][^"]+)"', script("iceverdict")))
    assert set(first_cells("Of all servers together:")) == said


def test_every_verdict_of_a_server_is_there() -> None:
    cells = first_cells("Of one server:")
    verdicts = {cell.partition(" (")[0] for cell in cells}
    source = script("iceverdict")
    said = set(re.findall(r'(?:good|bad)\("([a-z][^"]+)"', source))
    assert "bad(`refused (${code})`" in source
    assert verdicts == said | {"refused"}
    codes = {int(code) for cell in cells for code in re.findall(r"\((\d+)\)", cell)}
    known = {int(code) for code in re.findall(r"^  \[(\d{3}), ", source, re.MULTILINE)}
    assert codes <= known


@pytest.mark.parametrize(
    ("name", "constant", "words"),
    [
        ("gather", "PATIENCE_MS = 12_000", "at most 12 seconds"),
        ("icetest", "AT_A_TIME = 3", "up to three at a time"),
    ],
)
def test_the_numbers_are_those_of_the_page(name: str, constant: str, words: str) -> None:
    assert constant in script(name)
    assert words in " ".join(GUIDE.split())


def test_the_words_of_the_page_are_quoted_as_they_are() -> None:
    page = (ROOT / "www" / "ice.html").read_text(encoding="utf-8")
    for quoted in re.findall("“([^”]+)”", GUIDE):
        assert quoted in page or quoted in script("iceverdict")
    assert "connect-src 'self';" in page
