"""A delivery to a receiver, as a test wants it."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from tests.plugins.webhook.receiver import SECRET, Receiver, receiving
from tornado_webrtc.clock import Clock
from tornado_webrtc.plugins.webhook.delivery import Delivery
from tornado_webrtc.plugins.webhook.event import TYPES, Event
from tornado_webrtc.plugins.webhook.retry import Backoff
from tornado_webrtc.plugins.webhook.settings import Settings
from tornado_webrtc.plugins.webhook.signature import parse_secret

log = logging.getLogger("tornado_webrtc.plugins.webhook")
CLOCK = Clock()

Open = Callable[..., Awaitable[Delivery]]


def quick() -> Backoff:
    return Backoff(first_s=0.01, longest_s=0.05)


def event(number: int, key: str = "") -> Event:
    at, wall = CLOCK.now(), CLOCK.wall()
    return Event("peer.joined", key or f"peer {number}", {"peer_id": f"p{number}"}, at, wall)


def settings_of(url: str, **changes: object) -> Settings:
    basis = Settings(
        url=url, keys=(parse_secret(SECRET),), types=frozenset(TYPES), findings=(), flush_s=0.2
    )
    return replace(basis, **changes)  # type: ignore[arg-type]


def ids(receiver: Receiver) -> list[str]:
    return [each["data"]["peer_id"] for each in receiver.events]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def deliver() -> AsyncIterator[Open]:
    """A function that opens a delivery to a URL; the end of the test closes it."""
    opened: list[Delivery] = []

    async def open_delivery(
        url: str, backoff: Callable[[], Backoff] = quick, **changes: object
    ) -> Delivery:
        delivery = Delivery(settings_of(url, **changes), "node", log, CLOCK, backoff)
        delivery.open()
        opened.append(delivery)
        return delivery

    yield open_delivery
    for delivery in opened:
        await delivery.close()
