"""What plugins are asked: patterns of peer ids, and secrets that no repr shows."""

import math

import pytest

from tornado_webrtc.hooks import AuthRequest, Denied, Identity, JoinRequest, PluginContext
from tornado_webrtc.isolation import plugin_logger

SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    ("patterns", "peer_id", "allowed"),
    [
        (("*",), "anything", True),
        (("123456",), "123456", True),
        (("123456",), "1234567", False),
        (("123456",), "x123456", False),
        (("alice-*",), "alice-phone", True),
        (("alice-*",), "Alice-phone", False),
        (("alice-?",), "alice-10", False),
        (("a", "b[12]"), "b2", True),
        (("a*",), "a\nb", True),
        (("a",), "a\n", False),
        ((), "a", False),
    ],
)
def test_identity_allows(patterns: tuple[str, ...], peer_id: str, allowed: bool) -> None:
    assert Identity("alice", patterns).allows(peer_id) is allowed


def test_identity_allows_every_id_by_default() -> None:
    assert Identity("alice").allows("123456")


def test_identity_without_an_end_never_ends() -> None:
    assert Identity("alice").expires_at is None
    assert Identity("alice").ends_at == math.inf
    assert Identity("alice", expires_at=17).ends_at == 17


def test_secrets_are_not_shown() -> None:
    request = AuthRequest(
        kind="rest",
        token=SECRET,
        remote_ip="192.0.2.1",
        query={"token": SECRET},
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    assert SECRET not in repr(request)
    assert "192.0.2.1" in repr(request)


def test_password_of_a_room_is_not_shown() -> None:
    request = JoinRequest(
        peer_id="1",
        name="",
        user_agent="",
        scope="blue",
        remote_ip="192.0.2.1",
        identity=None,
        room="blue",
        password=SECRET,
        query={"password": SECRET},
    )
    assert SECRET not in repr(request)
    assert "room='blue'" in repr(request)


def test_requests_to_join_are_told_apart() -> None:
    """Plugins keep them from `permit_join` to `join_abandoned`."""
    first, second = (JoinRequest("1", "", "", "blue", "192.0.2.1", None, query={}) for _ in "ab")
    assert first != second
    assert {first, second, first} == {second, first}


def test_denial_has_a_code() -> None:
    assert Denied("no").code == "denied"


def test_settings_are_not_shown() -> None:
    context = PluginContext("lamp", {"password": SECRET}, None, plugin_logger("lamp"))  # type: ignore[arg-type]
    assert SECRET not in repr(context)
