"""One at a time, who has tried least first; nobody is forgotten and no turn is lost."""

import asyncio
import itertools

from tornado_webrtc.plugins.rooms.turnstile import Turnstile

LONG_S = 30.0


class Queue:
    """A turnstile that is taken, and those who wait."""

    def __init__(self, size: int = 10) -> None:
        self.turnstile = Turnstile(size)
        self.order: list[str] = []

    async def taken(self) -> None:
        assert await self.turnstile.enter(0, LONG_S)

    async def wait(
        self, name: str, tries: int = 0, patience_s: float = LONG_S
    ) -> asyncio.Task[bool]:
        """Begin to wait; whose turn it is leaves at once."""

        async def come() -> bool:
            admitted = await self.turnstile.enter(tries, patience_s)
            if admitted:
                self.order.append(name)
                self.turnstile.leave()
            return admitted

        task = asyncio.create_task(come())
        await asyncio.sleep(0)
        return task


async def test_who_has_tried_least_goes_first() -> None:
    queue = Queue()
    await queue.taken()
    tasks = [
        await queue.wait(name, tries)
        for name, tries in (("a", 2), ("b", 0), ("c", 1), ("d", 0), ("e", 2))
    ]
    assert queue.order == []
    queue.turnstile.leave()
    assert all(await asyncio.gather(*tasks))
    assert queue.order == ["b", "d", "c", "a", "e"]
    await asyncio.wait_for(queue.taken(), LONG_S)


async def test_who_has_tried_most_gives_way() -> None:
    queue = Queue(2)
    await queue.taken()
    first, second = await queue.wait("a", 3), await queue.wait("b", 1)
    assert not await (await queue.wait("c", 4)), "there is no place for it"
    third = await queue.wait("d", 2)
    assert not await first
    assert not await (await queue.wait("e", 2)), "who came first stays"
    queue.turnstile.leave()
    assert await second
    assert await third
    assert queue.order == ["b", "d"]


async def test_patience_ends() -> None:
    queue = Queue(1)
    await queue.taken()
    assert not await (await queue.wait("a", patience_s=0.01))
    task = await queue.wait("b", 5)
    queue.turnstile.leave()
    assert await task, "the place of the one before is free"


async def test_who_is_cancelled_passes_its_turn_on() -> None:
    queue = Queue()
    await queue.taken()
    waits, next_one = await queue.wait("a"), await queue.wait("b")
    queue.turnstile.leave()
    waits.cancel()
    await asyncio.wait({waits})
    assert waits.cancelled()
    assert await asyncio.wait_for(next_one, LONG_S)
    assert queue.order == ["b"]


async def test_who_is_cancelled_while_waiting_leaves() -> None:
    queue = Queue(1)
    await queue.taken()
    waits = await queue.wait("a")
    waits.cancel()
    await asyncio.wait({waits})
    other = await queue.wait("b", 5)
    queue.turnstile.leave()
    assert await other


async def test_no_turn_is_lost_whatever_they_do() -> None:
    tries, victims = itertools.cycle(range(3)), itertools.cycle(range(8))
    patience, stay = itertools.cycle((0.0, 0.001, LONG_S, LONG_S)), itertools.cycle((0, 0, 0.001))
    queue = Queue(5)
    inside = most = 0

    async def come() -> None:
        nonlocal inside, most
        if await queue.turnstile.enter(next(tries), next(patience)):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(next(stay))
            finally:
                inside -= 1
                queue.turnstile.leave()

    for _ in range(200):
        tasks = [asyncio.create_task(come()) for _ in range(8)]
        await asyncio.sleep(0)
        tasks[next(victims)].cancel()
        await asyncio.wait(tasks, timeout=LONG_S)
        assert all(task.done() for task in tasks)
    assert most == 1
    assert await queue.turnstile.enter(0, LONG_S)
