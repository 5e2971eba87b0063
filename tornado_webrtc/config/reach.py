"""Who can reach an address that clients are told, in words for the operator."""

from __future__ import annotations

from ipaddress import ip_network

from .address import IPAddress, IPNetwork

__all__ = ["limited_reach"]

_LIMITED: tuple[tuple[str, tuple[IPNetwork, ...]], ...] = tuple(
    (words, tuple(map(ip_network, networks.split())))
    for words, networks in (
        ("which leads each client to itself", "127.0.0.0/8 ::1"),
        (  # RFC 5737, RFC 3849, RFC 9637
            "an address for documentation, which nobody can reach",
            "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        ),
        (  # RFC 3927, RFC 4291 section 2.5.6
            "a link-local address: nobody outside its link can reach it",
            "169.254.0.0/16 fe80::/10",
        ),
        (  # RFC 6598
            "an address that customers of a carrier share: nobody outside can reach it",
            "100.64.0.0/10",
        ),
        (  # RFC 1918, RFC 4193
            "a private address: nobody outside its network can reach it",
            "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
        ),
    )
)


def limited_reach(address: IPAddress) -> str:
    """Say who cannot reach an address, to follow its name and a comma.

    Args:
        address: The address that clients are told.

    Returns:
        The words; empty if everybody can reach it.
    """
    for words, networks in _LIMITED:
        if any(address in network for network in networks):
            return words
    return "" if address.is_global else "a reserved address, which nobody can reach"
