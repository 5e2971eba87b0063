"""Delivery to real receivers that fail, hang, refuse and come back."""

import asyncio
import time
import tracemalloc
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.conftest import ExpectLog
from tests.plugins.webhook.delivering import (
    CLOCK,
    Open,
    deliver,
    event,
    ids,
    log,
    quick,
    receiver,
    settings_of,
)
from tests.plugins.webhook.receiver import OLD_SECRET, SECRET, Receiver, Reply, receiving
from tests.wire import until
from tornado_webrtc.plugins.webhook.delivery import COUNTERS, Delivery
from tornado_webrtc.plugins.webhook.event import Event
from tornado_webrtc.plugins.webhook.retry import Backoff
from tornado_webrtc.plugins.webhook.signature import parse_secret

__all__ = ["deliver", "receiver"]


def counts(delivery: Delivery) -> dict[str, int]:
    return {name: count for name, count in delivery.counters.items() if count}


async def test_in_order_and_signed(receiver: Receiver, deliver: Open) -> None:
    delivery = await deliver(receiver.url)
    for number in range(20):
        delivery.put(event(number))
    await until(lambda: delivery.counters["sent"] == 20)
    assert ids(receiver) == [f"p{number}" for number in range(20)]
    assert receiver.most_at_once == 1
    assert len({request.id for request in receiver.requests}) == 20
    for request in receiver.requests:
        assert Webhook(SECRET).verify(request.body, request.headers) == request.event
        assert (request.event["node_id"], request.event["dropped"]) == ("node", 0)
    assert set(delivery.counters) == set(COUNTERS)
    assert counts(delivery) == {"sent": 20}


@pytest.mark.parametrize(
    "failure",
    [Reply(500), Reply(503), Reply(408), Reply(429), Reply(hangs_up=True), Reply(hangs=True)],
    ids=["500", "503", "408", "429", "hangs-up", "hangs"],
)
async def test_fails_twice_then_accepts(
    receiver: Receiver, deliver: Open, failure: Reply, expect_log: ExpectLog
) -> None:
    expect_log(r"http://127.0.0.1:\d+ takes no events: .*; 3 wait, the next attempt is in 0 s")
    receiver.replies.extend([failure, failure])
    delivery = await deliver(receiver.url, timeout_s=1.0 if failure.hangs else 30.0)
    for number in range(3):
        delivery.put(event(number))
    await until(lambda: len(receiver.requests) >= 2)
    delivery._endpoint._timeout_s = 30.0  # for those that are begun from now on
    await until(lambda: delivery.counters["sent"] == 3)
    assert ids(receiver) == ["p0", "p0", "p0", "p1", "p2"], "the others wait, in order"
    first = receiver.requests[:3]
    assert len({request.id for request in first}) == 1
    assert len({request.body for request in first}) == 1
    assert counts(delivery) == {"sent": 3, "failed": 2, "retried": 2}


async def test_pauses_grow(receiver: Receiver, deliver: Open, expect_log: ExpectLog) -> None:
    expect_log("takes no events")
    receiver.replies.extend([Reply(503)] * 4)
    delivery = await deliver(receiver.url, lambda: Backoff(first_s=0.1, chance=lambda: 1.0))
    delivery.put(event(1))
    await until(lambda: delivery.counters["sent"] == 1)
    at = [request.at for request in receiver.requests]
    for pause, earlier, later in zip((0.1, 0.2, 0.4, 0.8), at, at[1:], strict=False):
        assert later - earlier >= pause


