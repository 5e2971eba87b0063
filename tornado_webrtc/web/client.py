"""Who a request comes from.

Only a proxy that the operator named is believed. Tornado's own ``xheaders``
believes anyone who sends the header, so it stays off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tornado.httputil import HTTPServerRequest

__all__ = [
    "Network",
    "bearer_token",
    "client_ip",
    "is_proxy",
    "parse_address",
    "rightmost_untrusted",
]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """Read an address as proxies write it: bare, with a port, or in brackets."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def rightmost_untrusted(
    peer_ip: str, forwarded_for: Iterable[str], trusted: Sequence[Network]
) -> str:
    """The client's address behind trusted proxies.

    Args:
        peer_ip: The other end of the socket.
        forwarded_for: The values of all X-Forwarded-For headers, in order.
        trusted: Networks whose word is taken.

    Returns:
        The rightmost entry that is not a trusted proxy, or as far as entries
        can be read; the socket's peer itself if that is not trusted.
    """
    address = parse_address(peer_ip)
    if address is None or not _is_trusted(address, trusted):
        return peer_ip
    entries = [entry for value in forwarded_for for entry in value.split(",")]
    for entry in reversed(entries):
        found = parse_address(entry)
        if found is None:
            break
        address = found
        if not _is_trusted(address, trusted):
            break
    return str(address)


def is_proxy(request: HTTPServerRequest, trusted: Sequence[Network]) -> bool:
    """Tell whether a request came straight from a trusted proxy."""
    address = parse_address(request.remote_ip or "")
    return address is not None and _is_trusted(address, trusted)


def bearer_token(request: HTTPServerRequest) -> str | None:
    """The token in ``Authorization: Bearer TOKEN``, if there is one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def client_ip(request: HTTPServerRequest, trusted: Sequence[Network]) -> str:
    """The client's address; see `rightmost_untrusted`."""
    peer_ip = request.remote_ip or ""
    if not trusted:
        return peer_ip
    return rightmost_untrusted(peer_ip, request.headers.get_list("X-Forwarded-For"), trusted)
