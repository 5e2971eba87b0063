"""What each check takes, what it refuses, and how it says so."""

from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornado_webrtc.config.address import PortRange
from tornado_webrtc.config.checks import CHECKS, CheckError, items, nearest, one

ACCEPTED: list[tuple[str, tuple[str, ...], str | Sequence[str], object]] = [
    ("integer", (), "-7", -7),
    ("integer", ("1", "5"), "5", 5),
    ("integer", (), "123456789012345678", 123456789012345678),
    ("float", (), "2.5", 2.5),
    ("float", (), ".5", 0.5),
    ("float", ("0",), "0", 0.0),
    ("seconds", (), "5", 5.0),
    ("seconds", ("0.1", "3600"), "0.1", 0.1),
    ("bytes", (), "65536", 65536),
    ("boolean", (), "Yes", True),
    ("boolean", (), "off", False),
    ("option", ("probe", "reject"), "reject", "reject"),
    ("string", (), "", ""),
    ("string", ("1", "3"), "abc", "abc"),
    ("force_list", (), "", ()),
    ("force_list", (), "a", ("a",)),
    ("force_list", ("2", "2"), ["a", "b"], ("a", "b")),
    ("name", (), "node-1.eu_west", "node-1.eu_west"),
    ("name", (), "", ""),
    ("plugin_list", (), ["auth_token", "rooms"], ("auth_token", "rooms")),
    ("port", (), "0", 0),
    ("port", (), "65535", 65535),
    ("optional_port", (), "", None),
    ("optional_port", (), "5349", 5349),
    ("port_range", (), "50000-50010", PortRange(50000, 50010)),
    ("port_range", (), "50000", PortRange(50000, 50000)),
    ("host", (), "", ""),
    ("host", (), "Example.org", "example.org"),
    ("address_list", (), ["0.0.0.0", "[::]"], ("0.0.0.0", "::")),
    ("network_list", (), "", ()),
    ("network_list", (), ["10.0.0.0/8"], (ip_network("10.0.0.0/8"),)),
    ("origin_list", (), "*", ("*",)),
    (
        "ice_uri_list",
        (),
        ["stun:a.example", "turn:a.example"],
        ("stun:a.example", "turn:a.example"),
    ),
    ("public_address_list", (), [], ()),
    ("secret", (), "s3cret", "s3cret"),
    ("secret_list", (), ["new", " old "], ("new", " old ")),
]

REFUSED: list[tuple[str, tuple[str, ...], str | Sequence[str], str]] = [
    ("integer", (), "1.5", "a whole number"),
    ("integer", (), "", "a whole number"),
    ("integer", (), "1_000", "a whole number"),
    ("integer", (), "٣", "a whole number"),
    ("integer", (), "9" * 5000, "a whole number"),
    ("integer", ("1", "5"), "6", "a whole number from 1 to 5"),
    ("integer", ("1",), "0", "a whole number, 1 or more"),
    ("float", (), "nan", "a number"),
    ("float", (), "inf", "a number"),
    ("float", (), "1e3", "a number"),
    ("seconds", (), "5s", "a number of seconds, 0 or more, without a unit"),
    ("seconds", (), "-1", "a number of seconds, 0 or more, without a unit"),
    ("seconds", ("0.1", "3600"), "0", "a number of seconds from 0.1 to 3600, without a unit"),
    ("bytes", (), "64k", "a whole number of bytes, 0 or more, without a unit"),
    ("bytes", (), "1.5", "a whole number of bytes, 0 or more, without a unit"),
    ("boolean", (), "maybe", "true, yes, on or 1, or false, no, off or 0"),
    ("boolean", (), "", "true, yes, on or 1, or false, no, off or 0"),
    ("option", ("probe", "reject"), "Reject", "one of probe, reject"),
    ("string", ("1", "3"), "abcd", "a text of 1 to 3 characters"),
    ("string", (), ["a", "b"], "a text"),
    ("force_list", ("1",), "", "a list of 1 or more entries, separated by commas"),
    ("force_list", (), ["a", ""], "a list without empty entries"),
    ("name", (), "a b", "up to 64 letters, digits, dots, underscores and hyphens"),
    ("name", (), "x" * 65, "up to 64 letters, digits, dots, underscores and hyphens"),
    ("plugin_list", (), "auth-token", "plugin names, separated by commas"),
    ("port", (), "65536", "a port from 1 to 65535, or 0 for any free one"),
    ("port", (), "", "a port from 1 to 65535, or 0 for any free one"),
    ("optional_port", (), "-1", "a port from 1 to 65535, or 0 for any free one"),
    ("port_range", (), ["1", "2"], "FIRST-LAST such as 49152-65535, or a single port"),
    ("host", (), ["a", "b"], "one host name or IP address"),
    ("address_list", (), "", "a list of at least one address, none of them twice"),
    ("address_list", (), ["::", "[::]"], "a list of at least one address, none of them twice"),
    (
        "public_address_list",
        (),
        ["192.0.2.1", "192.0.2.2"],
        "at most one address per family: one IPv4, one IPv6, or one of both",
    ),
    (
        "public_address_list",
        (),
        ["a.example", "b.example", "c.example"],
        "at most one address per family: one IPv4, one IPv6, or one of both",
    ),
    ("secret", (), ["a", "b"], "one text"),
]


@pytest.mark.parametrize(("check", "limits", "value", "result"), ACCEPTED)
def test_accepted(
    check: str, limits: tuple[str, ...], value: str | Sequence[str], result: object
) -> None:
    found = CHECKS[check](value, *limits)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(("check", "limits", "value", "allowed"), REFUSED)
def test_refused(
    check: str, limits: tuple[str, ...], value: str | Sequence[str], allowed: str
) -> None:
    with pytest.raises(CheckError) as caught:
        CHECKS[check](value, *limits)
    assert caught.value.allowed == allowed
    assert str(caught.value) == f"allowed is {allowed}"


def test_every_check_is_tried() -> None:
    assert {check for check, *_ in ACCEPTED} == set(CHECKS)


def test_bad_entry_of_a_list_is_named() -> None:
    with pytest.raises(CheckError) as caught:
        CHECKS["network_list"](["10.0.0.0/8", "10.0.0.1/33"])
    assert caught.value.found == "10.0.0.1/33"


def test_list_for_a_single_value_tells_of_quotes() -> None:
    with pytest.raises(CheckError) as caught:
        one(["a", "b"])
    assert "in quotes" in caught.value.hint


def test_option_of_another_case_is_suggested() -> None:
    with pytest.raises(CheckError) as caught:
        CHECKS["option"]("debug", "DEBUG", "INFO")
    assert caught.value.hint == "Did you mean DEBUG?"


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("", ()),
        ([], ()),
        ([""], ()),
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        (["", "b"], ("", "b")),
    ],
)
def test_items(value: str | Sequence[str], entries: tuple[str, ...]) -> None:
    assert items(value) == entries


@pytest.mark.parametrize(
    ("name", "close"),
    [("hartbeat_s", "heartbeat_s"), ("PORT", "port"), ("zzz", None), ("", None)],
)
def test_nearest(name: str, close: str | None) -> None:
    assert nearest(name, ["heartbeat_s", "port", "domain"]) == close


@pytest.mark.parametrize("check", sorted(CHECKS))
@settings(deadline=None)
@given(value=st.one_of(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=4)))
def test_any_value_is_taken_or_refused_in_words(check: str, value: str | list[str]) -> None:
    allowed = "this value"
    try:
        CHECKS[check](value, *(("a", "b") if check == "option" else ()))
    except CheckError as error:
        allowed = error.allowed
    assert allowed
