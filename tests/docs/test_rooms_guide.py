"""docs/rooms.md: its configurations, files, commands and messages do what the page says."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.source import calls_of
from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite, refusal, seen
from tests.wire import WireClient
from tornado_webrtc.plugins.rooms.doorkeeper import MAX_WAITING
from tornado_webrtc.plugins.rooms.guess import WINDOW_S
from tornado_webrtc.plugins.rooms.name import MAX_NAME_LENGTH
from tornado_webrtc.plugins.rooms.password import BLOCK_SIZE, LOG2_COST
from tornado_webrtc.plugins.rooms.room_file import MAX_FILE_BYTES, parse
from tornado_webrtc.plugins.rooms.settings import Settings

__all__ = ["site"]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())
PASSWORD = "correct horse"
"""That of the hash in the page's file."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


FIRST, LISTED = blocks("ini")
(FILE,) = blocks("text")


def lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


def run(line: str, folder: Path, text: str = "") -> str:
    words = shlex.split(line)
    command = [sys.executable, "-m", "tornado_webrtc", *words[1:]]
    return subprocess.run(
        command if words[0] == "tornado-webrtc" else words,
        cwd=folder, capture_output=True, text=True, timeout=50, check=True, input=text,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip


def message(block: str) -> dict[str, str]:
    decoded = json.loads(block)
    assert decoded["type"] == "new"
    fields: dict[str, str] = decoded["data"]
    return fields


async def test_rooms_of_clients(site: PluginSite) -> None:
    await site.start(FIRST)
    fields = message(blocks("json")[0])
    async with await WireClient.connect(site.server.port) as alice:
        await alice.register(**{"peer_id": fields.pop("id"), **fields})
        (path,) = re.findall(r"`wss://call\.example\.org:8086(\S+)`", GUIDE)
        async with await WireClient.connect(site.server.port, path=path) as legacy:
            await legacy.register("bob")
            await seen(alice, "alice", "bob")
        await site.join("carol")


async def test_listed_rooms(site: PluginSite) -> None:
    await site.start(LISTED, rooms=FILE)
    fields = message(blocks("json")[1])
    await site.join(fields.pop("id"), **fields)
    await site.join("alice", "vault", password=PASSWORD)
    await site.join("alice", "standup")
    assert await site.refused("alice", "elsewhere") == "room-unknown"
    assert await site.refused("alice") == "room-needed"
    assert parse(FILE)["board room"].max_peers == 6


def test_check_and_hash(site: PluginSite) -> None:
    site.write(LISTED, rooms=FILE)
    (site.folder / "rooms").chmod(0o644)
    chmod, check, make = lines()[:3]
    assert chmod == "chmod 600 rooms"
    run(chmod, site.folder)
    assert "no problems, 0 warnings" in run(check, site.folder)
    made = run(make, site.folder, "a password\n").strip()
    expected = parse(f"vault {made}")["vault"].password
    assert expected is not None
    assert expected.matches("a password")


async def test_commands_of_the_operator(site: PluginSite) -> None:
    await site.start(FIRST, socket="admin.sock")
    alice = await site.join("alice", "standup")
    other = await site.join("alice", "retro")
    status, one, kick = lines()[3:6]
    shown = await asyncio.to_thread(run, status, site.folder)
    assert "standup" in shown
    assert "retro" in shown
    shown = await asyncio.to_thread(run, one, site.folder)
    for name in ("peers", "max_peers", "locked", "listed", "occupied"):
        assert re.search(rf"^{name}", shown, re.MULTILINE), name
    await asyncio.to_thread(run, kick, site.folder)
    closed = await alice.read_until_closed()
    assert (closed.code, closed.reason) == (4403, "over for today")
    assert await other.settled() == []
    shown = await asyncio.to_thread(
        run, "tornado-webrtc status peers --conf server.ini", site.folder
    )
    assert "retro/alice" in shown


async def test_doctor_signs_in_to_a_room(site: PluginSite) -> None:
    server = await site.start(LISTED, rooms=FILE)
    doctor = lines()[6].replace("--conf server.ini", f"http://127.0.0.1:{server.port}/")
    shown = await asyncio.to_thread(run, doctor, site.folder)
    assert "ok      signaling      WebSocket opened" in shown
    shown = await asyncio.to_thread(run, doctor.replace("--room standup", ""), site.folder)
    assert "warning signaling      refused: Say in `room`" in shown
    assert "(room-needed)" in shown


def test_every_command_is_run() -> None:
    assert len(lines()) == 7


def test_codes() -> None:
    listed = re.findall(r"^\| `(room-[a-z]+)` \| \S", GUIDE, re.MULTILINE)
    made = {call[1] for call in calls_of("Denied", below="plugins/rooms")}
    assert len(listed) == len(set(listed))
    assert set(listed) == made


@pytest.mark.parametrize(
    "sentence",
    [
        f"A name has 1 to {MAX_NAME_LENGTH} characters",
        f"at most {MAX_FILE_BYTES >> 20} MB",
        f"RFC 7914: {128 * BLOCK_SIZE * 2**LOG2_COST >> 20} MiB",
        f"After {Settings().wrong_passwords_per_minute} wrong passwords in a minute",
    ],
)
def test_numbers(sentence: str) -> None:
    assert sentence in FLAT


def test_numbers_in_words() -> None:
    assert "wait, eight at a time" in FLAT
    assert (MAX_WAITING, WINDOW_S) == (8, 60)


async def test_refusal_is_a_sentence(site: PluginSite) -> None:
    await site.start(LISTED, rooms=FILE)
    answer = await refusal(await site.connect("vault"), "alice")
    assert answer["reason"] == "The room [vault] needs a password."
