"""A call whose media go through the relay while somebody attacks the server.

One person is there over UDP, the other over TCP, each with an allocation and a
channel to the other one's. What one sends, the other one gets, as it was sent;
some may be lost on the way, as datagrams may, but they never stop.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.hostile.bystander import MAX_DELAY_S, PACE_S, undisturbed
from tests.hostile.operated import OperatedSite
from tests.hostile.site import DEADLINE_S, until
from tests.plugins.turn.client import CHANNEL, TcpWire, TurnClient

AFTERWARDS = 5
_numbers = itertools.count(1)


class Talker:
    """One end of the call.

    Attributes:
        client: The TURN client.
        sent_at: The server's processor time when each datagram was sent.
        received: How many of the partner's have arrived.
        newest: The number of the newest one of them.
        slowest_s: How much of the server's processor time the slowest took.
        complaints: What was noticed although nothing should have been.
    """

    def __init__(self, site: OperatedSite, client: TurnClient) -> None:
        self.client = client
        self.partner = self
        self.sent_at: list[float] = []
        self.received = 0
        self.newest = -1
        self.slowest_s = 0.0
        self.complaints: list[str] = []
        self._site = site

    async def talk(self) -> None:
        """Send one datagram after the other."""
        while True:
            number = len(self.sent_at)
            self.sent_at.append(self._site.cpu_s())
            self.client.send_channel(number.to_bytes(4) * 40)
            await asyncio.sleep(PACE_S)

    async def listen(self) -> None:
        """Take what comes, which must not end."""
        try:
            while True:
                self._judge(*await self.client.data())
        except (OSError, TimeoutError) as error:
            self.complaints.append(f"{self.client.username} hears nothing more: {error!r}")

    def _judge(self, source: object, data: bytes) -> None:
        number = int.from_bytes(data[:4])
        known = number < len(self.partner.sent_at)
        if source != CHANNEL or data != number.to_bytes(4) * 40 or not known:
            self.complaints.append(f"{self.client.username} got {data!r} from {source}")
            return
        self.received += 1
        self.newest = max(self.newest, number)
        delay_s = self._site.cpu_s() - self.partner.sent_at[number]
        self.slowest_s = max(self.slowest_s, delay_s)


class RelayedCall:
    """The two of them, in a thread of their own.

    Attributes:
        people: The one over UDP and the one over TCP, once they talk.
        error: What kept them from it, if anything did; raised by whoever waits for them.
    """

    def __init__(self, site: OperatedSite) -> None:
        self.people: list[Talker] = []
        self.error: BaseException | None = None
        self._site = site
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._interrupted = False

    def run(self) -> None:
        """Call and talk until `end`; runs in the thread."""
        try:
            with asyncio.Runner(debug=False) as runner:
                runner.run(self._run())
        except BaseException as error:
            self.error = error
        finally:
            self._begun.set()

    def wait_begun(self) -> None:
        """Wait until they talk, or cannot."""
        self._begun.wait(DEADLINE_S)

    def end(self, *, interrupted: bool) -> None:
        """Let them finish, or stop at once."""
        self._interrupted = interrupted
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    @property
    def lost(self) -> int:
        """How many datagrams did not arrive."""
        return sum(len(each.partner.sent_at) - each.received for each in self.people)

    async def _run(self) -> None:
        name = f"bystander-{next(_numbers)}"
        clients = [self._site.udp(name), await self._site.tcp(name)]
        try:
            for client in clients:
                await client.allocate()
            for client, other in (clients, clients[::-1]):
                assert await client.bind(other.relayed) == 0
            self.people = [Talker(self._site, client) for client in clients]
            one, other_one = self.people
            one.partner, other_one.partner = other_one, one
            await self._talk()
            for client in clients:
                assert await client.refresh(0) == 0
        finally:
            for client in clients:
                client.wire.close()
                if isinstance(client.wire, TcpWire):
                    await client.wire.writer.wait_closed()

    async def _talk(self) -> None:
        talking = [asyncio.create_task(person.talk()) for person in self.people]
        listening = [asyncio.create_task(person.listen()) for person in self.people]
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        try:
            await self._over.wait()
            if not self._interrupted:
                await self._finish()
        finally:
            for task in (*talking, *listening):
                task.cancel()
            await asyncio.gather(*talking, *listening, return_exceptions=True)

    async def _finish(self) -> None:
        """Wait until what is sent from now on arrives."""
        goals = [len(person.partner.sent_at) + AFTERWARDS for person in self.people]

        def fulfilled() -> bool:
            heard = [person.newest >= goal for person, goal in zip(self.people, goals, strict=True)]
            return all(heard) or any(person.complaints for person in self.people)

        await until(fulfilled, "those in the relayed call go on")


@asynccontextmanager
async def relaying(site: OperatedSite) -> AsyncIterator[RelayedCall]:
    """Let a relayed call go on while the block runs; afterwards, check that it never ended."""
    call = RelayedCall(site)
    running = asyncio.create_task(asyncio.to_thread(call.run))
    interrupted = True
    try:
        await asyncio.to_thread(call.wait_begun)
        if call.error is not None:
            raise call.error
        yield call
        interrupted = False
    finally:
        call.end(interrupted=interrupted)
        await running
    if call.error is not None:
        raise call.error
    complaints = [text for person in call.people for text in person.complaints]
    assert not complaints, "\n".join(complaints)
    slowest_s = max(person.slowest_s for person in call.people)
    assert slowest_s < MAX_DELAY_S, f"a datagram took {slowest_s:.1f} s of the server's time"


@asynccontextmanager
async def all_undisturbed(site: OperatedSite) -> AsyncIterator[RelayedCall]:
    """Let people call over signaling and over the relay; none of them may notice anything."""
    async with relaying(site) as call, undisturbed(site):
        yield call
