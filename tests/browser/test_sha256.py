"""Our SHA-256 against two others: the browser's and Python's."""

import hashlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url) as opened:
        yield opened


def sha256(page: ModulePage, parts: list[int]) -> tuple[str, str]:
    """Return our hash of bytes in parts of these lengths, and the browser's of the whole."""
    script = """async ({ Sha256 }, lengths) => {
      const length = lengths.reduce((sum, each) => sum + each, 0);
      const all = crypto.getRandomValues(new Uint8Array(length));
      const hash = new Sha256();
      let at = 0;
      for (const length of lengths) hash.update(all.subarray(at, at += length));
      const theirs = new Uint8Array(await crypto.subtle.digest("SHA-256", all));
      return [hash.hex(), Array.from(theirs)];
    }"""
    ours, theirs = page.run("sha256", script, parts)
    return ours, bytes(theirs).hex()


@pytest.mark.parametrize(
    "text",
    ["", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "a" * 1_000_000],
    ids=["empty", "one block", "two blocks", "a million"],
)
def test_the_vectors_of_nist(page: ModulePage, text: str) -> None:
    script = (
        "({ Sha256 }, text) => new Sha256().update(new TextEncoder().encode(text).buffer).hex()"
    )
    assert page.run("sha256", script, text) == hashlib.sha256(text.encode()).hexdigest()


def test_lengths_around_a_block_and_pieces_of_any_length(page: ModulePage) -> None:
    for length in [*range(1, 10), *range(50, 75), *range(115, 135)]:
        ours, theirs = sha256(page, [length])
        assert ours == theirs, length
    for parts in ([1] * 200, [63, 1, 64], [64, 0, 64], [10, 118], [3, 61, 65, 127, 129], [0]):
        ours, theirs = sha256(page, parts)
        assert ours == theirs, parts
