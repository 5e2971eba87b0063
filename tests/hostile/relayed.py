"""A call whose media go through the relay while somebody attacks the server.

One person is there over UDP, the other over TCP, each with an allocation and a
channel to the other one's. What one sends, the other one gets, as it was sent;
some may be lost on the way, as datagrams may, but they never stop.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.hostile.bystander import undisturbed
from tests.hostile.conversation import AFTERWARDS, PACE_S, Conversation
from tests.hostile.operated import OperatedSite
from tests.hostile.site import until
from tests.plugins.turn.client import CHANNEL, TcpWire, TurnClient

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

    def end(self) -> None:
        """Leave the wire open: the allocation is not over yet."""

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


class RelayedCall(Conversation):
    """The two of them.

    Attributes:
        people: The one over UDP and the one over TCP, once they talk.
    """

    def __init__(self, site: OperatedSite) -> None:
        super().__init__()
        self.people: list[Talker] = []
        self._site = site

    @property
    def persons(self) -> list[Talker]:
        """Both."""
        return self.people

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

    async def _finish(self, _talking: Sequence[asyncio.Task[None]]) -> None:
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
    async with call.going_on():
        yield call


@asynccontextmanager
async def all_undisturbed(site: OperatedSite) -> AsyncIterator[RelayedCall]:
    """Let people call over signaling and over the relay; none of them may notice anything."""
    async with relaying(site) as call, undisturbed(site):
        yield call
