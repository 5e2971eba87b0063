"""The addresses of the machine that this runs on."""

from __future__ import annotations

from ipaddress import ip_address

import ifaddr

from tornado_webrtc.config import IPAddress

__all__ = ["machine_addresses"]


def machine_addresses() -> tuple[IPAddress, ...]:
    """All addresses of this machine's interfaces, IPv6 without their scopes; no name is looked up.

    Raises:
        OSError: No file is left to be opened.
    """
    entries = (entry for adapter in ifaddr.get_adapters() for entry in adapter.ips)
    texts = (entry.ip if isinstance(entry.ip, str) else entry.ip[0] for entry in entries)
    return tuple(dict.fromkeys(ip_address(text.partition("%")[0]) for text in texts))
