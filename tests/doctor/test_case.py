"""What one check leaves for the next."""

import pytest

from tornado_webrtc.doctor.case import (
    Case,
    milliseconds,
    ok,
    problem,
    short,
    skipped,
    warning,
    words,
)
from tornado_webrtc.doctor.target import Target
from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.finding import Level


async def test_own_name_leads_to_where_it_listens() -> None:
    case = Case(own=True, target=Target("https", "rtc.example.org", 1, "127.0.0.1"))
    assert [each[1][0] for each in await case.resolver().resolve("rtc.example.org", 1)] == [
        "127.0.0.1"
    ]


def test_secrets_are_not_shown() -> None:
    case = Case(own=False, password="hush", token="hush", room_password="hush")
    assert "hush" not in repr(case)
    assert case.headers == {}
    case.shows_secrets = True
    assert case.headers == {"Authorization": "Bearer hush"}
    assert Case(own=False).headers == {}
    assert Case(own=False).peer_id != case.peer_id


def test_password_goes_with_its_room_and_nowhere_else() -> None:
    case = Case(own=False, room="vault", room_password="hush")
    assert case.joining == {"room": "vault"}
    case.shows_secrets = True
    assert case.joining == {"room": "vault", "password": "hush"}
    case.room = ""
    assert case.joining == {}


def test_strangers_words_are_cut() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert [short("a\n b"), len(short("x" * 9999)), short(deep)] == ["a b", 60, "…"]
    while deep:
        (deep,) = deep  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(113, "No route to host"), "No route to host"),
        (ConnectionResetError(), "the connection was closed"),
        (ConnectionAbortedError(), "ConnectionAbortedError"),
        (ValueError("a\n b"), "a b"),
    ],
)
def test_errors_say_something(error: Exception, said: str) -> None:
    assert words(error) == said


def test_server_has_to_be_known() -> None:
    with pytest.raises(TornadoWebrtcError, match="not known"):
        Case(own=False).server  # noqa: B018


def test_findings() -> None:
    found = [ok("a", "b", x=1), skipped("a", "b"), warning("a", "b", "c"), problem("a", "b", "c")]
    assert [each.level for each in found] == list(Level)
    assert found[0].values == {"x": 1}
    assert milliseconds(0.01234) == 12.3
