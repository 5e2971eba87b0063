"""docs/releases.md says what release/ and the workflows do.

A whole release is made, installed as the guide says, and served by tests/release.
"""

import re
import subprocess
from pathlib import Path

from click.testing import CliRunner

from release.build import main
from release.bundle import bundle_name
from release.version import notes
from tests.docs.source import GAP

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
LAYOUT = re.findall(r"```text\n(.*?)```", GUIDE, re.DOTALL)[0]


def test_layout_is_that_of_the_sources() -> None:
    """One picture in the guide, and one where the ZIP is made."""
    source = (ROOT / "release" / "bundle.py").read_text(encoding="utf-8")
    shown = set(re.findall(r"^    (\S+)", LAYOUT, re.MULTILINE))
    drawn = set(
        re.findall(r"^        ([A-Za-z_]\S*[./A-Z]\S*)", source.split('"""')[1], re.MULTILINE)
    )
    assert drawn, "bundle.py draws it"
    assert {name.replace("0.1.0", "X.Y.Z") for name in shown} == drawn | {"LICENSE"}
    assert LAYOUT.startswith(f"{bundle_name('0.1.0')}/\n")


def test_refusals_are_those_of_the_sources() -> None:
    table = GUIDE.partition("makes nothing, when")[2].partition("\n\nWhen")[0]
    said = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    sources = " ".join(
        re.sub(r'"\s+f?"', "", path.read_text(encoding="utf-8"))
        for path in (ROOT / "release").glob("*.py")
    )
    assert len(said) == 5
    for line in said:
        parts = [re.escape(part.strip()) for part in line.split(GAP) if part.strip()]
        assert re.search(r"[^\n]{0,40}".join(parts), sources), line


def test_options_exist() -> None:
    result = CliRunner().invoke(main, ["--help"])
    for option in ("--unreleased", "--tag"):
        assert option in GUIDE
        assert option in result.output


def test_headings_are_understood() -> None:
    (heading,) = re.findall(r"`(## [\d.]+ [^`]+)`", GUIDE)
    assert notes(f"# Changes\n\n## Unreleased\n\n{heading}\n\n* New.\n", "1.2.3") == "* New.\n"


def test_verbs_of_make_exist() -> None:
    verbs = set(re.findall(r"`make ([a-z]+)", GUIDE))
    assert verbs == {"lock", "release", "test"}
    for verb in verbs:
        make = ["/usr/bin/make", "-n", verb]
        done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_action_in_the_example_is_used() -> None:
    (action,) = re.findall(r"`(actions/\w+@v\d+)`", GUIDE)
    for name in ("ci", "release"):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
        assert f"uses: {action}\n" in text
