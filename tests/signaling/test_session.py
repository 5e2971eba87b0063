"""Sessions: offered, answered, ended, remembered for 30 s and no longer."""

import pytest

from tornado_webrtc.signaling import Peer, PeerAddress, SessionState
from tornado_webrtc.signaling.session import MAX_REMEMBERED, SessionTable

NOW = 1000.0


def peer(peer_id: str, scope: str = "") -> Peer:
    return Peer(peer_id, "", "", scope, PeerAddress("node-1", 1))


@pytest.fixture
def table() -> SessionTable:
    return SessionTable()


def test_offer_begins_a_session(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    session = table.offer("1-2", caller, callee, NOW)
    assert (session.id, session.caller, session.callee) == ("1-2", caller, callee)
    assert session.state is SessionState.OFFERED
    assert (session.offered_at, session.answered_at, session.ended_at) == (NOW, None, None)
    assert caller.sessions == callee.sessions == {"1-2": session}
    assert list(table) == [session]
    assert len(table) == 1


def test_each_leg_knows_the_other(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    session = table.offer("1-2", caller, callee, NOW)
    assert session.other(caller) is callee
    assert session.other(callee) is caller


def test_only_the_first_answer_answers(table: SessionTable) -> None:
    session = table.offer("1-2", peer("1"), peer("2"), NOW)
    assert table.answer(session, NOW + 1)
    assert not table.answer(session, NOW + 2)
    assert session.state is SessionState.ANSWERED
    assert session.answered_at == NOW + 1


def test_an_ended_session_is_not_answered(table: SessionTable) -> None:
    session = table.offer("1-2", peer("1"), peer("2"), NOW)
    table.end(session, NOW + 1)
    assert not table.answer(session, NOW + 2)
    assert session.state is SessionState.ENDED


def test_end_takes_a_session_from_both_legs(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    session = table.offer("1-2", caller, callee, NOW)
    kept = table.offer("other", callee, caller, NOW)
    table.end(session, NOW + 5)
    assert (session.state, session.ended_at) == (SessionState.ENDED, NOW + 5)
    assert caller.sessions == callee.sessions == {"other": kept}
    assert list(table) == [kept]


def test_the_table_may_change_while_it_is_walked(table: SessionTable) -> None:
    for number in range(3):
        table.offer(str(number), peer("1"), peer("2"), NOW)
    for session in table:
        table.end(session, NOW)
    assert len(table) == 0


def test_an_ended_session_is_remembered_by_both_legs_for_30_s(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    table.end(table.offer("1-2", caller, callee, NOW), NOW)
    assert table.ended_with("1-2", caller, NOW) == "2"
    assert table.ended_with("1-2", callee, NOW + 29.9) == "1"
    assert table.ended_with("1-2", caller, NOW + 30) is None
    assert table.ended_with("1-2", callee, NOW + 30) is None


def test_nothing_is_remembered_of_other_sessions_peers_and_scopes(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    table.end(table.offer("1-2", caller, callee, NOW), NOW)
    assert table.ended_with("2-1", caller, NOW) is None
    assert table.ended_with("1-2", peer("3"), NOW) is None
    assert table.ended_with("1-2", peer("1", scope="room"), NOW) is None


def test_who_signs_in_again_under_its_id_is_remembered(table: SessionTable) -> None:
    table.end(table.offer("1-2", peer("1"), peer("2"), NOW), NOW)
    assert table.ended_with("1-2", peer("1"), NOW) == "2"


def test_a_live_session_is_not_an_ended_one(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    table.end(table.offer("1-2", caller, callee, NOW), NOW)
    table.offer("1-2", caller, callee, NOW + 1)
    assert table.ended_with("1-2", caller, NOW + 1) is None
    assert table.ended_with("1-2", callee, NOW + 1) is None
    assert table.remembered == 0


def test_one_leg_may_use_the_id_of_an_ended_session_with_another_peer(table: SessionTable) -> None:
    one, two, three = peer("1"), peer("2"), peer("3")
    table.end(table.offer("s", one, two, NOW), NOW)
    table.offer("s", one, three, NOW + 1)
    assert table.ended_with("s", one, NOW + 1) is None
    assert table.ended_with("s", two, NOW + 1) == "1"


def test_forget_drops_what_is_older_than_30_s(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    table.remember("old", caller, callee, NOW)
    table.remember("new", caller, callee, NOW + 10)
    table.forget(NOW + 29)
    assert table.remembered == 4
    table.forget(NOW + 30)
    assert table.remembered == 2
    assert table.ended_with("new", caller, NOW + 30) == "2"
    table.forget(NOW + 40)
    assert table.remembered == 0


def test_remembering_again_starts_the_30_s_again(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    table.remember("s", caller, callee, NOW)
    table.remember("t", caller, callee, NOW + 10)
    table.remember("s", caller, callee, NOW + 20)
    table.forget(NOW + 40)
    assert table.ended_with("s", caller, NOW + 40) == "2"
    assert table.remembered == 2
    table.forget(NOW + 50)
    assert table.remembered == 0


def test_memory_is_bounded_and_the_oldest_go_first(table: SessionTable) -> None:
    caller, callee = peer("1"), peer("2")
    for number in range(MAX_REMEMBERED // 2 + 1):
        table.remember(str(number), caller, callee, NOW)
    assert table.remembered == MAX_REMEMBERED
    assert table.ended_with("0", caller, NOW) is None
    assert table.ended_with("1", caller, NOW) == "2"
