"""People who talk while somebody attacks the server, in a thread of their own.

So they are not late only because the test is busy with its attack.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from tests.hostile.site import DEADLINE_S

PACE_S = 0.04
"""Between two things that one person says."""

AFTERWARDS = 5
"""How much of what each says has to arrive after the attack is over."""

MAX_DELAY_S = 3.0
"""How late anything may be, in processor time that the server used meanwhile.

On a busy machine it waits longer, but that is nobody's fault: what counts is what
the server did before it got to it.
"""


class Person(Protocol):
    """Somebody who talks.

    Attributes:
        complaints: What was noticed although nothing should have been.
        slowest_s: How much of the server's processor time the slowest took that came.
    """

    complaints: list[str]
    slowest_s: float

    async def talk(self) -> None:
        """Say one thing after the other, without end."""

    async def listen(self) -> None:
        """Take what comes, without end."""

    def end(self) -> None:
        """Is called when it is over."""


class Conversation(ABC):
    """What goes on in the thread."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._interrupted = False
        self._error: BaseException | None = None

    @property
    @abstractmethod
    def persons(self) -> Sequence[Person]:
        """All who talk, once they do."""

    @abstractmethod
    async def _run(self) -> None:
        """Come, `_talk`, and go."""

    @abstractmethod
    async def _finish(self, talking: Sequence[asyncio.Task[None]]) -> None:
        """Wait until what is sent from now on arrives."""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Let them talk while the block runs; afterwards, check that nobody noticed anything."""
        running = asyncio.create_task(asyncio.to_thread(self._in_thread))
        interrupted = True
        try:
            await asyncio.to_thread(self._begun.wait, DEADLINE_S)
            if self._error is not None:
                raise self._error
            yield
            interrupted = False
        finally:
            self._end(interrupted=interrupted)
            await running
        if self._error is not None:
            raise self._error
        complaints = [text for person in self.persons for text in person.complaints]
        assert not complaints, "\n".join(complaints)
        slowest_s = max(person.slowest_s for person in self.persons)
        assert slowest_s < MAX_DELAY_S, f"something took {slowest_s:.1f} s of the server's time"

    def _in_thread(self) -> None:
        try:
            with asyncio.Runner(debug=False) as runner:
                runner.run(self._run())
        except BaseException as error:
            self._error = error  # whoever waits raises it
        finally:
            self._begun.set()

    def _end(self, *, interrupted: bool) -> None:
        """Let them finish, or stop at once."""
        self._interrupted = interrupted
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    async def _talk(self) -> None:
        """Let everybody talk and listen until it is over."""
        listening = [asyncio.create_task(person.listen()) for person in self.persons]
        talking = [asyncio.create_task(person.talk()) for person in self.persons]
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        try:
            await self._over.wait()
            if not self._interrupted:
                await self._finish(talking)
        finally:
            for person in self.persons:
                person.end()
            for task in (*talking, *listening):
                task.cancel()
            await asyncio.gather(*talking, *listening, return_exceptions=True)
