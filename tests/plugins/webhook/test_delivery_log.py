"""What the log says of a receiver that fails, changes and comes back."""

import asyncio

import pytest

from tests.conftest import ExpectLog
from tests.plugins.webhook.delivering import Open, deliver, event, receiver, settings_of
from tests.plugins.webhook.receiver import Receiver, Reply, receiving
from tests.wire import until
from tornado_webrtc.plugins.webhook.retry import Backoff

__all__ = ["deliver", "receiver"]


async def test_another_reason_is_told_at_once(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("takes no events: it answers with HTTP 500")
    expect_log("takes no events: it closes the connection without an answer")
    receiver.replies.extend([Reply(500), Reply(500), Reply(hangs_up=True), Reply(500)])
    delivery = await deliver(receiver.url)
    delivery.put(event(1))
    await until(lambda: delivery.counters["sent"] == 1)
    assert delivery.counters["failed"] == 4
    assert len([line for line in caplog.messages if "takes no events" in line]) == 2


async def test_a_reload_says_anew_what_goes_wrong(
    deliver: Open, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("takes no events: Connection refused")
    expect_log("events are dropped: the server stops, and 0 s are over")
    async with receiving() as first, receiving() as second:
        urls = [first.url, second.url]
    delivery = await deliver(urls[0], lambda: Backoff(first_s=1000.0))
    delivery.put(event(1))
    await until(lambda: delivery.counters["failed"] == 1)
    delivery.change(settings_of(urls[1], flush_s=0.0))
    await until(lambda: delivery.counters["failed"] == 2)
    told = [line.partition(" takes")[0] for line in caplog.messages if "takes no events" in line]
    assert told == [first.origin, second.origin]


@pytest.mark.parametrize(("failure", "lost"), [(404, 1), (410, 1), (410, 2)])
async def test_first_success_after_a_complaint_is_told(
    receiver: Receiver,
    deliver: Open,
    failure: int,
    lost: int,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that fails again and again within a minute is told of once, both ways."""
    expect_log("events are dropped")
    expect_log(f"HTTP {failure}")
    caplog.set_level("INFO")
    receiver.replies.extend([Reply(failure), Reply(), Reply(404), Reply(), Reply(404), Reply()])
    delivery = await deliver(receiver.url)
    for _ in range(lost):
        delivery.put(event(0))
    await until(lambda: delivery.counters["dropped"] == lost)
    async with receiving() as other:
        other.replies.extend(receiver.replies)
        delivery.change(settings_of(other.url))
        for number in range(1, 6):
            delivery.put(event(number))
        await until(lambda: delivery.counters["sent"] == 3)
    told = [line for line in caplog.messages if "are delivered to" in line]
    assert told[0] == f"events are delivered to {other.origin} again"
    complaints = [line for line in caplog.messages if "refuses them" in line]
    assert len(told) == 2, "one for each complaint"
    assert len(complaints) == (2 if failure == 404 else 1)


async def test_success_at_the_receiver_before_says_nothing_of_the_new_one(
    receiver: Receiver, deliver: Open, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("takes no events: it answers with HTTP 500")
    caplog.set_level("INFO")
    answering = asyncio.Event()
    receiver.replies.extend([Reply(500), Reply(waits=answering)])
    delivery = await deliver(receiver.url)
    delivery.put(event(1))
    await until(lambda: len(receiver.requests) == 2)
    async with receiving() as other:
        delivery.change(settings_of(other.url))
        answering.set()
        await until(lambda: delivery.counters["sent"] == 1)
        assert "are delivered to" not in caplog.text
        delivery.put(event(2))
        await until(lambda: delivery.counters["sent"] == 2)
    assert f"events are delivered to {other.origin} again" in caplog.messages
