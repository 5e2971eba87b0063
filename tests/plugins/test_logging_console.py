"""One line per event, with everything that clients chose made harmless."""

import logging
from dataclasses import replace

import pytest

from tests.plugins.conftest import ALLOCATION, TRAFFIC
from tornado_webrtc.config import Config
from tornado_webrtc.hooks import Hooks, PluginContext
from tornado_webrtc.implementation import faults, hook_manager
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.plugins import logging_console
from tornado_webrtc.plugins.logging_console import Plugin, shown
from tornado_webrtc.signaling import Peer, PeerAddress, Session, SessionState

ALICE = Peer("123456", "Alice", "Dart/3", "", PeerAddress("node", 1), "192.0.2.1", "secret-subject")
BOB = Peer("654321", "Bob", "Firefox", "attic", PeerAddress("node", 2), "2001:db8::1")


def console(*, addresses: bool = True) -> Hooks:
    log = plugin_logger("logging_console")
    manager = hook_manager()
    context = PluginContext("logging_console", {"addresses": addresses}, Config(), log)
    manager.register(Plugin(context), "logging_console")
    return Hooks(manager)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "tornado_webrtc.plugins.logging_console")
    return caplog


def test_plugin_is_sound() -> None:
    assert faults(logging_console) == []
    assert logging_console.ENABLED_BY_DEFAULT is True


def test_lines_are_information_of_the_plugins_logger(lines: pytest.LogCaptureFixture) -> None:
    console().notify("peer_joined", peer=ALICE)
    (record,) = lines.records
    assert record.levelno == logging.INFO
    assert record.name == "tornado_webrtc.plugins.logging_console"


def test_peers_come_and_go(lines: pytest.LogCaptureFixture) -> None:
    hooks = console()
    hooks.notify("peer_joined", peer=ALICE)
    hooks.notify("peer_joined", peer=BOB)
    hooks.notify("peer_left", peer=ALICE, reason="disconnected")
    hooks.notify("peer_left", peer=BOB, reason="kicked")
    assert lines.messages == [
        "peer '123456' joined from '192.0.2.1': name 'Alice', user agent 'Dart/3'",
        "peer '654321' joined in 'attic' from '2001:db8::1': name 'Bob', user agent 'Firefox'",
        "peer '123456' left: 'disconnected'",
        "peer '654321' in 'attic' left: 'kicked'",
    ]


def test_addresses_can_be_left_out(lines: pytest.LogCaptureFixture) -> None:
    console(addresses=False).notify("peer_joined", peer=ALICE)
    assert lines.messages == ["peer '123456' joined: name 'Alice', user agent 'Dart/3'"]


def test_answered_call(lines: pytest.LogCaptureFixture) -> None:
    hooks = console()
    session = Session("123456-654321", ALICE, BOB, SessionState.OFFERED, offered_at=100.0)
    hooks.notify("session_offered", session=session)
    session.answered_at = 103.26
    hooks.notify("session_answered", session=session)
    session.ended_at = 203.5
    hooks.notify("session_ended", session=session, reason="bye")
    assert lines.messages == [
        "call '123456-654321' offered: '123456' calls '654321'",
        "call '123456-654321' answered after 3.3 s",
        "call '123456-654321' ended after 100.2 s: 'bye'",
    ]


def test_call_in_a_room(lines: pytest.LogCaptureFixture) -> None:
    hooks = console()
    caller = replace(ALICE, scope="attic")
    session = Session("s", caller, BOB, SessionState.OFFERED, 100.0, 101.0, 102.0)
    hooks.notify("session_offered", session=session)
    hooks.notify("session_answered", session=session)
    hooks.notify("session_ended", session=session, reason="bye")
    assert lines.messages == [
        "call 's' in 'attic' offered: '123456' calls '654321'",
        "call 's' in 'attic' answered after 1.0 s",
        "call 's' in 'attic' ended after 1.0 s: 'bye'",
    ]


def test_unanswered_call(lines: pytest.LogCaptureFixture) -> None:
    session = Session("s", ALICE, BOB, SessionState.ENDED, offered_at=100.0, ended_at=130.0)
    console().notify("session_ended", session=session, reason="disconnected")
    assert lines.messages == ["call 's' ended unanswered after 30.0 s: 'disconnected'"]


def test_call_without_an_end(lines: pytest.LogCaptureFixture) -> None:
    session = Session("s", ALICE, BOB, SessionState.ANSWERED, offered_at=100.0, answered_at=101.0)
    console().notify("session_ended", session=session, reason="bye")
    assert lines.messages == ["call 's' ended after an unknown time: 'bye'"]


@pytest.mark.parametrize(("addresses", "client"), [(True, " from 192.0.2.1:4711"), (False, "")])
def test_allocation(lines: pytest.LogCaptureFixture, addresses: bool, client: str) -> None:
    hooks = console(addresses=addresses)
    hooks.notify("allocation_created", allocation=ALLOCATION)
    hooks.notify("allocation_refreshed", allocation=ALLOCATION)
    hooks.notify("permission_created", allocation=ALLOCATION, peer_ip="192.0.2.9")
    hooks.notify("allocation_deleted", allocation=ALLOCATION, traffic=TRAFFIC, reason="expired")
    relayed = "[2001:db8::5]:50000"
    traffic = "1234 bytes to peers, 567 bytes from peers, datagrams dropped: 1"
    assert lines.messages == [
        f"allocation 7 of 'alice'{client} created: relays at {relayed} over tcp",
        f"allocation 7 of 'alice'{client} at {relayed} ended: 'expired', {traffic}",
    ]


def test_nothing_else_about_a_peer_is_shown(lines: pytest.LogCaptureFixture) -> None:
    console().notify("peer_joined", peer=ALICE)
    assert "secret-subject" not in lines.text


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\nERROR root: fake\u202e\u2028\x9b31m\ud800"


def test_hostile_text_stays_on_its_line(lines: pytest.LogCaptureFixture) -> None:
    hooks = console()
    peer = Peer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, PeerAddress("node", 3), HOSTILE)
    session = Session(HOSTILE, peer, peer, SessionState.ENDED, 1.0, 2.0, 3.0)
    hooks.notify("peer_joined", peer=peer)
    hooks.notify("peer_left", peer=peer, reason=HOSTILE)
    hooks.notify("session_offered", session=session)
    hooks.notify("session_answered", session=session)
    hooks.notify("session_ended", session=session, reason=HOSTILE)
    allocation = replace(ALLOCATION, username=HOSTILE, user=HOSTILE)
    hooks.notify("allocation_created", allocation=allocation)
    hooks.notify("allocation_deleted", allocation=allocation, traffic=TRAFFIC, reason=HOSTILE)
    assert len(lines.messages) == 7
    for message in lines.messages:
        assert message.isprintable()
        message.encode()


@pytest.mark.parametrize("text", ["", "x", "x" * 64, "it's", "ü", "a\"b'c"])
def test_short_text_is_shown_whole(text: str) -> None:
    assert shown(text) == repr(text)


@pytest.mark.parametrize("text", ["x" * 65, "\x00" * 64, "'" * 1000, "\U0001f600" * 100])
def test_long_text_is_cut(text: str) -> None:
    assert len(shown(text)) == 66
    assert shown(text)[-2:] == "…" + shown(text)[0]
