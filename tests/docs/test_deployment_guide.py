"""docs/deployment.md is true: its commands run, in order, and its tables are those of the code."""

import os
import re
import shlex
import subprocess

import pytest

from tests.deploy.cloud import BUCKET, Cloud
from tests.deploy.conftest import Good, bare, cloud, good, machine, workshop
from tests.deploy.guide import here, run_blocks
from tests.deploy.machine import DEFAULTS, DEPLOY, Machine
from tests.deploy.release import ROOT

__all__ = ["bare", "cloud", "good", "machine", "workshop"]

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-refusal")]

PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs")
def test_every_shell_block_runs_in_order(bare: Machine, cloud: Cloud, good: Good) -> None:
    (bare.path / "root").mkdir()
    for version in ("0.1.0", "0.2.0"):
        path = good(version)
        cloud.upload(path, path.with_name(f"{path.name}.sha256"))
    assert BUCKET in PAGE
    # A command line that does not look there itself is told where this AWS is.
    lines = ['aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }']
    for block in blocks("sh"):
        lines += [here(block, bare), f"readlink {bare.root}/current >> {bare.path}/ran || true"]
    done = run_blocks(bare, lines, cloud.environ)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{bare.log()}"
    ran = [line.rpartition("-v")[2] for line in (bare.path / "ran").read_text().splitlines()]
    assert ran == ["0.1.0", "0.1.0", "0.2.0", "0.1.0"], "first, --list, upgrade, rollback"
    assert "there is no new certificate" in done.stderr, "there was nobody to give one"
    listed = [line for line in done.stdout.splitlines() if line.startswith("* ")]
    (shown,) = [block for block in blocks("text") if block.startswith("* ")]
    assert re.sub(r"\d{8}T\d{6}Z", "", listed[0]) == re.sub(r"\d{8}T\d{6}Z", "", shown.strip())


def rows(title: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    text = PAGE.partition(f"\n{title}\n")[2]
    assert text, title
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_settings_are_those_of_the_scripts() -> None:
    table = rows("## Settings")
    assert [(row[0].strip("`"), row[1].strip("`")) for row in table] == [*DEFAULTS.items()]
    assert all(row[2] for row in table)


def test_every_file_is_listed() -> None:
    text = PAGE.partition("| file |")[2].partition("\n\n")[0]
    listed = set(re.findall(r"`([\w./-]+)`", text))
    there = {f"{each.name}/" if each.is_dir() else each.name for each in DEPLOY.iterdir()}
    assert {name for name in there if not name.startswith("__")} == listed


def test_commands_elsewhere_are_those_that_there_are() -> None:
    """What needs an account is at least spelled as the programs want it."""
    commands = " ".join(blocks("console")).replace("\\\n", " ")
    (remote,) = re.findall(r"\$ deploy/remote\.sh (.*)", commands)
    options = [word for word in shlex.split(remote) if word.startswith("-")]
    usage = subprocess.run(
        [DEPLOY / "remote.sh", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert options == ["-b", "-i", "-f"]
    assert all(f"  {option} " in usage for option in options)


def test_messages_are_those_of_the_scripts() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.glob("*.sh"))
    chapter = PAGE.partition("## When something goes wrong")[2]
    for words in (
        *("NOTHING SERVES", "not believed", "no command can be sent"),
        *("is not ready", "cannot be fetched"),
    ):
        assert words in chapter
        assert words in scripts


@pytest.mark.parametrize("page", ["deployment.md", "quick-start.md"])
def test_packages_are_looked_up_before_one_is_installed(page: str) -> None:
    """A fresh image has no list of packages."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert text.count("apt-get install ") == 1
    assert re.search("`apt-get update` and `apt-get install ", text)


def test_environments_are_for_the_default_branch() -> None:
    """Without that, whoever may push a branch runs a workflow with the role of the machine."""
    chapter = PAGE.partition("## GitHub")[2].partition("\n## ")[0]
    assert "“Deployment branches and tags” to the default branch" in chapter


def test_numbers() -> None:
    settings = (DEPLOY / "settings.sh").read_text(encoding="utf-8")
    assert "five stay" in PAGE
    assert "[KEEP]=5 " in settings
    assert "once more five seconds later" in PAGE
    assert "[SETTLE_SECONDS]=5 " in settings
    assert "30 minutes that `remote.sh`" in PAGE
    assert "seconds=1800" in (DEPLOY / "remote.sh").read_text(encoding="utf-8")
    assert "exits with 75" in PAGE
    assert "exit 75" in (DEPLOY / "deploy.sh").read_text(encoding="utf-8")
