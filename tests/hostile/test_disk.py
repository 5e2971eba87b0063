"""No room is left for logs and state: the server goes on, says so once, and recovers."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.conftest import Figures, Install
from tests.hostile.operated import Installation, OperatedSite
from tests.hostile.relayed import all_undisturbed
from tests.hostile.site import until
from tests.wire import call

DISK_BYTES = 256 << 10
BURST = 20
NOT_STORED = r"ERROR\s+a restart will lose changes of the bans"
NOT_WRITTEN = "tornado-webrtc: logging_json: "

MOUNT = 'mount -t tmpfs -o size={size},mode=0700 none "$0" && exec "$@"'


@cache
def can_mount() -> bool:
    """Whether this user may have a small disk in a mount namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif("not can_mount()", reason="no mount namespaces here")


class Disk:
    """A small disk that only the server has; seen from outside through `/proc`.

    Args:
        site: Runs within it.
        folder: Where it is mounted there.
    """

    def __init__(self, site: OperatedSite, folder: Path) -> None:
        self.path = Path(f"/proc/{site.process.pid}/root{folder}")
        self._filler = self.path / "filler"

    def fill(self) -> None:
        """Leave no byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (4096, 1):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break

    def free(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line has to be whole, but one that a full disk tore."""
        text = (self.path / "log.json").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def on_small_disk(install: Install) -> tuple[Installation, list[str]]:
    """An installation with log and state on one small disk, and the command to run it within."""
    installation = install(
        {"general.state_dir": "disk", "logging_json.file": "disk/log.json", "turn.secret": ""}
    )
    disk = installation.folder / "disk"
    disk.mkdir()
    mount = MOUNT.format(size=DISK_BYTES)
    return installation, ["unshare", "-rm", "sh", "-c", mount, str(disk)]


async def calls(site: OperatedSite, name: str) -> None:
    """People come, call and go: lines for the log."""
    for number in range(BURST):
        async with await site.connect() as one, await site.connect() as other:
            await one.register(f"{name}-{number}-one")
            await other.register(f"{name}-{number}-other")
            await call(one, other)


def names(lines: list[dict[str, Any]]) -> list[str]:
    return [str(line.get("event")) for line in lines]


async def test_full_disk(install: Install, figures: Figures) -> None:
    installation, within = on_small_disk(install)
    with installation.run(within=within) as site:
        site.expect(NOT_STORED)
        disk = Disk(site, installation.folder / "disk")
        site.secret = (disk.path / "secret").read_text(encoding="ascii").strip()
        async with all_undisturbed(site):
            assert (await ban(site, "first"))["stored"] is True
            disk.fill()
            await calls(site, "full")
            assert (await ban(site, "second"))["stored"] is False
            status = await site.admin("GET", "/status")
            assert status["state"] == "running"
            await site.admin("POST", "/reload")
            assert site.log().count(NOT_WRITTEN) == 1, "it is said once a minute"
            assert (await refused(site, "second")) == 4403, "it holds nevertheless"
            disk.free()
            await calls(site, "free")
            await until(lambda: "log_lines_missing" in names(disk.lines()), "the log goes on")
            missing = [each for each in disk.lines() if each.get("event") == "log_lines_missing"]
            figures(lines_missing=sum(each["count"] for each in missing))
            assert (await ban(site, "third"))["stored"] is True
            kept = json.loads((disk.path / "bans.json").read_bytes())["bans"]
            assert [each["value"] for each in kept] == ["first", "second", "third"]
            assert not list(disk.path.glob(".bans.json.*")), "no draft is left"
        joined = {each["peer_id"] for each in disk.lines() if "peer_id" in each}
        assert f"free-{BURST - 1}-one" in joined


async def ban(site: OperatedSite, peer: str) -> dict[str, Any]:
    return await site.admin("POST", "/bans", {"peer": peer})


async def refused(site: OperatedSite, peer: str) -> int | None:
    async with await site.connect() as client:
        await client.send("new", {"id": peer, "name": "", "user_agent": ""})
        return (await client.read_until_closed()).code


async def test_what_could_not_be_stored_is_stored_when_there_is_room(install: Install) -> None:
    """Nobody has to do anything for that; at the latest, it happens when the server stops."""
    installation, within = on_small_disk(install)
    with installation.run(within=within) as site:
        site.expect(NOT_STORED)
        disk = Disk(site, installation.folder / "disk")
        disk.fill()
        assert (await ban(site, "mallory"))["stored"] is False
        disk.free()

        def stored() -> bool:
            path = disk.path / "bans.json"
            return path.exists() and "mallory" in path.read_text(encoding="utf-8")

        await until(stored, "the ban is stored")
        assert site.log().count("a restart will lose") == 1
