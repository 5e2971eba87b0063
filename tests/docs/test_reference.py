"""The tables of keys in the guides are made from what the server goes by.

A table below a line ``<!-- keys: SECTION -->`` is made from the specification of the
section and the comments above its keys: of a section of the core those in
``conf/server.ini``, of a plugin's those in its `SETTINGS`. `make docs`, which runs this
file, writes them.
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tornado_webrtc.config.specification import (
    CORE,
    core_specification,
    marks,
    own_marks,
    parse_specification,
)
from tornado_webrtc.paths import conf_dir

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
MARKER = re.compile(r"^<!-- keys: (?P<section>\w+) -->\n\n(?P<table>(?:\|.*\n)*)", re.MULTILINE)
HEADING = "| key | default | | check | meaning |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    key: str
    default: str
    mark: str
    check: str
    meaning: str

    def __str__(self) -> str:
        default = f"`{self.default}`" if self.default else ""
        meaning = re.sub(r"(?<!\w)docs/([\w-]+\.md)", r"[\1](\1)", self.meaning)
        return f"| `{self.key}` | {default} | {self.mark} | `{self.check}` | {meaning} |\n"


def core_rows(section: str) -> Iterator[Row]:
    """The rows of a section of the core."""
    reference = (conf_dir() / "server.ini").read_text(encoding="utf-8")
    text = re.split(r"(?m)^\[(\w+)\]$", reference)
    (body,) = (text[i + 1] for i in range(1, len(text), 2) if text[i] == section)
    specification = core_specification()[section]
    for comment, key, default in re.findall(r"((?:^# .*\n)+)#(\w+) =(?: (.*))?$", body, re.M):
        meaning = " ".join(line.lstrip("# ") for line in comment.splitlines())
        mark = marks()[f"{section}.{key}"]
        check = without_default(specification[key])
        yield Row(key, default, mark, check, meaning.removesuffix(f"({mark})").rstrip())


def plugin_rows(name: str) -> Iterator[Row]:
    """The rows of a plugin's section; those of a sub-section follow as SUB.KEY."""
    settings: str = importlib.import_module(f"tornado_webrtc.plugins.{name}").SETTINGS
    specification = parse_specification(settings)
    mark = own_marks(settings)
    for path, table in tables(specification):
        for key in table.scalars:
            is_first = table is specification and key == next(iter(specification))
            above = [*(specification.initial_comment if is_first else ()), *table.comments[key]]
            said = " ".join(line.strip("# \t") for line in above).strip()
            meaning = re.sub(r"\s*(?:\blive|\brestart|\((?:live|restart)\))$", "", said)
            yield Row(
                ".".join((*path, key)),
                default_of(table[key]),
                mark((*path, key)),
                without_default(table[key]),
                meaning,
            )


def tables(specification: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, specification
    for name in specification.sections:
        yield from tables(specification[name], (*path, name))


def without_default(check: str) -> str:
    """A check without its default, and without brackets that are empty then."""
    return re.sub(r",?\s*default=(?:list\([^)]*\)|\"[^\"]*\"|'[^']*'|[^,)]*)", "", check).replace(
        "()", ""
    )


def default_of(check: str) -> str:
    """A default as one would write it into the file."""
    found = re.search(r"default=(list\([^)]*\)|\"[^\"]*\"|'[^']*'|[^,)]*)", check)
    if found is None:
        return "has to be set"
    if found[1].startswith("list("):
        return ", ".join(re.findall(r"[\"']([^\"']*)[\"']", found[1]))
    return "" if found[1] == "None" else found[1].strip("\"'")


def updated(text: str) -> str:
    """A page with its tables as they have to be now."""

    def table(match: re.Match[str]) -> str:
        section = match["section"]
        rows = core_rows(section) if section in CORE else plugin_rows(section)
        return f"<!-- keys: {section} -->\n\n{HEADING}{''.join(map(str, rows))}"

    return MARKER.sub(table, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert updated(text) == text, "run: make docs"


def test_every_section_of_the_core_has_its_table() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [match["section"] for match in MARKER.finditer(text)] == list(CORE)


def test_a_table_is_made() -> None:
    text = "Keys:\n\n<!-- keys: admin -->\n\n| old |\n|---|\n\nMore.\n"
    made = updated(text)
    assert "| old |" not in made
    assert "| `socket` | `admin.sock` | restart | `string` | A Unix socket" in made
    assert made.startswith("Keys:\n\n<!-- keys: admin -->\n\n| key |")
    assert made.endswith(" |\n\nMore.\n")
    assert updated(made) == made


def test_a_plugins_table_is_made() -> None:
    rows = {row.key: row for row in plugin_rows("logging_json")}
    assert rows["rotation"].check == 'option("size", "external")'
    assert (rows["rotation"].default, rows["rotation"].mark) == ("size", "restart")
    assert (rows["events"].default, rows["events"].mark) == ("True", "live")
    assert rows["events"].meaning.endswith("peers, calls, allocations.")
    assert next(plugin_rows("auth_token")).default == "has to be set"


if __name__ == "__main__":
    for each in PAGES:
        before = each.read_text(encoding="utf-8")
        if (after := updated(before)) != before:
            each.write_text(after, encoding="utf-8")
