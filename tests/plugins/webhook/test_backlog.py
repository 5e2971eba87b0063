"""Events that wait: bounded, in order."""

from hypothesis import given
from hypothesis import strategies as st

from tests.processortime import shortest_s
from tornado_webrtc.plugins.webhook.backlog import Backlog
from tornado_webrtc.plugins.webhook.event import Event


def event(number: int, key: str = "") -> Event:
    return Event("peer.joined", key or f"peer {number}", {}, 0.0, 0.0, f"msg_{number}")


def taken(backlog: Backlog) -> str:
    found = backlog.take()
    assert found is not None
    return found.id


def test_in_order() -> None:
    backlog = Backlog(10)
    for number in range(3):
        assert backlog.put(event(number)) == 0
    assert [taken(backlog) for _ in range(3)] == ["msg_0", "msg_1", "msg_2"]
    assert backlog.take() is None


def test_the_oldest_give_way() -> None:
    backlog = Backlog(2)
    assert [backlog.put(event(number)) for number in range(4)] == [0, 0, 1, 1]
    assert len(backlog) == 2
    assert [taken(backlog), taken(backlog)] == ["msg_2", "msg_3"]


def test_one_of_a_key_at_a_time() -> None:
    backlog = Backlog(10)
    first, second, other = event(1, "a"), event(2, "a"), event(3, "b")
    for each in (first, second, other):
        backlog.put(each)
    assert backlog.take() is first
    assert backlog.take() is other
    assert backlog.take() is None
    assert (len(backlog), backlog.busy, backlog.idle) == (1, 2, False)
    backlog.finish(first)
    assert backlog.take() is second
    backlog.finish(second)
    backlog.finish(other)
    assert backlog.idle


def test_a_smaller_limit() -> None:
    backlog = Backlog(5)
    for number in range(5):
        backlog.put(event(number))
    backlog.limit = 2
    assert backlog.trim() == 3
    assert taken(backlog) == "msg_3"


def test_clear() -> None:
    backlog = Backlog(5)
    backlog.put(event(1))
    backlog.put(event(2))
    assert backlog.clear() == 2
    assert backlog.idle


def test_clear_while_one_is_sent() -> None:
    backlog = Backlog(5)
    first, second = event(1, "a"), event(3, "a")
    for each in (first, event(2, "a"), event(2, "b")):
        backlog.put(each)
    assert backlog.take() is first
    assert backlog.clear() == 2
    backlog.put(second)
    assert backlog.take() is None
    backlog.finish(first)
    assert backlog.take() is second
    backlog.finish(second)
    assert backlog.idle


def test_many_of_one_busy_key_are_not_gone_through() -> None:
    backlog = Backlog(100_000)
    for number in range(50_000):
        backlog.put(event(number, "a"))
    taken(backlog)

    def look() -> None:
        for _ in range(2000):
            assert backlog.take() is None

    assert shortest_s(look) < 1.0


class Plain:
    """What a backlog does, without a thought for time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting: list[Event] = []
        self.busy: set[str] = set()

    def put(self, new: Event) -> int:
        self.waiting.append(new)
        dropped = max(0, len(self.waiting) - self.limit)
        del self.waiting[:dropped]
        return dropped

    def take(self) -> Event | None:
        found = next((each for each in self.waiting if each.key not in self.busy), None)
        if found is not None:
            self.waiting.remove(found)
            self.busy.add(found.key)
        return found


@given(st.integers(1, 6), st.lists(st.sampled_from([*"abcABC", "take", "finish", "last", "clear"])))
def test_as_a_plain_list_would_do_it(limit: int, steps: list[str]) -> None:
    backlog, plain, out = Backlog(limit), Plain(limit), list[Event]()
    for number, step in enumerate(steps):
        if step == "take":
            found = backlog.take()
            assert found is plain.take()
            out += [found] if found else []
        elif step in {"finish", "last"} and out:
            done = out.pop(0 if step == "finish" else -1)
            backlog.finish(done)
            plain.busy.discard(done.key)
        elif step == "clear":
            assert backlog.clear() == len(plain.waiting)
            plain.waiting.clear()
        elif step in "abcABC":
            new = event(number, step)
            assert backlog.put(new) == plain.put(new)
        assert (len(backlog), backlog.busy) == (len(plain.waiting), len(plain.busy))


@given(st.integers(1, 5), st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_nothing_is_lost_uncounted(limit: int, steps: list[tuple[str, bool]]) -> None:
    backlog = Backlog(limit)
    put, dropped, out = 0, 0, list[Event]()
    for key, takes in steps:
        if takes:
            found = backlog.take()
            if found is not None:
                assert found.key not in {each.key for each in out}
                out.append(found)
            elif out:
                backlog.finish(out.pop(0))
        else:
            put += 1
            dropped += backlog.put(event(put, key))
        assert len(backlog) <= limit
        assert backlog.busy == len(out)
    finished = put - dropped - len(backlog) - len(out)
    assert finished >= 0
