"""The client's address: only the proxies that the operator named are believed."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from tornado_webrtc.web.client import client_ip, parse_address, rightmost_untrusted

PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "127.0.0.1/32", "2001:db8:aaaa::/48")))
CLIENT = "203.0.113.7"


def request_from(peer_ip: str, *headers: tuple[str, str]) -> HTTPServerRequest:
    """A request as Tornado makes it, from the other end of a socket."""
    fields = HTTPHeaders({"Host": "localhost"})
    for name, value in headers:
        fields.add(name, value)
    start = RequestStartLine("GET", "/", "HTTP/1.1")
    request = HTTPServerRequest(start_line=start, headers=fields)
    request.remote_ip = peer_ip
    return request


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("  203.0.113.7\t", "203.0.113.7"),
        ("203.0.113.7:50123", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
    ],
)
def test_address_is_read_as_proxies_write_it(text: str, address: str) -> None:
    assert parse_address(text) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "text",
    ["", " ", "unknown", "_hidden", "localhost", "1.2.3", "1.2.3.4.5", "[", "[]", "::1::", "\0"],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("peer_ip", "forwarded_for", "expected"),
    [
        pytest.param("198.51.100.1", [], "198.51.100.1", id="no proxy"),
        pytest.param("198.51.100.1", [CLIENT], "198.51.100.1", id="a client that lies"),
        pytest.param("2001:db8::1", ["10.0.0.1"], "2001:db8::1", id="a client that lies, IPv6"),
        pytest.param("10.0.0.1", [CLIENT], CLIENT, id="one proxy"),
        pytest.param("::ffff:10.0.0.1", [CLIENT], CLIENT, id="one proxy, as a mapped address"),
        pytest.param("2001:db8:aaaa::1", [CLIENT], CLIENT, id="one proxy, IPv6"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="a proxy that says nothing, in words"),
        pytest.param("10.0.0.1", [f"{CLIENT}, 10.0.0.2, 127.0.0.1"], CLIENT, id="three proxies"),
        pytest.param("10.0.0.1", [CLIENT, "10.0.0.2"], CLIENT, id="a header per proxy"),
        pytest.param("10.0.0.1", [f"1.2.3.4, {CLIENT}"], CLIENT, id="a lie before a proxy"),
        pytest.param(
            "10.0.0.1", ["1.2.3.4", f"10.0.0.9,{CLIENT},10.0.0.2"], CLIENT, id="lies, two proxies"
        ),
        pytest.param("10.0.0.1", [f"{CLIENT}:4711"], CLIENT, id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3", id="proxies only"),
        pytest.param("10.0.0.1", [f"{CLIENT}, unknown"], "10.0.0.1", id="unreadable at once"),
        pytest.param("10.0.0.1", [f"{CLIENT}, ?, 10.0.0.2"], "10.0.0.2", id="unreadable later"),
        pytest.param("", [CLIENT], "", id="no socket address"),
    ],
)
def test_client_is_the_rightmost_that_is_no_trusted_proxy(
    peer_ip: str, forwarded_for: list[str], expected: str
) -> None:
    assert rightmost_untrusted(peer_ip, forwarded_for, PROXIES) == expected
    headers = [("X-Forwarded-For", value) for value in forwarded_for]
    assert client_ip(request_from(peer_ip, *headers), PROXIES) == expected


def test_nobody_is_believed_unless_named() -> None:
    headers = [("X-Forwarded-For", CLIENT), ("X-Real-Ip", CLIENT), ("Forwarded", f"for={CLIENT}")]
    assert client_ip(request_from("127.0.0.1", *headers), ()) == "127.0.0.1"


@given(values=st.lists(st.text(max_size=60), max_size=5))
def test_hostile_header_yields_an_address(values: list[str]) -> None:
    ipaddress.ip_address(rightmost_untrusted("10.0.0.1", values, PROXIES))


@given(lies=st.lists(st.sampled_from(["10.0.0.9", "1.2.3.4", "?", "", "::1"]), max_size=5))
def test_what_stands_left_of_the_client_does_not_matter(lies: list[str]) -> None:
    value = ", ".join([*lies, CLIENT, "10.0.0.2"])
    assert rightmost_untrusted("10.0.0.1", [value], PROXIES) == CLIENT
