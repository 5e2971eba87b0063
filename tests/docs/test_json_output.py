"""docs/commands.md names the keys of what `doctor`, `plugins` and `cert inspect` print as JSON."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.docs.source import trees_below, written_keywords
from tests.doctor.conftest import Serve, serve
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.cli import main
from tornado_webrtc.errors import Problem
from tornado_webrtc.finding import Finding
from tornado_webrtc.inventory import Entry

__all__ = ["serve"]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
OF_RELAYS = ("stun …", "stuns …", "turn …", "turns …", "one of these four that failed")
COMMON = {"subject", "level", "text", "hint"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first heading this is."""
    _, found, rest = PAGE.partition(f"\n| {heading} | ")
    assert found, heading
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def named(cells: Iterable[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([\w …]+)`", cell)}


def keys(heading: str) -> set[str]:
    """The first column of a table."""
    return named(row[0] for row in rows(heading))


def own_keys(heading: str) -> dict[str, set[str]]:
    """By the subject of a finding: the keys that no other finding has to have."""
    return {
        subject: named(row[1:]) for row in rows(heading) for subject in named(row[:1]) or {row[0]}
    }


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code in {0, 1, 78}, result.output
    return json.loads(result.stdout)


def verify(findings: Iterable[Mapping[str, Any]], documented: Mapping[str, set[str]]) -> None:
    """Let a finding have the keys that the page says, all of them if it is well."""
    for finding in findings:
        subject = finding["subject"]
        known = documented.get(subject, documented.get(f"{subject.partition(' ')[0]} …", set()))
        more = finding.keys() - COMMON
        assert more <= known, finding
        assert finding["level"] in {"ok", "skipped", "warning", "problem"}


# --- doctor ---------------------------------------------------------------------------------


async def test_doctor(serve: Serve) -> None:
    server = await serve(tls=True)
    conf = server.config.path
    shown = await asyncio.to_thread(
        run, "doctor", f"https://127.0.0.1:{server.port}/", "--conf", conf
    )
    assert shown.keys() == keys("key of `doctor`")
    assert keys("key of a finding") == COMMON
    documented = own_keys("finding of `doctor`")
    verify(shown["findings"], documented)
    well = {each["subject"]: each.keys() - COMMON for each in shown["findings"]}
    assert well["turn udp"] == documented["turn …"]
    assert well["signaling"] == documented["signaling"] - {"code"}
    assert well["open files"] <= documented["open files"]


def test_every_key_of_a_finding_of_the_doctor() -> None:
    """Also those of findings that a server which is well does not lead to."""
    made: dict[str, set[str]] = defaultdict(set)
    for tree in trees_below("tornado_webrtc/doctor"):
        for subject, names in written_keywords(tree, "ok", "warning", "problem"):
            made[subject] |= names
    documented = own_keys("finding of `doctor`")
    of_relays = [documented.pop(subject) for subject in OF_RELAYS]
    assert made.pop("") == set[str]().union(*of_relays), "their subject is computed"
    assert {subject: names for subject, names in made.items() if names} == documented


def test_a_finding_has_what_the_page_says() -> None:
    assert {each.name for each in fields(Finding)} - {"values"} == COMMON


# --- the others -----------------------------------------------------------------------------


def test_plugins(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text("[general]\nport = many\n")
    shown = run("plugins", "--conf", conf)
    assert shown.keys() == {"plugins", "problems"}
    assert "`--json` prints `plugins` and `problems`, two lists" in PAGE
    (problem,) = shown["problems"]
    assert problem.keys() == keys("key of a problem") == {each.name for each in fields(Problem)}
    assert {tuple(each) for each in shown["plugins"]} == {
        tuple(each.name for each in fields(Entry))
    }
    assert shown["plugins"][0].keys() == keys("key of a plugin")


def test_cert_inspect(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_certificate(cert, key, ["localhost"])
    shown = run("cert", "inspect", cert, "--key", key, "--domain", "localhost")
    assert shown.keys() == keys("key of `cert inspect`")
    documented = own_keys("finding")
    verify(shown["findings"], documented)
    found = {each["subject"]: each.keys() - COMMON for each in shown["findings"]}
    assert found == {each: documented[each] for each in found}
    assert documented.keys() - found.keys() == {"signature", "purpose"}


def test_cert_inspect_of_one_that_has_expired(tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=10)
    (tmp_path / "cert.pem").write_bytes(make_certificate(["localhost"], days=5, now=past)[0])
    shown = run("cert", "inspect", tmp_path / "cert.pem")
    assert shown["days_left"] < 0
    assert "negative once it has expired" in PAGE
