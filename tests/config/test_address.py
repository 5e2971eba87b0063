"""Hosts, networks, origins, ICE URIs, port ranges and public addresses."""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornado_webrtc.config.address import (
    PortRange,
    PublicAddress,
    ice_uri_host,
    parse_bind_address,
    parse_host,
    parse_ice_uri,
    parse_network,
    parse_origin,
    parse_port_range,
    parse_public_address,
)

PARSERS: list[Callable[[str], object]] = [
    parse_bind_address,
    parse_host,
    parse_ice_uri,
    parse_network,
    parse_origin,
    parse_port_range,
    parse_public_address,
]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("demo.cloudwebrtc.com", "demo.cloudwebrtc.com"),
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org."),
        ("localhost", "localhost"),
        ("a_b.example", "a_b.example"),
        ("1and1.example", "1and1.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_host(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        ".",
        "https://example.org",
        "example.org:8086",
        "example.org/x",
        "a..b",
        "-a.example",
        "a-.example",
        "256.1.1.1",
        "1.2.3",
        "[::1]",
        "a b",
        "x" * 64 + ".example",
        ".".join(["x" * 60] * 5),
    ],
)
def test_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a host name or an IP address"):
        parse_host(text)


def test_host_beyond_ascii() -> None:
    with pytest.raises(ValueError, match="xn--"):
        parse_host("bücher.example")


@pytest.mark.parametrize(
    ("text", "address"),
    [("0.0.0.0", "0.0.0.0"), ("::", "::"), ("[::1]", "::1"), ("localhost", "localhost")],
)
def test_bind_address(text: str, address: str) -> None:
    assert parse_bind_address(text) == address


@pytest.mark.parametrize("text", ["*", "[::", "::]", "0.0.0.0:8086", ""])
def test_no_bind_address(text: str) -> None:
    with pytest.raises(ValueError, match="mean all of them"):
        parse_bind_address(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("::/0", "::/0"),
        ("fd00::1", "fd00::1/128"),
    ],
)
def test_network(text: str, network: str) -> None:
    assert parse_network(text) == ip_network(network)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10/8", "example.org", "fe80::1%eth0", "1"])
def test_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a network such as"):
        parse_network(text)


def test_network_with_host_bits_names_the_network() -> None:
    with pytest.raises(ValueError, match=r"the network that holds this address is 10\.0\.0\.0/8"):
        parse_network("10.0.0.1/8")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("*", "*"),
        ("https://example.org", "https://example.org"),
        ("HTTPS://Example.ORG", "https://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("http://example.org:443", "http://example.org:443"),
        ("https://example.org:8443", "https://example.org:8443"),
        ("https://*.example.org", "https://*.example.org"),
        ("https://*.example.org:8443", "https://*.example.org:8443"),
        ("http://192.0.2.1:3000", "http://192.0.2.1:3000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_origin(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "*.example.org",
        "https://",
        "https://example.org/",
        "https://example.org?x",
        "https://*",
        "https://a.*.org",
        "https://*.192.0.2.1",
        "https://example.org:0",
        "https://example.org:99999",
        "https://example.org:x",
        "https://user@example.org",
        "https://2001:db8::1",
        "https://[192.0.2.1]",
    ],
)
def test_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match=r"^\* or SCHEME"):
        parse_origin(text)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("stun:stun.example.org", "stun:stun.example.org"),
        ("stun:stun.example.org:3478", "stun:stun.example.org:3478"),
        ("stuns:192.0.2.1", "stuns:192.0.2.1"),
        ("turn:turn.example.org", "turn:turn.example.org"),
        ("TURN:Turn.Example.Org?transport=UDP", "turn:turn.example.org?transport=udp"),
        ("turn:turn.example.org:3478?transport=tcp", "turn:turn.example.org:3478?transport=tcp"),
        ("turns:[2001:db8::1]:5349?transport=tcp", "turns:[2001:db8::1]:5349?transport=tcp"),
    ],
)
def test_ice_uri(text: str, uri: str) -> None:
    assert parse_ice_uri(text) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "turn.example.org",
        "turn:",
        "turn://turn.example.org",
        "turn:[example.org]",
        "http:turn.example.org",
        "turn:turn.example.org:0",
        "turn:turn.example.org:70000",
        "turn:turn.example.org:",
        "turn:2001:db8::1",
        "turn:turn.example.org?transport=sctp",
        "turn:turn.example.org?proto=udp",
        "turn:turn.example.org?",
        "stun:stun.example.org?transport=udp",
        "turn:user@turn.example.org",
    ],
)
def test_no_ice_uri(text: str) -> None:
    with pytest.raises(ValueError, match=r"^stun:HOST"):
        parse_ice_uri(text)


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("turn:192.0.2.1:3478?transport=udp", "192.0.2.1"),
        ("turn:[2001:db8::1]:3478?transport=tcp", "2001:db8::1"),
        ("stun:stun.example.org", "stun.example.org"),
        ("turns:example.org:443", "example.org"),
    ],
)
def test_host_of_an_ice_uri(uri: str, host: str) -> None:
    assert ice_uri_host(parse_ice_uri(uri)) == host


