"""Actions: values that say what to do, complete and in the package's front window."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from tornado_webrtc import signaling
from tornado_webrtc.signaling import Action, Announce, PeerAddress, PeerJoined, Send
from tornado_webrtc.signaling.action import __all__ as names


def test_every_action_can_be_imported_from_the_package() -> None:
    assert set(names) <= set(signaling.__all__)
    assert {each.__name__ for each in get_args(Action)} == set(names) - {"Action"}


def test_actions_are_values() -> None:
    address = PeerAddress("node-1", 1)
    assert Send(address, b"{}") == Send(address, b"{}")
    assert Send(address, b"{}") != Send(PeerAddress("node-2", 1), b"{}")
    assert Announce("") != Announce("room")


def test_actions_do_not_change() -> None:
    send = Send(PeerAddress("node-1", 1), b"{}")
    with pytest.raises(FrozenInstanceError):
        send.frame = b"[]"  # type: ignore[misc]


def test_an_action_is_told_from_another_by_its_class() -> None:
    assert PeerJoined in get_args(Action)
    assert not isinstance(Announce(""), Send)
