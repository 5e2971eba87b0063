"""docs/commands.md shows what every command prints about itself.

`make docs`, which runs this file, puts the help texts there; everything else
in the page is written by hand.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from tornado_webrtc.cli import main
from tornado_webrtc.commands.report import finding_lines
from tornado_webrtc.doctor.credential import address_finding

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
NAME = "tornado-webrtc"

# A heading with a command, then its help.
SHOWN = re.compile(r"^(##+ `(tornado-webrtc[a-z -]*)`\n\n)```text\n.*?^```$", re.M | re.DOTALL)


def commands(group: click.Group = main, name: str = NAME) -> Iterator[str]:
    """Every command of the core, groups included, by its full name."""
    yield name
    for verb, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {verb}")
        else:
            yield f"{name} {verb}"


def help_of(name: str) -> str:
    """What a command prints with --help on 80 columns."""
    arguments = [*name.split()[1:], "--help"]
    result = CliRunner().invoke(main, arguments, prog_name=NAME, terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.output


def updated(text: str) -> str:
    """The page with the help texts of now."""
    return SHOWN.sub(lambda match: f"{match[1]}```text\n{help_of(match[2])}```", text)


def test_page_shows_the_help_of_every_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert sorted(match[2] for match in SHOWN.finditer(text)) == sorted(commands())
    assert updated(text) == text, "run: make docs"


def test_page_names_every_finding_of_the_doctor() -> None:
    text = PAGE.read_text(encoding="utf-8")
    folder = PAGE.parents[1] / "tornado_webrtc" / "doctor"
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))
    subjects = set(re.findall(r"\b(?:ok|problem|warning)\(\s*\"([A-Za-z ]+)\"", sources))
    assert subjects >= {"http", "signaling", "UDP buffers"}
    assert {each for each in subjects if f"| `{each}`" not in text} == set()


def test_example_of_the_doctor_is_what_it_prints() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = finding_lines(address_finding("192.0.2.2", set()))
    assert click.unstyle("\n".join(lines)) in text


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