@pytest.mark.parametrize("text", ["49152-65535", "49152 - 65535"])
def test_port_range(text: str) -> None:
    assert parse_port_range(text) == PortRange(49152, 65535)
    assert str(parse_port_range(text)) == "49152-65535"


@pytest.mark.parametrize("text", ["5000-5000", "5000"])
def test_port_range_of_one(text: str) -> None:
    assert parse_port_range(text) == (5000, 5000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1023",
        "65536",
        "5000-",
        "-5000",
        "6000-5000",
        "1023-5000",
        "5000-65536",
        "5000:6000",
        "a-b",
    ],
)
def test_no_port_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"^FIRST-LAST"):
        parse_port_range(text)


@pytest.mark.parametrize(
    ("text", "public", "private", "version"),
    [
        ("203.0.113.5", ip_address("203.0.113.5"), None, 4),
        ("2001:db8::5", ip_address("2001:db8::5"), None, 6),
        ("127.0.0.1", ip_address("127.0.0.1"), None, 4),
        ("203.0.113.5/10.0.0.5", ip_address("203.0.113.5"), ip_address("10.0.0.5"), 4),
        ("2001:db8::5 / fd00::5", ip_address("2001:db8::5"), ip_address("fd00::5"), 6),
        ("Turn.example.org", "turn.example.org", None, None),
        ("turn.example.org/fd00::5", "turn.example.org", ip_address("fd00::5"), 6),
    ],
)
def test_public_address(text: str, public: object, private: object, version: int | None) -> None:
    address = parse_public_address(text)
    assert (address.public, address.private, address.version) == (public, private, version)


def test_public_address_as_text() -> None:
    assert str(parse_public_address("203.0.113.5 / 10.0.0.5")) == "203.0.113.5/10.0.0.5"
    assert str(PublicAddress("turn.example.org")) == "turn.example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "203.0.113.5/",
        "/10.0.0.5",
        "203.0.113.5/24",
        "203.0.113.5/10.0.0.5/10.0.0.6",
        "203.0.113.5:19302",
        "203.0.113.5/example.org",
        "203.0.113.5/fd00::5",
        "fe80::1%eth0",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "255.255.255.255",
        "::ffff:8.8.8.8",
        "8.8.8.8/0.0.0.0",
        "turn.example.org/224.0.0.1",
        "http://example.org",
    ],
)
def test_no_public_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^an IP address, a host name, or PUBLIC/PRIVATE"):
        parse_public_address(text)


@pytest.mark.parametrize("parse", PARSERS)
@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_gives_a_value_or_what_is_allowed(
    parse: Callable[[str], object], text: str
) -> None:
    message = ""
    try:
        parse(text)
    except ValueError as error:
        message = str(error)
    assert not message or re.search("such as| or |mean", message)
