"""Origins: exactly those that the operator allows, and no look-alikes."""

import pytest

from tornado_webrtc.web.origin import allow_origin_header, origin_allowed, same_host

ALLOWED = ("https://app.example.org", "https://*.example.com", "http://*.lan:8080")


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.org",
        "HTTPS://App.Example.ORG",
        "https://a.example.com",
        "https://a.b.example.com",
        "http://tv.lan:8080",
    ],
)
def test_allowed(origin: str) -> None:
    assert origin_allowed(origin, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://",
        "http://app.example.org",
        "https://app.example.org:444",
        "https://app.example.org.evil.net",
        "https://evil.net/https://app.example.org",
        "https://evilapp.example.org",
        "https://example.com",
        "https://evilexample.com",
        "https://a.example.com.evil.net",
        "https://a.example.com:8443",
        "http://a.example.com",
        "wss://a.example.com",
        "a.example.com",
        "http://tv.lan",
        "http://tv.lan:80801",
        "https://*.example.org",
    ],
)
def test_not_allowed(origin: str) -> None:
    assert not origin_allowed(origin, ALLOWED)


@pytest.mark.parametrize("origin", ["null", "https://anything.example", "app://me", ""])
def test_star_allows_all(origin: str) -> None:
    assert origin_allowed(origin, ("https://x.example", "*"))


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert not origin_allowed("https://app.example.org", ())


def test_pattern_ignores_case() -> None:
    assert origin_allowed("https://a.example.com", ("HTTPS://*.Example.COM",))


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://example.org", "example.org", True),
        ("https://Example.org:8086", "EXAMPLE.org:8086", True),
        ("http://[::1]:8086", "[::1]:8086", True),
        ("https://example.org", "example.org:8086", False),
        ("https://example.org:8086", "example.org", False),
        ("https://evil.example.org", "example.org", False),
        ("https://example.org.evil", "example.org", False),
        ("null", "", False),
        ("null", "null", False),
        ("https://", "", False),
    ],
)
def test_page_from_the_host_itself(origin: str, host: str, same: bool) -> None:
    assert same_host(origin, host) is same


@pytest.mark.parametrize(
    ("host", "same"),
    [
        ("call.example.org", True),
        ("Call.Example.ORG:8086", True),
        ("call.example.org.:8086", True),
        ("localhost:8086", True),
        ("127.0.0.1:8086", True),
        ("192.0.2.1", True),
        ("[2001:db8::1]:8086", True),
        ("evil.example:8086", False),
        ("evil.call.example.org", False),
        ("call.example.org.evil.example", False),
        ("example.org", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8086", False),
        ("evil.example.:8086", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("domain", ["call.example.org", "call.example.org."])
def test_server_that_knows_its_name_has_no_other(host: str, same: bool, domain: str) -> None:
    """A name of somebody else's may stand for its address, too."""
    assert same_host(f"http://{host}", host, domain) is same
    assert same_host(f"http://{host}", host) is bool(host)
    assert not same_host("http://evil.example:8086", host, domain)


@pytest.mark.parametrize(
    ("origin", "allowed", "header"),
    [
        (None, ("*",), "*"),
        ("https://x.example", ("*",), "*"),
        ("https://app.example.org", ALLOWED, "https://app.example.org"),
        ("https://a.example.com", ALLOWED, "https://a.example.com"),
        ("https://evil.net", ALLOWED, None),
        ("null", ALLOWED, None),
        (None, ALLOWED, None),
    ],
)
def test_cors_header(origin: str | None, allowed: tuple[str, ...], header: str | None) -> None:
    assert allow_origin_header(origin, allowed) == header
