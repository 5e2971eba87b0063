"""What events say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.conftest import ALLOCATION, TRAFFIC
from tornado_webrtc.plugins.webhook.event import (
    FIELDS,
    TYPES,
    Event,
    of_allocation,
    of_peer,
    of_session,
    of_traffic,
)
from tornado_webrtc.signaling import Peer, PeerAddress, Session, SessionState


def peer(name: str) -> Peer:
    return Peer(name, "N", "UA", "room", PeerAddress("node", 7), "192.0.2.7", f"sub-{name}")


def shown(address: str) -> str:
    return f"<{address}>"


def test_body() -> None:
    event = Event("peer.joined", "peer a", {"peer_id": "a"}, 5.0, 1767225600.25, "msg_1")
    assert event.body("node", 3) == (
        b'{"type":"peer.joined","timestamp":"2026-01-01T00:00:00.250Z","node_id":"node",'
        b'"dropped":3,"data":{"peer_id":"a"}}'
    )


def test_ids_are_their_own() -> None:
    ids = {Event("server.stopped", "server", {}, 0.0, 0.0).id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == len("msg_") + 32 and each.startswith("msg_") for each in ids)


@given(st.text(alphabet=st.characters()))
def test_any_name_becomes_json(name: str) -> None:
    event = Event("peer.joined", "peer a", {"name": name}, 0.0, 0.0)
    assert json.loads(event.body("n", 0))["data"]["name"] == name


def test_half_a_surrogate_pair() -> None:
    body = Event("peer.joined", "peer a", {"name": "\ud83d"}, 0.0, 0.0).body("n", 0)
    assert json.loads(body)["data"]["name"] == "\ud83d"


def test_peer() -> None:
    assert of_peer(peer("a"), shown) == {
        "peer_id": "a",
        "scope": "room",
        "subject": "sub-a",
        "connection_id": 7,
        "remote_ip": "<192.0.2.7>",
    }


def test_session() -> None:
    session = Session("s", peer("a"), peer("b"), SessionState.OFFERED, 0.0)
    assert of_session(session) == {
        "session_id": "s",
        "scope": "room",
        "caller_id": "a",
        "caller_subject": "sub-a",
        "callee_id": "b",
        "callee_subject": "sub-b",
    }


def test_allocation() -> None:
    assert of_allocation(ALLOCATION, shown) == {
        "allocation_id": 7,
        "user": "alice",
        "transport": "tcp",
        "client": "<192.0.2.1:4711>",
        "relayed": "[2001:db8::5]:50000",
    }
    assert of_traffic(TRAFFIC)["bytes_to_peer"] == 1234


@pytest.mark.parametrize("kind", TYPES)
def test_fields_are_told_apart(kind: str) -> None:
    assert len(set(FIELDS[kind])) == len(FIELDS[kind])
