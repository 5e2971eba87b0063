"""The bans on disk: written soon, seldom and in their order, and said to be so only if they are."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from tests.conftest import ExpectLog, LogGuard
from tests.wire import until
from tornado_webrtc import banfile
from tornado_webrtc.banfile import BANS_FILE, BanFile
from tornado_webrtc.errors import StateError
from tornado_webrtc.state import StateDir

LOST = "a restart will lose changes of the bans: "


class Disk(StateDir):
    """A state directory whose writes are counted, can be held up, and fail if it is full."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[list[str]] = []
        self.threads: set[int] = set()
        self.full = False
        self.go_on = threading.Event()
        self.go_on.set()

    def store(self, name: str, content: bytes) -> None:
        """Write, unless it is full."""
        assert self.go_on.wait(15)
        self.threads.add(threading.get_ident())
        self.writes.append([each["value"] for each in json.loads(content)["bans"]])
        if self.full:
            raise StateError("no space left on device")
        super().store(name, content)

    def kept(self) -> list[str]:
        return [each["value"] for each in json.loads((self.path / BANS_FILE).read_bytes())["bans"]]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "state")


@pytest.fixture
def file(disk: Disk) -> BanFile:
    return BanFile(disk, lambda: 1_800_000_000.0)


async def test_many_changes_are_few_writes_by_a_thread(disk: Disk, file: BanFile) -> None:
    file.open()
    for number in range(1000):
        file.bans.add("peer", str(number))
        if number % 100 == 0:
            await asyncio.sleep(0)
    assert not file.bans.stored
    assert await file.settle() is True
    assert [file.bans.stored] == [True]
    assert len(disk.writes) <= 3
    assert disk.kept() == [str(number) for number in range(1000)]
    assert threading.get_ident() not in disk.threads
    await file.close()


async def test_at_most_one_write_a_second(
    disk: Disk, file: BanFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banfile, "INTERVAL_S", 3600)
    file.open()
    file.bans.add("peer", "a")
    await until(lambda: file.bans.stored)
    file.bans.add("peer", "b")
    await asyncio.sleep(0.05)
    assert (disk.writes, file.bans.stored) == ([["a"]], False)
    file.bans.add("peer", "c")
    await file.close()
    assert disk.writes == [["a"], ["a", "b", "c"]]
    assert disk.kept() == ["a", "b", "c"]


async def test_what_changes_during_a_write_is_written_after_it(disk: Disk, file: BanFile) -> None:
    file.open()
    disk.go_on.clear()
    file.bans.add("peer", "a")
    await asyncio.sleep(0)
    waiting = asyncio.create_task(file.settle())
    await asyncio.sleep(0.01)
    file.bans.add("peer", "b")
    disk.go_on.set()
    assert await waiting is True
    assert file.bans.stored is False, "the second one is not written yet"
    await file.close()
    assert disk.writes == [["a"], ["a", "b"]]
    assert file.bans.stored is True


async def test_a_disk_that_hangs_is_not_waited_for(disk: Disk, file: BanFile) -> None:
    file.open()
    disk.go_on.clear()
    file.bans.add("peer", "a")
    assert await file.settle(0.02) is False
    disk.go_on.set()
    assert await file.settle() is True
    await file.close()


async def test_what_failed_is_tried_again(
    disk: Disk, file: BanFile, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log(LOST + "no space left")
    monkeypatch.setattr(banfile, "RETRY_S", 0.02)
    file.open()
    disk.full = True
    file.bans.add("peer", "a")
    assert await file.settle() is False
    await until(lambda: len(disk.writes) > 3)
    disk.full = False
    await until(lambda: file.bans.stored)
    assert disk.kept() == ["a"]
    await file.close()


@pytest.mark.parametrize("how", ["retry", "close", "change"])
async def test_nobody_has_to_wait_for_the_next_try(
    disk: Disk,
    file: BanFile,
    expect_log: ExpectLog,
    log_guard: LogGuard,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    expect_log(LOST)
    monkeypatch.setattr(banfile, "RETRY_S", 3600)
    file.open()
    disk.full = True
    file.bans.add("peer", "a")
    await until(lambda: bool(log_guard.records))
    disk.full = False
    if how == "retry":
        file.retry()
        await until(lambda: file.bans.stored)
    elif how == "change":
        file.bans.add("peer", "b")
        assert await file.settle() is True
    await file.close()
    assert file.bans.stored is True
    assert disk.kept()[0] == "a"


async def test_close_does_not_try_for_ever(
    disk: Disk, file: BanFile, expect_log: ExpectLog
) -> None:
    expect_log(LOST)
    file.open()
    disk.full = True
    file.bans.add("peer", "a")
    async with asyncio.timeout(15):
        await file.close()
    assert file.bans.stored is False


def test_before_and_after_it_is_written_on_the_spot(
    disk: Disk, file: BanFile, expect_log: ExpectLog
) -> None:
    expect_log(LOST)
    ban = file.bans.add("peer", "a")
    assert (disk.kept(), file.bans.stored) == (["a"], True)
    disk.full = True
    file.bans.remove(ban.id)
    assert (disk.kept(), file.bans.stored) == (["a"], False)
    disk.full = False
    file.bans.add("peer", "b")
    assert (disk.kept(), file.bans.stored) == (["b"], True)
    again = BanFile(disk, lambda: 1_800_000_000.0)
    assert [ban.value for ban in again.bans] == ["b"]


async def test_what_a_kill_left_is_removed(disk: Disk, file: BanFile) -> None:
    disk.path.mkdir()
    (disk.path / ".bans.json.x1y2z3").write_bytes(b"half")
    (disk.path / ".secret.x1y2z3").write_bytes(b"another's")
    file.open()
    assert [each.name for each in disk.path.iterdir()] == [".secret.x1y2z3"]
    await file.close()


async def test_what_could_not_be_written_before_is_written_then(
    disk: Disk, file: BanFile, expect_log: ExpectLog
) -> None:
    expect_log(LOST)
    disk.full = True
    file.bans.add("peer", "a")
    disk.full = False
    file.open()
    await until(lambda: file.bans.stored)
    await file.close()
