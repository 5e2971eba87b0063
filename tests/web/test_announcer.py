"""The announcer: at once when it is cheap, together when it is not, never after its end."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.conftest import ExpectLog
from tests.wire import until
from tornado_webrtc.clock import Clock
from tornado_webrtc.signaling import Peer, PeerAddress
from tornado_webrtc.signaling.presence import Roster
from tornado_webrtc.web.announcer import (
    BYTES_PER_S,
    LIST_BYTES,
    LISTS_AT_ONCE,
    TURN_BYTES,
    Announcer,
)

DEADLINE_S = 10.0
ALL_AT_ONCE = 10**12


class Scene:
    """An announcer whose lists cost what the test says, at a time that stands still."""

    def __init__(self, cost_s: float = 0.0) -> None:
        self.now = 1000.0
        self.cost = int(cost_s * BYTES_PER_S)
        self.sent: list[str] = []
        clock = Clock(now=lambda: self.now)
        self.announcer = Announcer(self._send, clock, turn_bytes=ALL_AT_ONCE)
        self._sending = asyncio.Event()

    def _send(self, scope: str) -> Iterator[int]:
        self.sent.append(scope)
        self._sending.set()
        yield self.cost

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


async def test_largest_list_has_to_wait_for_its_bytes() -> None:
    scene = Scene(cost_s=60.0)
    scene.announcer.announce("")
    scene.now += 59.99
    scene.announcer.announce("")
    assert scene.announcer.pending("")
    await scene.next_list()
    assert scene.sent == ["", ""]
    scene.now += 60.0
    scene.announcer.announce("")
    assert scene.sent == ["", "", ""]


async def test_scope_that_became_empty_is_forgotten() -> None:
    scene = Scene(cost_s=60.0)
    scene.announcer.announce("")
    scene.now += 60.0
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


# --- in turns -----------------------------------------------------------------------------------


class Crowd:
    """Scopes of so many peers, who get a list of so many bytes each; four of them are a turn's."""

    def __init__(self, size: int = TURN_BYTES // 4, **peers: int) -> None:
        self.now = 1000.0
        self.size = size
        self.sizes = peers
        self.sent: list[str] = []
        self.announcer = Announcer(self._send, Clock(now=lambda: self.now))

    def _send(self, scope: str) -> Iterator[int]:
        for _ in range(self.sizes[scope]):
            self.sent.append(scope)
            yield self.size


async def test_loop_has_its_turn_while_a_crowd_is_told() -> None:
    crowd = Crowd(a=100)
    crowd.announcer.announce("a")
    assert len(crowd.sent) == 4, "one turn's worth"
    assert crowd.announcer.pending("a")
    for turns in range(2, 26):
        await asyncio.sleep(0)
        assert len(crowd.sent) == 4 * turns
    await until(lambda: not crowd.announcer.pending("a"))
    assert len(crowd.sent) == 100


async def test_lists_cost_something_however_short_they_are() -> None:
    crowd = Crowd(size=30, a=10_000)
    crowd.announcer.announce("a")
    assert len(crowd.sent) == -(-TURN_BYTES // LIST_BYTES)
    crowd.announcer.stop()


async def test_few_are_told_in_one_turn() -> None:
    crowd = Crowd(size=128_000, a=31)
    crowd.announcer.announce("a")
    assert not crowd.announcer.pending("a")


async def test_crowds_take_turns() -> None:
    crowd = Crowd(a=9, b=6)
    crowd.announcer.announce("a")
    crowd.announcer.announce("b")
    before = len(crowd.sent)
    await asyncio.sleep(0)
    assert len(crowd.sent) == before + 4, "one of them at a time"
    await until(lambda: not (crowd.announcer.pending("a") or crowd.announcer.pending("b")))
    assert "".join(crowd.sent) == "aaaa" + "bbbb" + "aaaa" + "bb" + "a"


async def test_what_changes_while_a_crowd_is_told_is_told_to_all_afterwards() -> None:
    crowd = Crowd(a=6)
    crowd.announcer.announce("a")
    for _ in range(3):
        crowd.announcer.announce("a")
    assert len(crowd.sent) == 4
    crowd.now += 60.0
    await until(lambda: len(crowd.sent) == 12)
    await until(lambda: not crowd.announcer.pending("a"))
    assert len(crowd.sent) == 12, "once for all three"


async def test_crowd_is_told_no_more_after_the_end() -> None:
    crowd = Crowd(a=100, b=100)
    crowd.announcer.announce("a")
    crowd.announcer.announce("b")
    crowd.announcer.stop()
    told = list(crowd.sent)
    await asyncio.sleep(0.01)
    assert crowd.sent == told
    assert not crowd.announcer.pending("a")


# --- when sending fails -------------------------------------------------------------------------


class Failing(Crowd):
    """A crowd that cannot be told any more after so many lists, once."""

    def __init__(self, after: int, size: int = TURN_BYTES // 4, **peers: int) -> None:
        super().__init__(size, **peers)
        self.after: int | None = after

    def _send(self, scope: str) -> Iterator[int]:
        if self.after == 0:
            self._fail()
        return self._lists(scope)

    def _lists(self, scope: str) -> Iterator[int]:
        for sent in super()._send(scope):
            yield sent
            if scope == "a" and self.sent.count("a") == self.after:
                self._fail()

    def _fail(self) -> None:
        self.after = None
        raise RuntimeError("this list cannot be sent")


@pytest.mark.parametrize("after", [0, 2])
async def test_scope_that_could_not_be_told_is_told_of_its_next_change(after: int) -> None:
    crowd = Failing(after=after, a=4, size=0)
    with pytest.raises(RuntimeError, match="cannot be sent"):
        crowd.announcer.announce("a")
    assert len(crowd.sent) == after
    assert not crowd.announcer.pending("a")
    crowd.announcer.announce("a")
    assert len(crowd.sent) == after + 4


async def test_others_have_their_turns_when_a_scope_cannot_be_told(expect_log: ExpectLog) -> None:
    """At its second list in turns; it has changed by then, so it is told again."""
    crowd = Failing(after=2, size=TURN_BYTES, a=3, b=3)
    expect_log("Exception in callback Announcer._take_turn")
    for scope in "aab":
        crowd.announcer.announce(scope)
    assert crowd.sent == ["a", "b"]
    crowd.now += 60.0
    await until(lambda: not (crowd.announcer.pending("a") or crowd.announcer.pending("b")))
    assert crowd.sent.count("b") == 3
    assert crowd.sent.count("a") == 2 + 3
    assert crowd.after is None


async def test_what_was_sent_before_a_failure_has_its_cost() -> None:
    crowd = Failing(after=2, size=1_500_000, a=4)
    with pytest.raises(RuntimeError, match="cannot be sent"):
        crowd.announcer.announce("a")
    crowd.announcer.announce("a")
    assert crowd.announcer.pending("a")
    assert len(crowd.sent) == 2
    crowd.announcer.stop()


# --- what it may cost ---------------------------------------------------------------------------


class Hours:
    """An event loop's timers on a clock of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, asyncio.TimerHandle]] = []
        loop = asyncio.get_running_loop()
        real = loop.call_later

        def call_later(delay: float, callback: object, *args: object) -> asyncio.TimerHandle:
            handle = real(3600, callback, *args)  # type: ignore[arg-type]
            self._timers.append((self.now + delay, handle))
            return handle

        monkeypatch.setattr(loop, "call_later", call_later)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self._timers if timer[0] <= self.now]
        for timer in due:
            self._timers.remove(timer)
            timer[1]._run()
            timer[1].cancel()


def roster_with_long_entries() -> Roster:
    """500 of the longest entries there can be, and 1000 ordinary ones."""
    roster = Roster(500)
    address = PeerAddress("node-1", 1)
    for number in range(1500):
        if number < 500:
            long = Peer(f"{number:03}" + "\U0001f600" * 125, *_longest(), "", address)
            roster.put(long)
        else:
            roster.put(Peer(f"{number}", "Flutter", "flutter-webrtc/web", "", address))
    return roster


def _longest() -> tuple[str, str]:
    return "\U0001f600" * 64, "\U0001f600" * 192


async def test_crowd_with_long_entries_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them changes its name every five seconds, for a minute."""
    hours, roster = Hours(monkeypatch), roster_with_long_entries()
    frames = [len(frame) for _, frame in roster.lists()]
    assert max(frames) * len(frames) > 5 * BYTES_PER_S
    sent = 0

    def send(_scope: str) -> Iterator[int]:
        nonlocal sent
        for each in frames:
            sent += each
            yield each

    clock = Clock(now=lambda: hours.now)
    announcer = Announcer(send, clock, turn_bytes=ALL_AT_ONCE)
    for _ in range(12):
        announcer.announce("")
        hours.advance(5.0)
    assert sum(frames) < sent <= 60 * BYTES_PER_S + sum(frames)
    announcer.stop()