async def test_retry_after_is_honoured(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log("it answers with HTTP 429; 1 wait, the next attempt is in 1 s")
    receiver.replies.append(Reply(429, {"Retry-After": "1"}))
    delivery = await deliver(receiver.url)
    delivery.put(event(1))
    await until(lambda: delivery.counters["sent"] == 1)
    first, second = receiver.requests
    assert second.at - first.at >= 1.0
    assert second.id == first.id


@pytest.mark.parametrize("late", [204, 404])
async def test_a_late_answer_does_not_take_back_a_pause(
    receiver: Receiver, deliver: Open, late: int, expect_log: ExpectLog
) -> None:
    """One of two that were under way together fails; what the other is answered is older."""
    expect_log("it answers with HTTP 429; 3 wait, the next attempt is in 600 s")
    expect_log("events are dropped: the server stops")
    if late == 404:
        expect_log("events are dropped: .* refuses them")
    answering = asyncio.Event()
    receiver.replies.extend([Reply(429, {"Retry-After": "600"}), Reply(late, waits=answering)])
    delivery = await deliver(receiver.url, concurrency=2)
    for number in range(3):
        delivery.put(event(number))
    await until(lambda: delivery.counters["failed"] == 1)
    answering.set()
    await until(lambda: delivery.waiting == 2)
    await asyncio.sleep(0.1)  # for what must not be sent
    assert len(receiver.requests) == 2
    receiver.usual = Reply(hangs=True)


async def test_refused_is_not_tried_again(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("events are dropped: http://127.0.0.1:.* refuses them: it answers with HTTP 404")
    receiver.replies.extend([Reply(404)] * 5)
    delivery = await deliver(receiver.url)
    for number in range(6):
        delivery.put(event(number))
    await until(lambda: delivery.counters["sent"] == 1)
    assert ids(receiver) == [f"p{number}" for number in range(6)]
    assert counts(delivery) == {"sent": 1, "failed": 5, "refused": 5, "dropped": 5}
    assert receiver.events[-1]["dropped"] == 5
    assert len([line for line in caplog.messages if "dropped" in line]) == 1
    assert "s3cr3t" not in caplog.text


async def test_gone_until_somebody_looks_at_it(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log(r"wants no events any more \(it answers with HTTP 410\)")
    expect_log("events are dropped: the receiver wants no events any more")
    receiver.replies.append(Reply(410))
    delivery = await deliver(receiver.url)
    for number in range(4):
        delivery.put(event(number))
    await until(lambda: delivery.counters["dropped"] == 4)
    delivery.put(event(4))
    assert counts(delivery) == {"failed": 1, "dropped": 5}
    assert len(receiver.requests) == 1
    delivery.change(settings_of(receiver.url))
    delivery.put(event(5))
    await until(lambda: delivery.counters["sent"] == 1)
    assert ids(receiver) == ["p0", "p5"]
    assert receiver.events[-1]["dropped"] == 5


async def test_receiver_comes_back(
    deliver: Open, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("takes no events: Connection refused")
    caplog.set_level("INFO")
    async with receiving() as there:
        url, port = there.url, there.port
    delivery = await deliver(url)
    for number in range(10):
        delivery.put(event(number))
    await until(lambda: delivery.counters["failed"] >= 3)
    async with receiving(port=port) as back:
        await until(lambda: delivery.counters["sent"] == 10)
        assert ids(back) == [f"p{number}" for number in range(10)]
    assert delivery.counters["dropped"] == 0
    assert len([line for line in caplog.messages if "takes no events" in line]) == 1
    assert [line for line in caplog.messages if "are delivered to" in line]


async def test_too_old(deliver: Open, expect_log: ExpectLog) -> None:
    expect_log("takes no events: Connection refused")
    expect_log("events are dropped: they are older than 0 s")
    async with receiving() as there:
        url = there.url
    delivery = await deliver(url)
    delivery.put(event(1))
    delivery.put(event(2))
    await until(lambda: delivery.counters["retried"] >= 1)
    assert delivery.counters["dropped"] == 0
    delivery.change(settings_of(url, give_up_after_s=0.0))
    await until(lambda: delivery.counters["dropped"] == 2)


async def test_oldest_give_way_and_the_next_says_how_many(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log("takes no events: it answers with HTTP 503")
    expect_log("events are dropped: 3 wait already, the oldest give way")
    receiver.usual = Reply(503)
    delivery = await deliver(receiver.url, max_queue=3)
    delivery.put(event(0))
    await until(lambda: delivery.counters["failed"] > 0)
    for number in range(1, 8):
        delivery.put(event(number))
    assert delivery.waiting == 4, "beside the three, the one that is being sent"
    receiver.usual = Reply()
    await until(lambda: delivery.counters["sent"] == 4)
    delivered = receiver.events[-4:]
    assert [each["data"]["peer_id"] for each in delivered] == ["p0", "p5", "p6", "p7"]
    assert [each["dropped"] for each in delivered] == [0, 4, 0, 0]
    assert delivery.counters["dropped"] == 4


async def test_what_a_lost_event_said_of_others_is_said_again(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log("events are dropped")
    receiver.replies.extend([Reply(404), Reply(404), Reply()])
    delivery = await deliver(receiver.url)
    for number in range(3):
        delivery.put(event(number))
    await until(lambda: delivery.counters["sent"] == 1)
    assert [each["dropped"] for each in receiver.events] == [0, 1, 2]


async def test_several_at_once_keep_each_keys_order(receiver: Receiver, deliver: Open) -> None:
    answering = asyncio.Event()
    receiver.usual = Reply(waits=answering)
    delivery = await deliver(receiver.url, concurrency=4)
    for number in range(60):
        delivery.put(event(number, f"key {number % 5}"))
    await until(lambda: receiver.under_way == 4)
    answering.set()
    await until(lambda: delivery.counters["sent"] == 60)
    assert receiver.most_at_once == 4
    for key in range(5):
        numbers = [int(each[1:]) for each in ids(receiver) if int(each[1:]) % 5 == key]
        assert numbers == sorted(numbers)
        assert len(numbers) == 12


async def test_more_and_fewer_at_once(receiver: Receiver, deliver: Open) -> None:
    delivery = await deliver(receiver.url)
    for concurrency, total in ((4, 40), (1, 80), (2, 120)):
        delivery.change(settings_of(receiver.url, concurrency=concurrency))
        answering = asyncio.Event()
        receiver.usual = Reply(waits=answering)
        receiver.most_at_once = 0
        for number in range(40):
            delivery.put(event(number))
        await until(lambda most=concurrency: receiver.under_way == most)  # type: ignore[misc]
        answering.set()
        await until(lambda total=total: delivery.counters["sent"] == total)  # type: ignore[misc]
        assert receiver.most_at_once == concurrency


async def test_another_receiver_and_other_secrets(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log("takes no events: Connection refused; 2 wait")
    async with receiving() as there:
        url = there.url
    delivery = await deliver(url, lambda: Backoff(first_s=1000.0))
    delivery.put(event(1))
    delivery.put(event(2))
    await until(lambda: delivery.counters["failed"] == 1)
    keys = (parse_secret(SECRET), parse_secret(OLD_SECRET))
    delivery.change(settings_of(receiver.url, keys=keys))
    await until(lambda: delivery.counters["sent"] == 2)
    assert ids(receiver) == ["p1", "p2"]
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)


async def test_late_answer_of_the_receiver_before(receiver: Receiver, deliver: Open) -> None:
    asked, answering = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answering.wait()
        writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as before:
        port = before.sockets[0].getsockname()[1]
        delivery = await deliver(f"http://127.0.0.1:{port}/")
        delivery.put(event(1))
        await asyncio.wait_for(asked.wait(), 10)
        delivery.change(settings_of(receiver.url))
        answering.set()
        await until(lambda: delivery.counters["sent"] == 1)
    assert ids(receiver) == ["p1"]
    assert delivery.counters["dropped"] == 0


async def test_shorter_queue(deliver: Open, expect_log: ExpectLog) -> None:
    expect_log("takes no events")
    expect_log("events are dropped: max_queue is 2 now")
    expect_log("events are dropped: the server stops, and 0 s are over")
    async with receiving() as there:
        url = there.url
    delivery = await deliver(url, lambda: Backoff(first_s=1000.0))
    for number in range(10):
        delivery.put(event(number))
    await until(lambda: delivery.counters["failed"] == 1)
    delivery.change(settings_of(url, max_queue=2, flush_s=0.0))
    assert delivery.counters["dropped"] == 7


async def test_close_sends_what_waits(receiver: Receiver, expect_log: ExpectLog) -> None:
    expect_log("takes no events: it answers with HTTP 503")
    receiver.replies.append(Reply(503))
    delivery = Delivery(
        settings_of(receiver.url, flush_s=8.0), "node", log, CLOCK, lambda: Backoff(first_s=1000.0)
    )
    delivery.open()
    for number in range(20):
        delivery.put(event(number))
    await until(lambda: delivery.counters["failed"] == 1)
    await delivery.close()
    assert counts(delivery) == {"sent": 20, "failed": 1, "retried": 1}


async def test_close_without_time_loses_nothing_if_nothing_waits(receiver: Receiver) -> None:
    delivery = Delivery(settings_of(receiver.url, flush_s=0), "node", log, CLOCK, quick)
    delivery.open()
    await delivery.close()
    assert counts(delivery) == {}


async def test_close_does_not_wait_for_ever(receiver: Receiver, expect_log: ExpectLog) -> None:
    expect_log("events are dropped: the server stops, and 0.2 s are over; 5 since the start")
    receiver.usual = Reply(hangs=True)
    delivery = Delivery(settings_of(receiver.url), "node", log, CLOCK)
    delivery.open()
    for number in range(5):
        delivery.put(event(number))
    await until(lambda: bool(receiver.requests))
    began = time.monotonic()
    await delivery.close()
    assert time.monotonic() - began < 6.0
    assert counts(delivery) == {"dropped": 5}


async def test_close_before_anything_happened() -> None:
    delivery = Delivery(settings_of("http://127.0.0.1:9/"), "node", log, CLOCK)
    delivery.open()
    await delivery.close()
    assert counts(delivery) == {}


async def test_tls(tmp_path: Path, deliver: Open) -> None:
    async with receiving(tmp_path) as receiver:
        delivery = await deliver(receiver.url, ca_file=tmp_path / "receiver.pem")
        delivery.put(event(1))
        await until(lambda: delivery.counters["sent"] == 1)


async def test_what_is_no_json_stops_nobody(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    expect_log("peer.joined cannot be made a request of")
    expect_log("events are dropped: they cannot be made requests of")
    delivery = await deliver(receiver.url)
    delivery.put(Event("peer.joined", "peer", {"subject": object()}, 0.0, 0.0))
    delivery.put(event(1, "peer"))
    await until(lambda: delivery.counters["sent"] == 1)
    assert receiver.events[0]["dropped"] == 1


async def test_burst_at_a_dead_receiver(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog
) -> None:
    """Neither memory nor the event loop suffers; the log has a line, not thousands."""
    expect_log("events are dropped: 1000 wait already")
    expect_log("events are dropped: the server stops")
    receiver.usual = Reply(hangs=True)
    delivery = await deliver(receiver.url, max_queue=1000, flush_s=0.0, timeout_s=60.0)
    delivery.put(event(0))
    await until(lambda: bool(receiver.requests))
    for number in range(1000):
        delivery.put(event(number))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        slowest = 0.0
        for _ in range(20):
            for number in range(1000):
                delivery.put(event(number))
            began = time.perf_counter()
            await asyncio.sleep(0)
            slowest = max(slowest, time.perf_counter() - began)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert delivery.counters["dropped"] == 20_000
    assert after - before < 2_000_000
    assert slowest < 2.0
    assert len(receiver.requests) == 1
