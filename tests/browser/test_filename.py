"""Names and types of files that a peer has chosen, with no good in mind."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ("..", "file"),
        ("/", "file"),
        ("", "file"),
        (None, "file"),
        (7, "file"),
        ({"a": 1}, "file"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\u2066b\u2069\u200e\u061c.txt", "ab.txt"),
        ("a\x00b\nc\x7f\x85\u2028.txt", "abc.txt"),
        ("\ud800.txt", "\ufffd.txt"),
        (".bashrc", "bashrc"),
        ("  a. ", "a"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("名前 👩\u200d👩.png", "名前 👩\u200d👩.png"),
        ("🌪" * 200 + ".jpeg", "🌪" * 114 + "….jpeg"),
        ("a" * 200, "a" * 119 + "…"),
        ("a." + "b" * 300, "a." + "b" * 117 + "…"),
        ("x/" * 5000 + "a.txt", "a.txt"),
    ],
)
def test_names_are_made_safe(page: ModulePage, name: Any, safe: str) -> None:
    assert page.run("filename", "({ safeName }, name) => safeName(name)", name) == safe


@pytest.mark.parametrize(
    ("given", "shown", "blob"),
    [
        ("image/png", "image/png", "image/png"),
        ("Text/Plain; charset=utf-8", "text/plain", "text/plain"),
        ("text/html", "text/html", "application/octet-stream"),
        ("image/svg+xml", "image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/xhtml+xml", "application/octet-stream"),
        ("nonsense", "", "application/octet-stream"),
        ("a/b\r\nc: d", "", "application/octet-stream"),
        (None, "", "application/octet-stream"),
        (["image/png"], "", "application/octet-stream"),
    ],
)
def test_types_are_made_safe(page: ModulePage, given: Any, shown: str, blob: str) -> None:
    script = """({ safeType, blobType }, type) => [safeType(type), blobType(safeType(type))]"""
    assert page.run("filename", script, given) == [shown, blob]
