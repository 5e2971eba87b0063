"""Peers: told apart by who they are, not by what they are called."""

from tests.signaling.world import World
from tornado_webrtc.signaling import Peer, PeerAddress


def test_two_clients_of_one_id_are_two_peers() -> None:
    address = PeerAddress("node-1", 7)
    one, other = (Peer("1", "Ann", "ios", "", address) for _ in range(2))
    assert one != other
    assert len({one, other}) == 2


def test_a_peer_has_no_address_or_subject_that_nobody_gave_it() -> None:
    peer = Peer("1", "Ann", "ios", "", PeerAddress("node-1", 7))
    assert (peer.remote_ip, peer.subject, peer.sessions) == ("", None, {})


def test_connections_of_two_nodes_are_told_apart() -> None:
    assert PeerAddress("node-1", 7) == PeerAddress("node-1", 7)
    assert PeerAddress("node-1", 7) != PeerAddress("node-2", 7)


def test_peer_and_session_can_be_shown_while_they_hold_each_other() -> None:
    world = World()
    caller, callee = world.join("1"), world.join("2")
    session = world.call(caller, callee, "1-2")
    assert "'1-2'" in repr(session)
    assert "sessions" not in repr(caller)
