"""Deadlines: due in order, once, when their time has come; as a plain dictionary would say."""

from hypothesis import given
from hypothesis import strategies as st

from tests.turn.client import SERVER
from tornado_webrtc.stun.address import FiveTuple, TransportAddress
from tornado_webrtc.turn.deadline import (
    MIN_GARBAGE,
    AllocationEnds,
    ChannelEnds,
    Deadlines,
    Due,
    QuestionEnds,
    ReservationEnds,
)

CLIENT = FiveTuple("udp", TransportAddress("203.0.113.1", 40000), SERVER)
ONE: Due = AllocationEnds(CLIENT)
TWO: Due = AllocationEnds(CLIENT._replace(transport="tcp"))
CHANNEL: Due = ChannelEnds(CLIENT, 0x4000)


def test_nothing_is_due_of_nothing() -> None:
    deadlines = Deadlines()
    assert deadlines.next() is None
    assert deadlines.due(1e9) == []
    assert len(deadlines) == 0


def test_due_from_its_moment_on_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set(ONE, 10.0)
    assert deadlines.next() == 10.0
    assert deadlines.due(9.999) == []
    assert deadlines.due(10.0) == [ONE]
    assert deadlines.due(10.0) == []
    assert deadlines.next() is None


def test_earliest_first_and_equal_ones_in_the_order_of_setting() -> None:
    deadlines = Deadlines()
    for key, at in ((TWO, 2.0), (CHANNEL, 1.0), (ONE, 2.0), (ReservationEnds(b"late"), 3.5)):
        deadlines.set(key, at)
    assert deadlines.due(3.0) == [CHANNEL, TWO, ONE]
    assert deadlines.next() == 3.5


def test_setting_again_replaces_both_ways() -> None:
    deadlines = Deadlines()
    deadlines.set(ONE, 10.0)
    deadlines.set(ONE, 20.0)
    assert deadlines.next() == 20.0
    assert deadlines.due(15.0) == []
    deadlines.set(ONE, 5.0)
    assert deadlines.due(30.0) == [ONE]
    assert len(deadlines) == 0


def test_cancelled_is_never_due_and_may_be_set_again() -> None:
    deadlines = Deadlines()
    deadlines.cancel(ONE)
    deadlines.set(ONE, 10.0)
    deadlines.set(TWO, 11.0)
    deadlines.cancel(ONE)
    assert deadlines.next() == 11.0
    deadlines.set(ONE, 12.0)
    assert deadlines.due(20.0) == [TWO, ONE]


def test_keys_need_no_order() -> None:
    deadlines = Deadlines()
    deadlines.set(QuestionEnds(1), 1.0)
    deadlines.set(ReservationEnds(b""), 1.0)
    assert len(deadlines.due(1.0)) == 2


def test_garbage_is_bounded() -> None:
    deadlines = Deadlines()
    for at in range(10_000):
        deadlines.set(ONE, float(at))
        assert len(deadlines._heap) <= 2 * len(deadlines) + MIN_GARBAGE
    for number in range(1000):
        deadlines.set(QuestionEnds(number), 20_000.0)
    for number in range(1000):
        deadlines.cancel(QuestionEnds(number))
        assert len(deadlines._heap) <= 2 * len(deadlines) + MIN_GARBAGE
    assert deadlines.due(30_000.0) == [ONE]


keys = st.builds(QuestionEnds, st.integers(0, 7))
times = st.integers(0, 20).map(float)
steps = st.one_of(
    st.tuples(st.just("set"), keys, times),
    st.tuples(st.just("cancel"), keys, st.none()),
    st.tuples(st.just("due"), st.none(), times),
)


@given(st.lists(steps, max_size=200))
def test_agrees_with_a_dictionary(history: list[tuple[str, Due | None, float | None]]) -> None:
    deadlines, model = Deadlines(), dict[Due, float]()
    for step, key, at in history:
        if step == "set" and key is not None and at is not None:
            model.pop(key, None)
            model[key] = at
            deadlines.set(key, at)
        elif step == "cancel" and key is not None:
            model.pop(key, None)
            deadlines.cancel(key)
        elif at is not None:
            expected = sorted((k for k in model if model[k] <= at), key=model.__getitem__)
            assert deadlines.due(at) == expected
            for each in expected:
                del model[each]
        assert deadlines.next() == min(model.values(), default=None)
        assert len(deadlines) == len(model)
        assert len(deadlines._heap) <= 2 * len(model) + MIN_GARBAGE
