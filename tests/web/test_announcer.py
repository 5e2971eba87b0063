"""The announcer: at once when it is cheap, together when it is not, never after its end."""

import asyncio

from tornado_webrtc.clock import Clock
from tornado_webrtc.web.announcer import BYTES_PER_S, LISTS_AT_ONCE, MAX_DELAY_S, Announcer

DEADLINE_S = 10.0


class Scene:
    """An announcer whose lists cost what the test says, at a time that stands still."""

    def __init__(self, cost_s: float = 0.0) -> None:
        self.now = 1000.0
        self.cost = int(cost_s * BYTES_PER_S)
        self.sent: list[str] = []
        self.announcer = Announcer(self._send, Clock(now=lambda: self.now))
        self._sending = asyncio.Event()

    def _send(self, scope: str) -> int:
        self.sent.append(scope)
        self._sending.set()
        return self.cost

    async def next_list(self) -> None:
        self._sending.clear()
        await asyncio.wait_for(self._sending.wait(), DEADLINE_S)


async def test_first_change_goes_out_at_once() -> None:
    scene = Scene(cost_s=1.0)
    scene.announcer.announce("")
    assert scene.sent == [""]
    assert not scene.announcer.pending("")


async def test_list_that_costs_nothing_never_waits() -> None:
    scene = Scene(cost_s=0.0)
    for _ in range(3):
        scene.announcer.announce("")
    assert scene.sent == ["", "", ""]


async def test_many_cheap_lists_are_spaced_too() -> None:
    scene = Scene(cost_s=0.0)
    for _ in range(50):
        scene.announcer.announce("")
    assert len(scene.sent) == LISTS_AT_ONCE
    assert scene.announcer.pending("")
    scene.announcer.announce("another scope")
    assert scene.sent[-1] == "another scope"
    scene.announcer.stop()


async def test_changes_after_a_costly_list_go_out_as_one() -> None:
    scene = Scene(cost_s=0.05)
    for _ in range(5):
        scene.announcer.announce("")
    assert scene.sent == [""]
    assert scene.announcer.pending("")
    await scene.next_list()
    assert not scene.announcer.pending("")
    assert scene.sent == ["", ""]


async def test_change_after_the_pause_goes_out_at_once_again() -> None:
    scene = Scene(cost_s=1.0)
    scene.announcer.announce("")
    scene.now += 1.0
    scene.announcer.announce("")
    assert scene.sent == ["", ""]


async def test_scopes_do_not_wait_for_each_other() -> None:
    scene = Scene(cost_s=60.0)
    for scope in ("a", "b", "a", "b", "c"):
        scene.announcer.announce(scope)
    assert scene.sent == ["a", "b", "c"]
    assert [scope for scope in "abc" if scene.announcer.pending(scope)] == ["a", "b"]
    scene.announcer.stop()


async def test_even_the_largest_list_is_never_older_than_the_limit() -> None:
    scene = Scene(cost_s=3600.0)
    scene.announcer.announce("")
    scene.now += MAX_DELAY_S - 0.01
    scene.announcer.announce("")
    assert scene.announcer.pending("")
    await scene.next_list()
    scene.now += MAX_DELAY_S
    scene.announcer.announce("")
    assert scene.sent == ["", "", ""]


async def test_scope_that_became_empty_is_forgotten() -> None:
    scene = Scene(cost_s=60.0)
    scene.announcer.announce("")
    scene.now += MAX_DELAY_S
    scene.cost = 0
    scene.announcer.announce("")
    scene.announcer.announce("")
    assert scene.sent == ["", "", ""]


async def test_nothing_goes_out_after_the_end() -> None:
    scene = Scene(cost_s=0.01)
    scene.announcer.announce("a")
    scene.announcer.announce("a")
    scene.announcer.stop()
    assert not scene.announcer.pending("a")
    for scope in ("a", "b", "b"):
        scene.announcer.announce(scope)
        assert not scene.announcer.pending(scope)
    await asyncio.sleep(0.05)
    assert scene.sent == ["a"]
