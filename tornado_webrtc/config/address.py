"""The syntax of addresses in the configuration: hosts, networks, origins, ICE URIs, ports.

Every ``parse_*`` function takes what an operator wrote and returns the value,
or raises ValueError with a text that names what is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

__all__ = [
    "IPAddress",
    "IPNetwork",
    "PortRange",
    "PublicAddress",
    "ice_uri_host",
    "parse_bind_address",
    "parse_host",
    "parse_ice_uri",
    "parse_network",
    "parse_origin",
    "parse_port_range",
    "parse_public_address",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

MIN_RELAY_PORT = 1024
MAX_PORT = 65535
MAX_HOST_LENGTH = 253  # RFC 1035 section 2.3.4, without the root's empty label

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>.*))?")
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_RANGE = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<wildcard>\*\.)?(?P<rest>[^/?#]+)")
_ICE_URI = re.compile(r"(?P<scheme>stuns?|turns?):(?P<rest>[^/?#]+)(?P<query>\?.*)?", re.IGNORECASE)
_ICE_TRANSPORTS = ("?transport=udp", "?transport=tcp")
_IMPLIED_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_HOST = "a host name or an IP address, without scheme, port and path"
_ICE = (
    "stun:HOST[:PORT], stuns:HOST[:PORT], turn:HOST[:PORT][?transport=udp|tcp] or "
    "turns:HOST[:PORT][?transport=udp|tcp], IPv6 addresses in brackets, without //"
)
_ORIGIN_FORM = "* or SCHEME://HOST[:PORT] such as https://example.org or https://*.example.org"
_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122 section 3.2.1.3
_PUBLIC = "an IP address, a host name, or PUBLIC/PRIVATE such as 203.0.113.5/10.0.0.5"


class PortRange(NamedTuple):
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """An address of this server as clients see it.

    Attributes:
        public: The address to advertise, or a host name that is to be looked up.
        private: This machine's own address behind a 1:1 NAT, if it is another one.
    """

    public: IPAddress | str
    private: IPAddress | None = None

    @property
    def version(self) -> int | None:
        """4 or 6; None for a host name, whose family shows when it is looked up."""
        known = self.private if isinstance(self.public, str) else self.public
        return known.version if known else None

    def __str__(self) -> str:
        return f"{self.public}/{self.private}" if self.private else str(self.public)


def parse_host(text: str) -> str:
    """Check a host name (RFC 1123 section 2.1) or an IP address without brackets.

    Args:
        text: What was written.

    Returns:
        The name or address, lower-case.

    Raises:
        ValueError: If it is neither.
    """
    if _ip(text) or _is_host_name(text):
        return text.lower()
    if not text.isascii():
        raise ValueError(f"{_HOST}; names beyond ASCII in their xn-- form")
    raise ValueError(_HOST)


def parse_bind_address(text: str) -> str:
    """Check an address to listen on: an IP address or a local host name.

    Args:
        text: What was written; brackets around an IPv6 address are dropped.

    Returns:
        The address.

    Raises:
        ValueError: If it is something else, `*` for example.
    """
    try:
        bracketed = text.startswith("[") and text.endswith("]")
        return parse_host(text[1:-1] if bracketed else text)
    except ValueError:
        raise ValueError("an address of this machine; 0.0.0.0 and :: mean all of them") from None


def parse_network(text: str) -> IPNetwork:
    """Parse a network such as 10.0.0.0/8, or a single address.

    Args:
        text: What was written.

    Returns:
        The network.

    Raises:
        ValueError: If it is no network, or bits of the host part are set.
    """
    allowed = "a network such as 10.0.0.0/8 or fd00::/8, or a single address"
    if "%" in text:
        raise ValueError(allowed)
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(allowed) from None
    if network.network_address != ip_address(text.partition("/")[0]):
        raise ValueError(f"{allowed}; the network that holds this address is {network}")
    return network


def parse_origin(text: str) -> str:
    """Check an entry of a list of origins (RFC 6454 section 6.2), or a pattern for them.

    Args:
        text: ``*``, ``scheme://host[:port]`` or ``scheme://*.host[:port]``.

    Returns:
        The entry as browsers write it: lower-case, without the scheme's own port.

    Raises:
        ValueError: If it is something else.
    """
    if text == "*":
        return text
    match = _ORIGIN.fullmatch(text)
    place = _host_and_port(match["rest"]) if match else None
    if match is None or place is None:
        raise ValueError(_ORIGIN_FORM)
    host, port = place
    scheme, wildcard = match["scheme"].lower(), match["wildcard"] or ""
    if wildcard and not _is_host_name(host):
        raise ValueError(_ORIGIN_FORM)
    shown = f":{port}" if port is not None and port != _IMPLIED_PORTS.get(scheme) else ""
    return f"{scheme}://{wildcard}{host}{shown}"


def parse_ice_uri(text: str) -> str:
    """Check the URI of a STUN server (RFC 7064 section 3.1) or TURN server (RFC 7065 section 3.1).

    Args:
        text: What was written.

    Returns:
        The URI, its scheme and host lower-case.

    Raises:
        ValueError: If the syntax is wrong, the transport is neither udp nor tcp, or a STUN
            server has one.
    """
    match = _ICE_URI.fullmatch(text)
    place = _host_and_port(match["rest"]) if match else None
    if match is None or place is None:
        raise ValueError(_ICE)
    scheme, query = match["scheme"].lower(), (match["query"] or "").lower()
    if query and (scheme.startswith("stun") or query not in _ICE_TRANSPORTS):
        raise ValueError(_ICE)
    host, port = place
    return f"{scheme}:{host}{'' if port is None else f':{port}'}{query}"


def parse_port_range(text: str) -> PortRange:
    """Parse ``FIRST-LAST``, or a single port.

    Args:
        text: What was written.

    Returns:
        The range.

    Raises:
        ValueError: If it has another form, begins below 1024, ends above 65535 or runs backwards.
    """
    match = _PORT_RANGE.fullmatch(text)
    ports = PortRange(int(match[1]), int(match[2] or match[1])) if match else PortRange(0, 0)
    if not MIN_RELAY_PORT <= ports.first <= ports.last <= MAX_PORT:
        raise ValueError(
            f"FIRST-LAST such as 49152-65535, or a single port, from {MIN_RELAY_PORT} to {MAX_PORT}"
        )
    return ports


def parse_public_address(text: str) -> PublicAddress:
    """Parse an address to advertise: ``PUBLIC`` or ``PUBLIC/PRIVATE``.

    Args:
        text: The public part is an address or a host name, the private part an address.

    Returns:
        The parts.

    Raises:
        ValueError: If a part is wrong, the families differ, or no machine can ever
            have such an address.
    """
    public_text, slash, private_text = (part.strip() for part in text.partition("/"))
    private = _ip(private_text)
    if "%" in text or (slash and private is None):
        raise ValueError(_PUBLIC)
    try:
        host = parse_host(public_text)
    except ValueError:
        raise ValueError(_PUBLIC) from None
    public = _ip(host)
    if public and private and public.version != private.version:
        raise ValueError(f"{_PUBLIC}, both of one family")
    if any(address and _is_nobodys(address) for address in (public, private)):
        raise ValueError(f"{_PUBLIC}; no machine can have this address")
    return PublicAddress(public or host, private)


def ice_uri_host(uri: str) -> str:
    """Return the host of a URI that `parse_ice_uri` gave, without brackets."""
    place = uri.partition(":")[2].partition("?")[0]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


def _is_nobodys(address: IPAddress) -> bool:
    """Tell whether an address can never be that of one machine on a network."""
    if address.is_multicast or address.is_unspecified:
        return True
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped is not None
    return address.is_reserved or address in _THIS_NETWORK


def _ip(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_host_name(text: str) -> bool:
    """A last label of digits only belongs to a mistyped IPv4 address (RFC 1123 section 2.1)."""
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= MAX_HOST_LENGTH
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


def _host_and_port(text: str) -> tuple[str, int | None] | None:
    """Split ``host[:port]``; the host keeps its brackets. None if either is wrong."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    if match["ipv6"]:
        address = _ip(match["ipv6"])
        host = f"[{address}]" if isinstance(address, IPv6Address) else ""
    else:
        host = match["name"].lower() if _ip(match["name"]) or _is_host_name(match["name"]) else ""
    port = match["port"]
    if not host or (port is not None and not _is_port(port)):
        return None
    return host, None if port is None else int(port)


def _is_port(text: str) -> bool:
    return bool(_PORT.fullmatch(text)) and 1 <= int(text) <= MAX_PORT
