"""What is said of addresses that not everybody can reach."""

from ipaddress import ip_address

import pytest

from tornado_webrtc.config import limited_reach


@pytest.mark.parametrize("text", ["8.8.8.8", "203.0.114.1", "2600::1"])
def test_everybody_can_reach_it(text: str) -> None:
    assert limited_reach(ip_address(text)) == ""


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        ("127.0.0.1 127.9.9.9 ::1", "leads each client to itself"),
        ("203.0.113.5 192.0.2.1 198.51.100.1 2001:db8::5 3fff::1", "for documentation"),
        ("169.254.1.1 fe80::1", "link-local"),
        ("100.64.0.1 100.127.255.255", "customers of a carrier"),
        ("10.0.0.5 172.31.0.1 192.168.1.1 fd00::2", "a private address"),
        ("255.255.255.255 240.0.0.1 0.1.2.3 198.18.0.1", "a reserved address"),
    ],
)
def test_why_some_cannot(addresses: str, words: str) -> None:
    for text in addresses.split():
        assert words in limited_reach(ip_address(text)), text
