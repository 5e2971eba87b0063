"""Sends events: one after the other, again after failures, for a while.

Workers, one unless more are asked for, take events from the backlog. One that fails is
tried again until it is delivered, refused or too old; its successors wait. The pause
between attempts belongs to the receiver, not to the event: a receiver that is down is
asked once a minute, however many events there are.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado_webrtc.repeats import Repeats

from .backlog import Backlog
from .endpoint import Answer, Endpoint, Verdict
from .event import Event
from .retry import Backoff, retry_after

if TYPE_CHECKING:
    from tornado_webrtc.clock import Clock

    from .settings import Settings

__all__ = ["Delivery"]

COUNTERS = ("sent", "failed", "retried", "refused", "dropped")


class Delivery:
    """Delivers events to a receiver.

    Args:
        settings: Without faults.
        node_id: The server, for the receiver.
        log: The plugin's logger.
        clock: The time.
        backoff: Says when to try again.

    Attributes:
        counters: How often what happened: `COUNTERS`.
    """

    def __init__(
        self,
        settings: Settings,
        node_id: str,
        log: logging.Logger,
        clock: Clock,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._node_id = node_id
        self._log = log
        self._clock = clock
        self._repeats = Repeats(clock.now)
        self._backlog = Backlog(settings.max_queue)
        self._backoff = backoff()
        self._settings = settings
        self._endpoint = _endpoint(settings)
        self._missed = 0
        self._gone = False
        self._complained = False
        self._workers: list[asyncio.Task[None]] = []
        self._arrived = asyncio.Event()
        self._nudge = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))

    @property
    def waiting(self) -> int:
        """How many events are not delivered yet, those that are being sent among them."""
        return len(self._backlog) + self._backlog.busy

    # --- life -------------------------------------------------------------------------

    def open(self) -> None:
        """Deliver from now on."""
        self._employ()

    def put(self, event: Event) -> None:
        """Deliver an event as soon as can be; never waits."""
        if self._gone:
            self._drop(1, "the receiver wants no events any more")
            return
        dropped = self._backlog.put(event)
        if dropped:
            self._drop(dropped, f"{self._backlog.limit} wait already, the oldest give way")
        self._idle.clear()
        self._arrived.set()

    def change(self, settings: Settings) -> None:
        """Go by other settings, and begin anew: at once, and even if the receiver was gone.

        What goes wrong from now on is logged, however lately something was.
        """
        self._settings = settings
        self._repeats = Repeats(self._clock.now)
        old, self._endpoint = self._endpoint, _endpoint(settings)
        old.close()
        self._gone = False
        self._backlog.limit = settings.max_queue
        if dropped := self._backlog.trim():
            self._drop(dropped, f"max_queue is {settings.max_queue} now")
        self._backoff.reset()
        self._employ()
        self._wake()

    async def close(self) -> None:
        """Deliver what waits, for `flush_s` at most, and end."""
        self._backoff.reset()
        self._wake()
        try:
            await asyncio.wait_for(self._idle.wait(), self._settings.flush_s)
        except TimeoutError:
            if waiting := self.waiting:  # with no time at all, it is over before anybody looked
                flush_s = self._settings.flush_s
                self._drop(waiting, f"the server stops, and {flush_s:g} s are over")
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers)
        self._endpoint.close()

    def _employ(self) -> None:
        """Have as many workers as are wanted; one too many leaves when it is done."""
        self._workers = [worker for worker in self._workers if not worker.done()]
        for number in range(len(self._workers), self._settings.concurrency):
            self._workers.append(asyncio.create_task(self._work(), name=f"webhook: {number}"))

    def _wake(self) -> None:
        """Let those that pause look up."""
        self._nudge.set()
        self._nudge.clear()
        self._arrived.set()

    # --- work -------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._is_superfluous():
            event = self._backlog.take()
            if event is None:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            try:
                await self._deliver(event)
            except Exception:  # the next one may well be sent
                self._log.exception("%s cannot be made a request of", event.type)
                self._drop(1, "they cannot be made requests of")
            self._backlog.finish(event)
            self._arrived.set()
            if self._backlog.idle:
                self._idle.set()

    def _is_superfluous(self) -> bool:
        mine = asyncio.current_task()
        employed = [worker for worker in self._workers if not worker.done()]
        return mine in employed[self._settings.concurrency :]

    async def _deliver(self, event: Event) -> None:
        """Send an event until something comes of it."""
        await self._pause()
        missed, self._missed = self._missed, 0
        body = event.body(self._node_id, missed)
        attempts = 0
        while not self._gone:
            began_at = self._clock.now()
            self.counters["retried"] += attempts > 0
            endpoint = self._endpoint
            answer = await endpoint.post(event.id, int(self._clock.wall()), body)
            attempts += 1
            if answer.verdict is Verdict.DELIVERED:
                self._delivered(endpoint, began_at)
                return
            if endpoint is not self._endpoint:
                continue  # a reload has named another receiver, of which this says nothing
            if why := self._over(event, answer, began_at):
                self._missed += missed
                self._complained |= self._drop(1, why)
                return
            await self._pause()
        self._missed += missed
        self._drop(1, "the receiver wants no events any more")

    def _delivered(self, endpoint: Endpoint, began_at: float) -> None:
        """Note that an event arrived; the first one after a complaint is worth a line."""
        self.counters["sent"] += 1
        is_news = endpoint is self._endpoint and self._backoff.succeeded(began_at)
        if is_news and self._complained:
            self._complained = False
            self._log.info("events are delivered to %s again", endpoint.origin)

    def _over(self, event: Event, answer: Answer, began_at: float) -> str:
        """Note that an attempt failed; says why there will be no other, or nothing."""
        self.counters["failed"] += 1
        now = self._clock.now()
        if answer.verdict is Verdict.GONE:
            self._stop_sending(answer)
            return "the receiver wants no events any more"
        if answer.verdict is Verdict.REFUSED:
            self.counters["refused"] += 1
            self._backoff.succeeded(began_at)
            return f"{self._endpoint.origin} refuses them: {answer.reason}"
        asked_s = retry_after(answer.retry_after, self._clock.wall())
        self._backoff.failed(began_at, now, asked_s)
        if self._repeats.add(f"failed: {answer.reason}"):
            text = "%s takes no events: %s; %d wait, the next attempt is in %.0f s"
            pause_s = self._backoff.until - now
            self._log.warning(text, self._endpoint.origin, answer.reason, self.waiting, pause_s)
            self._complained = True
        if now - event.at > self._settings.give_up_after_s:
            return f"they are older than {self._settings.give_up_after_s:g} s"
        return ""

    def _stop_sending(self, answer: Answer) -> None:
        """HTTP 410: nothing more is sent until somebody has looked at the settings."""
        self._gone = self._complained = True
        text = "%s wants no events any more (%s); nothing is sent until a reload"
        self._log.error(text, self._endpoint.origin, answer.reason)
        if dropped := self._backlog.clear():
            self._drop(dropped, "the receiver wants no events any more")

    async def _pause(self) -> None:
        """Wait until the receiver may be asked again."""
        while (left_s := self._backoff.until - self._clock.now()) > 0 and not self._gone:
            try:
                await asyncio.wait_for(self._nudge.wait(), left_s)
            except TimeoutError:
                continue

    def _drop(self, count: int, why: str) -> bool:
        """Count events that nobody will get; logged once a minute for each reason.

        Returns:
            Whether it was logged.
        """
        self.counters["dropped"] += count
        self._missed += count
        is_news = self._repeats.add(why) > 0
        if is_news:
            total = self.counters["dropped"]
            self._log.warning("events are dropped: %s; %d since the start", why, total)
        return is_news


def _endpoint(settings: Settings) -> Endpoint:
    return Endpoint(
        settings.url,
        settings.keys,
        timeout_s=settings.timeout_s,
        ca_file=settings.ca_file,
        connections=settings.concurrency,
    )
