"""The guides become a site without a single warning, and every page is in its table of contents."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


class Links(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if identifier := found.get("id"):
            self.anchors.add(identifier)
        if tag == "a" and (target := found.get("href")):
            self.targets.add(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    result = subprocess.run(
        [*command, "-d", str(folder / "state"), str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder / "html"


def test_every_page_is_there(site: Path) -> None:
    pages = {page.stem for page in DOCS.glob("*.md")} - {"README"}
    assert {page.stem for page in site.glob("*.html")} >= pages
    listed = set(re.findall(r"^[a-z0-9-]+$", (DOCS / "index.md").read_text(), re.MULTILINE))
    assert listed == pages - {"index"}


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    pages = {page.name: Links(page.read_text(encoding="utf-8")) for page in site.glob("*.html")}
    broken = [
        f"{name}: {target}"
        for name, page in pages.items()
        for target in page.targets
        if not re.match(r"[a-z]+:", target)
        and not _leads_somewhere(site, pages, name, *target.partition("#")[::2])
    ]
    assert broken == []


def _leads_somewhere(
    site: Path, pages: dict[str, Links], name: str, file: str, anchor: str
) -> bool:
    path = (site / (unquote(file) or name)).resolve()
    if not path.is_relative_to(site) or not path.exists():
        return False
    return not anchor or path.name not in pages or unquote(anchor) in pages[path.name].anchors
