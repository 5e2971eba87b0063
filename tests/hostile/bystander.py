"""Two calls that go on while somebody attacks the server, and must notice nothing.

Four people, two by two, exchange candidates all the time. Whatever happens
elsewhere, each candidate arrives, in order and as it was sent, and nothing else
comes but lists of peers and heartbeats.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.hostile.conversation import AFTERWARDS, PACE_S, Conversation
from tests.hostile.site import CANDIDATE_MARK, Site, until
from tests.wire import ClosedError, WireClient, call

_numbers = itertools.count(100_000)


class Bystander:
    """One person in a call.

    Attributes:
        id: The peer id.
        partner: The one at the other end.
        session_id: The call.
        complaints: What was noticed although nothing should have been.
        sent_at: The server's processor time when each candidate was sent.
        received: How many candidates of the partner have arrived.
        slowest_s: How much of it the slowest candidate took to arrive.
    """

    def __init__(self, site: Site, client: WireClient, session_id: str) -> None:
        self.id = client.id
        self.partner = self
        self.session_id = session_id
        self.complaints: list[str] = []
        self.slowest_s = 0.0
        self.sent_at: list[float] = []
        self.received = 0
        self._site = site
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._listed: set[str] = set()
        self._over = False

    def expect_listed(self, ids: set[str]) -> None:
        """Expect these ids in every list of peers."""
        self._listed = ids

    async def hang_up(self) -> None:
        """End the call, which no other bystander expects; may be called from any thread."""
        sending = self._client.send("bye", {"session_id": self.session_id})
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sending, self._loop))

    async def talk(self) -> None:
        """Send one candidate after the other."""
        while True:
            number = len(self.sent_at)
            self.sent_at.append(self._site.cpu_s())
            data = _candidate(self.id, self.partner.id, self.session_id, number)
            await self._client.send("candidate", data)
            await asyncio.sleep(PACE_S)

    async def listen(self) -> None:
        """Read until the connection ends, which it must not."""
        try:
            while True:
                message = await self._client.read()
                if not self._over:
                    self._judge(message)
        except (ClosedError, TimeoutError) as error:
            if not self._over:
                self.complaints.append(f"{self.id} lost the connection: {error!r}")

    def end(self) -> None:
        """Drop the connection, without complaints: reading may not notice a cancellation."""
        self._over = True
        self._client.writer.transport.abort()

    def _judge(self, message: dict[str, Any]) -> None:
        if message["type"] == "peers":
            if not self._listed <= {peer["id"] for peer in message["data"]}:
                self.complaints.append(f"{self.id} misses somebody in {message}")
            return
        expected = _candidate(self.partner.id, self.id, self.session_id, self.received)
        if message != {"type": "candidate", "data": expected}:
            self.complaints.append(f"{self.id} expected {expected}, got {message}")
            return
        delay_s = self._site.cpu_s() - self.partner.sent_at[self.received]
        self.slowest_s = max(self.slowest_s, delay_s)
        self.received += 1


def _candidate(sender: str, receiver: str, session_id: str, number: int) -> dict[str, Any]:
    text = f"{CANDIDATE_MARK}{number} 1 udp 2122260223 192.0.2.1 {number % 65536} typ host"
    return {
        "to": receiver,
        "from": sender,
        "candidate": {"sdpMLineIndex": 0, "sdpMid": "0", "candidate": text},
        "session_id": session_id,
    }


class Calls(Conversation):
    """Four people in two calls.

    Attributes:
        people: The first two call each other, the last two likewise.
    """

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.people: list[Bystander] = []
        self._site = site
        self._clients: list[WireClient] = []

    @property
    def persons(self) -> list[Bystander]:
        """All of them."""
        return self.people

    async def _run(self) -> None:
        try:
            for _ in range(2):
                await self._set_up()
            for client in self._clients:
                await client.settled()
            for person in self.people:
                person.expect_listed({each.id for each in self.people})
            await self._talk()
        finally:
            for client in self._clients:
                await client.drop()

    async def _set_up(self) -> None:
        pair = []
        for _ in range(2):
            pair.append(await self._site.connect())
            self._clients.append(pair[-1])
            await pair[-1].register(str(next(_numbers)))
        session_id = await call(*pair)
        one, other = (Bystander(self._site, client, session_id) for client in pair)
        one.partner, other.partner = other, one
        self.people += [one, other]

    async def _finish(self, talking: Sequence[asyncio.Task[None]]) -> None:
        """Wait until some more candidates have gone to and fro and all have arrived."""
        goals = {person.id: len(person.sent_at) + AFTERWARDS for person in self.people}
        await self._until_all(lambda person: len(person.sent_at) >= goals[person.id])
        for task in talking:
            task.cancel()
        await self._until_all(lambda person: person.received == len(person.partner.sent_at))

    async def _until_all(self, condition: Callable[[Bystander], bool]) -> None:
        def fulfilled() -> bool:
            return all(map(condition, self.people)) or any(each.complaints for each in self.people)

        await until(fulfilled, "the bystanders go on, and get all that was sent to them")


@asynccontextmanager
async def undisturbed(site: Site) -> AsyncIterator[list[Bystander]]:
    """Let two calls go on while the block runs; afterwards, check that nothing was noticed.

    Yields:
        Those in the calls: the first two with each other, the last two likewise.
    """
    since = site.log_size()
    calls = Calls(site)
    async with calls.going_on():
        yield calls.people
    complaints = site.complaints(since)
    assert not complaints, "\n".join(complaints)
