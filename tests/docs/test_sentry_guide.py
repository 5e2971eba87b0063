"""docs/sentry.md: its commands, configuration, plugin and numbers are what the plugin does."""

import logging
import re
import subprocess
from pathlib import Path

from tests.conftest import ExpectLog
from tests.docs.source import said_in_sources
from tests.plugins.sentry.sink import sinking
from tests.reloading import ReloadSite, site
from tests.wire import until
from tornado_webrtc.plugins.sentry import reporter, scrubber
from tornado_webrtc.plugins.sentry.settings import dsn_fault
from tornado_webrtc.plugins.sentry.tally import Tally

__all__ = ["site"]

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "sentry.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


def run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


async def test_from_the_dsn_to_a_fault(site: ReloadSite, expect_log: ExpectLog) -> None:
    """The command, the configuration, and the plugin with a fault."""
    (said,) = re.findall(r"`(plugin fault: [^`]+)`", GUIDE)
    expect_log(re.escape(said))
    run(["sh", "-ec", block("sh")], site.folder)
    file = site.folder / "sentry-dsn"
    assert file.stat().st_mode & 0o777 == 0o600
    assert dsn_fault(file.read_text().strip()) == ""
    (site.folder / "mine").mkdir()
    (site.folder / "mine" / "fault.py").write_text(block("python"))
    lines = [line.partition(" = ") for line in block("ini").splitlines()[1:]]
    settings = {f"sentry.{key}": value for key, _, value in lines}
    async with sinking() as sink:
        file.write_text(sink.dsn)
        await site.start(settings | {"plugins.path": "mine,"})
        await site.connect("alice")
        await until(lambda: bool(sink.events))
        await site.server.stop()
    (event,) = sink.events
    assert event["logentry"]["formatted"] == said
    (raised,) = event["exception"]["values"]
    assert f"an issue `{raised['type']}: {raised['value']}`" in FLAT, "as Sentry titles it"
    assert event["environment"] == "production"


def test_headers_of_the_page() -> None:
    (row,) = re.findall(r"^\| the request \| (.*) \|$", GUIDE, re.MULTILINE)
    listed = {name.lower() for name in re.findall(r"`([A-Za-z-]+)`", row)}
    assert listed == scrubber._KEPT_HEADERS


def test_numbers() -> None:
    for sentence in (
        f"up to {reporter.MAX_WAITING} faults wait for it",
        f"waits {reporter.TIMEOUT_S:g} s at most to be connected, and for an answer",
        f"no longer than {reporter.FLUSH_S:g} s",
        f"at most {reporter.BURST} at once",
    ):
        assert sentence in FLAT, sentence


def test_lines_of_the_log() -> None:
    lines = re.findall(r"^\| `([A-Za-z][^`]+…[^`]*)` \|", GUIDE, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert said_in_sources(line), line


def test_counters() -> None:
    for name in Tally(logging.getLogger("x")).counts():
        assert f"`{name}` (" in GUIDE, name
