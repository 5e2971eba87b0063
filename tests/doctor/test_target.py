"""What somebody may write to say which server is meant."""

import pytest

from tornado_webrtc.config import General
from tornado_webrtc.doctor.target import (
    IceUri,
    Target,
    TargetError,
    own_target,
    parse_ice_uri,
    parse_target,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://rtc.example.org/", Target("https", "rtc.example.org", 443)),
        ("http://rtc.example.org:8086", Target("http", "rtc.example.org", 8086)),
        ("wss://rtc.example.org/ws", Target("https", "rtc.example.org", 443)),
        ("rtc.example.org", Target("https", "rtc.example.org", 8086)),
        ("rtc.example.org:443", Target("https", "rtc.example.org", 443)),
        ("192.0.2.1", Target("https", "192.0.2.1", 8086)),
        ("2001:db8::1", Target("https", "2001:db8::1", 8086)),
        ("[2001:db8::1]:443", Target("https", "2001:db8::1", 443)),
        ("turn:192.0.2.1", IceUri("turn", "192.0.2.1", 3478, "udp")),
    ],
)
def test_targets(text: str, expected: Target | IceUri) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    ["ftp://host", "https://", "host:99999", "https://[::1", "host:x", "host:0", "x" * 300, "a..b"],
)
def test_nonsense(text: str) -> None:
    with pytest.raises(TargetError):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turn:h:1?transport=udp", IceUri("turn", "h", 1, "udp")),
        ("turn:h:1?transport=tcp", IceUri("turn", "h", 1, "tcp")),
        ("turns:h", IceUri("turns", "h", 5349, "tcp")),
        ("stun:[2001:db8::1]:2", IceUri("stun", "2001:db8::1", 2, "udp")),
    ],
)
def test_ice_uris(text: str, expected: IceUri) -> None:
    assert parse_ice_uri(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "turn:",
        "tern:h",
        "turn:h?transport=sctp",
        "turn:h:0x1",
        "",
        "turn:h:0",
        "turn:" + "x" * 300,
        "turn:a b",
        "turn:a\0b",
    ],
)
def test_bad_ice_uris(text: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_ice_uri(text)
    assert len(str(caught.value)) < 160


def test_own_target() -> None:
    assert own_target(General(port=0)) is None
    found = own_target(General())
    assert found is not None
    assert (found.url, found.connect, found.named) == (
        "http://localhost:8086/",
        "127.0.0.1",
        False,
    )
    found = own_target(General(domain="rtc.example.org", bind=("192.0.2.1",)))
    assert found is not None
    assert found.shown == "http://rtc.example.org:8086/ (at 192.0.2.1)"
    found = own_target(General(bind=("192.0.2.1",)))
    assert found is not None
    assert (found.shown, found.connect) == ("http://192.0.2.1:8086/", "")


def test_ipv6_is_in_brackets() -> None:
    assert Target("https", "2001:db8::1", 1).url == "https://[2001:db8::1]:1/"
    uri = IceUri("turn", "2001:db8::1", 2, "udp")
    assert (uri.place, uri.kind) == ("[2001:db8::1]:2", "turn udp")
