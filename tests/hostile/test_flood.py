"""Too much of what is right: messages, pings, calls for an answer, and nobody who reads."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.hostile.bystander import undisturbed
from tests.hostile.conftest import OpenSite
from tests.hostile.mute import mute, text_frame
from tests.hostile.site import Site, until
from tests.wire import CLOSE, PING, PONG, TEXT, WireClient, encode_frame

MAX_WAITING_FRAMES = 64
FLOOD_S = 1.0
MEGABYTE = 1 << 20


@asynccontextmanager
async def flooding(client: WireClient, frames: bytes) -> AsyncIterator[list[int]]:
    """Send the same frames over and over while the block runs, and read all that comes.

    Yields:
        How often they were sent, as the only element of a list.
    """
    sent = [0]

    async def send() -> None:
        while True:
            await client.send_raw(frames)
            sent[0] += 1
            await asyncio.sleep(0)

    async def read() -> None:
        while await client.reader.read(1 << 20):
            pass

    tasks = [asyncio.create_task(send()), asyncio.create_task(read())]
    try:
        yield sent
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- messages -----------------------------------------------------------------


async def test_above_the_rate_reading_pauses_and_nothing_is_lost(open_site: OpenSite) -> None:
    """7,500 at once, at a limit of 1,000 per second and 5,000 at once."""
    site = open_site(messages_per_s=1000)
    async with undisturbed(site), await site.connect() as mallory:
        messages = [json.dumps({"type": "keepalive", "data": {"n": n}}) for n in range(7500)]
        wire = b"".join(encode_frame(TEXT, text.encode()) for text in messages)
        began = time.monotonic()
        sending = asyncio.create_task(mallory.send_raw(wire))
        await site.until_tables(fullest_inbox=MAX_WAITING_FRAMES)
        echoes: list[str] = []
        while len(echoes) < len(messages):
            if (text := await mallory.read_text()) != "{}":
                echoes.append(text)
        assert echoes == messages
        assert time.monotonic() - began >= 2.25
        await sending


@pytest.mark.long
async def test_ten_thousand_a_second_are_closed_after_half_a_minute(site: Site) -> None:
    async with undisturbed(site), await site.connect() as mallory:
        await mallory.register("mallory")
        frames = text_frame({"type": "keepalive", "data": {}}) * 1000
        began = time.monotonic()

        async def send() -> None:
            for number in range(1000):
                await mallory.send_raw(frames)
                await asyncio.sleep(max(0.0, began + 0.1 * number - time.monotonic()))

        sending = asyncio.create_task(send())
        closed = await mallory.read_until_closed()
        lasted_s = time.monotonic() - began
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert (closed.code, closed.reason) == (4429, "too many messages")
        assert lasted_s >= 30.0


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(text_frame({"type": "keepalive", "data": {}}), id="keepalive"),
        pytest.param(encode_frame(TEXT, b"{}"), id="heartbeats"),
        pytest.param(encode_frame(TEXT, b"nonsense"), id="nonsense"),
        pytest.param(text_frame({"type": "dance"}), id="unknown type"),
        pytest.param(
            text_frame({"type": "offer", "data": {"to": "x", "session_id": "s"}}), id="offer"
        ),
        pytest.param(text_frame({"type": "new", "data": {"id": "mallory"}}), id="new"),
        pytest.param(
            text_frame({"type": "leave"}) + text_frame({"type": "new", "data": {"id": "mallory"}}),
            id="coming and going",
        ),
    ],
)
async def test_flood_without_a_limit_leaves_room_for_others(
    open_site: OpenSite, frame: bytes
) -> None:
    """What the operator allows may slow everybody down, but not more than that."""
    site = open_site(messages_per_s=0)
    async with undisturbed(site) as people, await site.connect() as mallory:
        await mallory.register("mallory")
        async with flooding(mallory, frame * 200) as sent:
            goals = [person.received + 20 for person in people]
            began = time.monotonic()
            await until(
                lambda: all(
                    person.received >= goal for person, goal in zip(people, goals, strict=True)
                ),
                "the bystanders go on",
            )
            await until(lambda: time.monotonic() - began > FLOOD_S, "the flood lasts long enough")
        assert sent[0] * 200 / FLOOD_S > 1000


# --- control frames -----------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_control_frames_without_end(site: Site, opcode: int) -> None:
    async with undisturbed(site) as people, await site.connect() as mallory:
        await mallory.register("mallory")
        async with flooding(mallory, encode_frame(opcode, b"x" * 125) * 1000):
            goals = [person.received + 20 for person in people]
            await until(
                lambda: all(
                    person.received >= goal for person, goal in zip(people, goals, strict=True)
                ),
                "the bystanders go on",
            )


async def test_pings_without_reading_the_pongs_pile_up_nothing(site: Site) -> None:
    async with undisturbed(site):
        before = site.memory_bytes()
        async with mute(site, "mallory") as mallory:
            pings = encode_frame(PING, b"x" * 125) * 1000
            for _ in range(200):
                await mallory.send(pings)
            assert site.memory_bytes() - before < 8 * MEGABYTE


# --- nobody reads -------------------------------------------------------------


async def test_reader_that_never_reads_is_told_and_dropped(site: Site) -> None:
    async with undisturbed(site), mute(site, "mute") as sleeper, await site.connect() as eve:
        await site.until_tables(peers=5)
        await eve.register("eve")
        filler = {"to": "mute", "session_id": "s", "filler": "x" * 60_000}
        present = True
        for _ in range(400):
            await eve.send("candidate", filler)
            messages = await eve.settled()
            present = all(message["type"] != "error" for message in messages)
            if not present:
                break
        assert not present, "what waits for one who never reads grows without limit"
        await site.until_tables(peers=5, connections=5)
        end = await sleeper.read_to_end()
        assert end.count(b"x") > 60_000
        close = encode_frame(CLOSE, b"\x0f\xa8you read too slowly", masked=False)
        assert close not in end or end.endswith(close)


async def test_crowd_that_never_reads_costs_bounded_memory(open_site: OpenSite) -> None:
    """Hundreds of lists of peers: each waits at most once for each of them."""
    site = open_site(ping_s=0)
    async with undisturbed(site):
        before = site.memory_bytes()
        async with AsyncExitStack() as crowd:
            for number in range(100):
                await crowd.enter_async_context(mute(site, f"mute-{number}", name="n" * 200))
            await site.until_tables(peers=104)
            for number in range(200):
                async with await site.connect() as client:
                    await client.register(f"guest-{number}")
            await site.until_tables(peers=104)
            assert site.memory_bytes() - before < 32 * MEGABYTE


async def test_crowd_with_the_longest_names_throws_nobody_out(open_site: OpenSite) -> None:
    """300 entries as long as they can be: at most two lists of them wait for each."""
    site = open_site(ping_s=0)
    label = "\U0001f600" * 1000
    async with undisturbed(site):
        before = site.memory_bytes()
        async with AsyncExitStack() as crowd:
            for number in range(300):
                peer_id = f"{number:03d}{label[:125]}"
                await crowd.enter_async_context(mute(site, peer_id, name=label, user_agent=label))
            await site.until_tables(peers=304)
            for number in range(20):
                async with await site.connect() as client:
                    await client.register(f"guest-{number}")
            await site.until_tables(peers=304)
            assert site.memory_bytes() - before < 400 * MEGABYTE
    await site.until_tables(peers=0, connections=0, living_Connection=0, living_Peer=0)


async def test_sleepers_are_dropped_when_they_answer_no_ping(open_site: OpenSite) -> None:
    site = open_site(ping_s=3)
    async with undisturbed(site), mute(site, "mute-1"), mute(site, "mute-2"):
        await site.until_tables(peers=6)
        await site.until_tables(peers=4, connections=4)


# --- frames that queue behind a slow plugin -----------------------------------

SLOW_PLUGIN = '''
"""Takes its time over a message that names a file: until that is there."""
import asyncio
from pathlib import Path
from tornado_webrtc import hookimpl

@hookimpl
async def permit_message(message):
    if name := message.data.get("until"):
        while not Path(name).exists():
            await asyncio.sleep(0.02)
'''


async def test_frames_behind_a_slow_plugin_wait_and_reading_pauses(
    open_site: OpenSite, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    site = open_site(plugin=SLOW_PLUGIN, messages_per_s=0)
    async with (
        undisturbed(site),
        await site.connect() as mallory,
        await site.connect() as accomplice,
    ):
        await mallory.register("mallory")
        await accomplice.register("accomplice")
        data = {"to": "accomplice", "session_id": "s"}
        await mallory.send("candidate", {**data, "until": str(go)})
        frames = [text_frame({"type": "candidate", "data": {**data, "n": n}}) for n in range(1000)]
        await mallory.send_raw(b"".join(frames))
        await site.until_tables(fullest_inbox=MAX_WAITING_FRAMES)
        go.touch()
        slow = await accomplice.read_type("candidate")
        assert slow["until"] == str(go)
        received = [await accomplice.read_type("candidate") for _ in range(1000)]
        assert [each["n"] for each in received] == list(range(1000))


async def test_id_of_somebody_whose_frames_wait_is_not_taken_from_him(
    open_site: OpenSite, tmp_path: Path
) -> None:
    """While reading is paused no pong can be seen: that is no sign that he is gone."""
    go = tmp_path / "go"
    site = open_site(plugin=SLOW_PLUGIN, messages_per_s=0)
    async with (
        undisturbed(site),
        await site.connect() as victim,
        await site.connect() as thief,
    ):
        await victim.register("victim")
        data = {"to": "victim-too", "session_id": "s"}
        async with await site.connect() as other:
            await other.register("victim-too")
            await victim.send("candidate", {**data, "until": str(go)})
            keepalive = text_frame({"type": "keepalive", "data": {}})
            await victim.send_raw(keepalive * 200)
            await site.until_tables(fullest_inbox=MAX_WAITING_FRAMES)
            reading = asyncio.create_task(victim.read_until_closed())
            await thief.send("new", {"id": "victim", "name": "thief"})
            refusal = await thief.read()
            assert refusal["type"] == "error"
            assert refusal["data"]["code"] == "id-in-use"
            assert (await thief.read_until_closed()).code == 4409
            assert not reading.done()
            go.touch()
            await victim.drop()
            await reading
