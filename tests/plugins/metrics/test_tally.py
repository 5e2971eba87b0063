"""What hooks tell is counted; reasons that anybody can make up are not told apart."""

import dataclasses

import pytest

from tests.plugins.conftest import ALLOCATION
from tornado_webrtc.plugins.metrics.metric import METRICS
from tornado_webrtc.plugins.metrics.tally import Tally
from tornado_webrtc.signaling import Peer, PeerAddress, Session
from tornado_webrtc.signaling.session import SessionState


def session(answered_at: float | None, ended_at: float | None = None) -> Session:
    ann, ben = (Peer(each, "", "", "", PeerAddress("n", 1)) for each in ("1", "2"))
    return Session("1-2", ann, ben, SessionState.OFFERED, 100.0, answered_at, ended_at)


def test_calls() -> None:
    tally = Tally()
    tally.offered()
    tally.offered()
    tally.answered(session(103.0))
    assert tally.samples()["calls"] == {("offered",): 1, ("answered",): 1}
    tally.ended(session(103.0, 163.0), "bye")
    tally.ended(session(None, 130.0), "no-pong")
    samples = tally.samples()
    assert samples["calls"] == {("offered",): 0, ("answered",): 0}
    assert samples["calls_offered"] == {(): 2}
    assert samples["calls_answered"] == {(): 1}
    assert samples["calls_ended"] == {("bye", "yes"): 1, ("no-pong", "no"): 1}
    assert (tally.setup.total, tally.duration.total) == (3, 60)
    assert tally.duration.buckets()[-1] == ("+Inf", 1)


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("bye", "bye"),
        ("replaced", "replaced"),
        ("ended by the operator", "ended-by-the-operator"),
        ("you are banned", "banned"),
        ("banned: spam", "banned"),
        ("whatever an operator writes", "other"),
        ("", "other"),
        ("yes", "other"),
    ],
)
def test_reasons_of_calls(reason: str, label: str) -> None:
    tally = Tally()
    tally.ended(session(None, 101.0), reason)
    assert tally.samples()["calls_ended"] == {(label, "no"): 1}


def test_peers() -> None:
    tally = Tally()
    tally.signed_in()
    tally.signed_out("no-pong")
    tally.signed_out("anything")
    assert tally.samples() == {
        "sign_ins": {(): 1},
        "sign_outs": {("no-pong",): 1, ("other",): 1},
    }


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("refreshed to 0", "refreshed-to-0"),
        ("expired", "expired"),
        ("disconnected", "disconnected"),
        ("server stopped", "server-stopped"),
        ("ended by the operator", "ended-by-the-operator"),
        ("banned: spam", "banned"),
        ("spam", "other"),
        ("tcp", "other"),
    ],
)
def test_allocations(reason: str, cause: str) -> None:
    tally = Tally()
    tally.allocated(ALLOCATION)
    assert tally.samples()["turn_allocations"] == {("tcp",): 1}
    tally.deleted(ALLOCATION, reason)
    assert tally.samples() == {
        "turn_allocations": {("tcp",): 0},
        "turn_allocations_opened": {("tcp",): 1},
        "turn_allocations_ended": {("tcp", cause): 1},
    }


def test_transports_of_tomorrow() -> None:
    tally = Tally()
    tally.allocated(dataclasses.replace(ALLOCATION, transport="quic"))
    assert tally.samples()["turn_allocations"] == {("other",): 1}


def test_all_of_it_is_in_the_table() -> None:
    tally = Tally()
    tally.signed_in()
    tally.signed_out("left")
    tally.offered()
    tally.answered(session(101.0))
    tally.ended(session(101.0, 102.0), "bye")
    tally.allocated(ALLOCATION)
    tally.deleted(ALLOCATION, "expired")
    for name, found in tally.samples().items():
        for labels in found:
            assert len(labels) == len(METRICS[name].labels)
