"""What is read of this machine's addresses is true, and whole; who is near is known."""

import resource
from ipaddress import ip_address

import ifaddr
import pytest

from tornado_webrtc.machine import is_loopback, is_near, machine_addresses


def test_addresses_are_those_of_all_interfaces_once_each() -> None:
    addresses = machine_addresses()
    entries = [entry.ip for adapter in ifaddr.get_adapters() for entry in adapter.ips]
    texts = [entry if isinstance(entry, str) else entry[0] for entry in entries]
    assert {str(each) for each in addresses} == {text.partition("%")[0] for text in texts}
    assert len(set(addresses)) == len(addresses)
    assert ip_address("127.0.0.1") in addresses


def test_without_a_file_to_open() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            machine_addresses()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert is_near(host)


@pytest.mark.parametrize("host", ["10.0.0.5", "192.168.1.1", "fe80::1", "fd00::1", "sentry", "app"])
def test_near(host: str) -> None:
    assert not is_loopback(host)
    assert is_near(host)


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:4700::1", "app.example.org", "a.b"])
def test_far(host: str) -> None:
    assert not is_loopback(host)
    assert not is_near(host)
