"""Users from a file, time-limited names, and what is said about a file with a fault."""

from pathlib import Path

import pytest

from tornado_webrtc.config import Turn
from tornado_webrtc.credential import mint, password_for
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import TurnCredential
from tornado_webrtc.plugins.turn.credential import (
    CredentialSource,
    peer_id_of,
    read_users,
)


def users(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "users"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", {}),
        ("alice:wonderland\n", {"alice": "wonderland"}),
        ("alice:wonderland", {"alice": "wonderland"}),
        ("alice:a\r\nbob:b\r\n", {"alice": "a", "bob": "b"}),
        ("\ufeffalice:wonderland\n", {"alice": "wonderland"}),
        ("# a comment\n\n; another\n  \nalice:x\n", {"alice": "x"}),
        ("  # a comment that is indented\nalice:x\n", {"alice": "x"}),
        ("alice:with:colons\n", {"alice": "with:colons"}),
        ("  alice:x  \n", {"alice": "x"}),
        ("alice:#;\n", {"alice": "#;"}),
        ("\N{SNOWMAN}:\u00fc\n", {"\N{SNOWMAN}": "\u00fc"}),
    ],
)
def test_users_are_read(tmp_path: Path, content: str, expected: dict[str, str]) -> None:
    assert read_users(users(tmp_path, content)) == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("alice\n", "line 1: expected name:password"),
        ("alice:\n", "line 1: expected name:password"),
        (":secret-word\n", "line 1: expected name:password"),
        ("# comment\n\nalice:secret-word\nalice:secret-word\n", "line 4: the name 'alice' is"),
        ("# comment\nalice: secret-word\n", "line 2: there are spaces around the colon"),
        ("alice :secret-word\n", "line 1: there are spaces around the colon"),
        ("alice\t:\tsecret-word\n", "line 1: there are spaces around the colon"),
        (b"alice:\xff\n", "cannot be read"),
    ],
)
def test_fault_is_told_without_the_password(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    path = users(tmp_path, content)
    with pytest.raises(PluginError, match=complaint) as raised:
        read_users(path)
    assert str(path) in str(raised.value)
    assert "secret-word" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_file_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(PluginError, match="cannot be read"):
        read_users(tmp_path / name)


def test_time_limited_name_may_be_of_any_secret() -> None:
    """The name alone says until when; expired ones are found too, for those who have a call."""
    source = CredentialSource(Turn(), ["new", "old"])
    made = mint("old", "alice", 600, 1000.0)
    expected = [
        TurnCredential(password=password_for(secret, made.username), user="alice", expires_at=1600)
        for secret in ("new", "old")
    ]
    assert source.find(made.username) == expected
    assert made.password == expected[1].password


@pytest.mark.parametrize("username", ["", "alice", "alice:1600", "-1:alice", "1" * 50 + ":a"])
def test_unknown_name(username: str) -> None:
    assert CredentialSource(Turn(), ["secret"]).find(username) == []


def test_user_behind_a_time_limited_name_may_hold_colons() -> None:
    (found,) = CredentialSource(Turn(), ["secret"]).find("1600:sip:alice")
    assert found.user == "sip:alice"


def test_fixed_user_never_expires_and_comes_first(tmp_path: Path) -> None:
    path = users(tmp_path, "alice:wonderland\n1600:x\n")
    source = CredentialSource(Turn(users_file=path), ["secret"])
    assert source.find("alice") == [TurnCredential(password="wonderland", user="alice")]
    assert source.find("1600") == [TurnCredential(password="x", user="1600")]
    assert len(source.find("1600:bob")) == 1


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    source = CredentialSource(Turn(users_file=users(tmp_path, "alice:wonderland\n")), ["secret"])
    assert "wonderland" not in repr(source.find("alice"))


@pytest.mark.parametrize(
    ("username", "expected"),
    [
        ("1800000000:alice", "alice"),
        ("1800000000:a:b", "a:b"),
        ("alice", None),
        ("alice:1800000000", None),
        ("1800000000", None),
    ],
)
def test_whom_a_name_is_for(username: str, expected: str | None) -> None:
    assert peer_id_of(username) == expected
