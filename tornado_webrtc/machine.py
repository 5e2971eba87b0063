"""The machine that this runs on: its addresses, and which hosts are it or near it."""

from __future__ import annotations

from ipaddress import ip_address

import ifaddr

from tornado_webrtc.config import IPAddress

__all__ = ["is_loopback", "is_near", "machine_addresses"]


def machine_addresses() -> tuple[IPAddress, ...]:
    """All addresses of this machine's interfaces, IPv6 without their scopes; no name is looked up.

    Raises:
        OSError: No file is left to be opened.
    """
    entries = (entry for adapter in ifaddr.get_adapters() for entry in adapter.ips)
    texts = (entry.ip if isinstance(entry.ip, str) else entry.ip[0] for entry in entries)
    return tuple(dict.fromkeys(ip_address(text.partition("%")[0]) for text in texts))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nobody else can be reached by that name.

    Args:
        host: An address, or a name, which is not looked up.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_near(host: str) -> bool:
    """Whether a host is this machine or in its network, for all one can see.

    Args:
        host: An address, or a name, which is not looked up: one without a dot belongs to
            the network that it is used in.
    """
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host
