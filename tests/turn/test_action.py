"""Actions and questions: complete, immutable, and without secrets in what is shown."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from tests.turn.client import PEER, SERVER
from tornado_webrtc.stun.address import FiveTuple
from tornado_webrtc.turn import action
from tornado_webrtc.turn.action import (
    Action,
    Ask,
    FindCredential,
    FoundCredential,
    OpenedRelay,
    Question,
    Respond,
)

FIVE_TUPLE = FiveTuple("udp", PEER, SERVER)


def test_every_class_is_action_question_or_answer_to_one() -> None:
    answers = {FoundCredential.__name__, OpenedRelay.__name__}
    actions = {each.__name__ for each in get_args(Action)}
    questions = {each.__name__ for each in get_args(Question)}
    assert set(action.__all__) == actions | questions | answers | {"Action", "Question"}
    assert not actions & questions


def test_they_are_values_that_do_not_change() -> None:
    ask = Ask(1, FindCredential("alice", FIVE_TUPLE))
    assert ask == Ask(1, FindCredential("alice", FIVE_TUPLE))
    assert ask != Ask(2, ask.question)
    with pytest.raises(FrozenInstanceError):
        ask.number = 2  # type: ignore[misc]


def test_keys_and_data_do_not_show() -> None:
    assert "secret" not in repr(FoundCredential((b"secret",), "alice"))
    assert "secret" not in repr(Respond(FIVE_TUPLE, b"secret"))
