"""Which peers may be relayed to: nobody reaches a private network through this server.

An address is judged in its canonical form, and so is every IPv4 address that
translators and tunnels read out of it. The order:

    deny      what the operator denied, final
    allow     what the operator opened, whatever it is
    hairpin   this server's own relays, when the caller says that it is about one
    built in  special, private and local networks, and the machine's own addresses

To open a network that carries IPv4 addresses, 64:ff9b::/96 for instance, does
not open those in it: they are judged by themselves, on the same lists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

__all__ = [
    "BUILT_IN_DENIALS",
    "IPAddress",
    "IPNetwork",
    "PeerPolicy",
    "Reason",
    "Verdict",
    "canonical",
    "embedded",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

CACHED_PEERS = 4096

BUILT_IN_DENIALS: tuple[IPNetwork, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 1122 section 3.2.1.3
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, RFC 3927; clouds' metadata
        "10.0.0.0/8",  # private, RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # shared by carriers, RFC 6598
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "198.51.100.0/24",
        "203.0.113.0/24",
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.175.48.0/24",  # AS112, RFC 7534
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast
        "168.63.129.16/32",  # a cloud's platform service under a public address
        "::/128",  # unspecified
        "::1/128",  # loopback
        "::/96",  # IPv4-compatible, RFC 4291 section 2.5.5.1
        "64:ff9b::/96",  # NAT64, RFC 6052
        "64:ff9b:1::/48",  # NAT64 for local use, RFC 8215
        "100::/64",  # discard-only, RFC 6666
        "2001::/23",  # protocol assignments, RFC 2928; Teredo
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "fc00::/7",  # unique local, RFC 4193
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, RFC 3879
        "ff00::/8",  # multicast
    )
)
"""Networks that nobody is relayed to unless the operator opens them."""

MAPPED_PREFIX_LENGTH = 96
"""::ffff:0:0/96, RFC 4291 section 2.5.5.2."""

_LOW_32 = 0xFFFFFFFF
# The networks in which addresses carry others, as the bits of their prefixes.
_IPV4_COMPATIBLE = 0  # ::/96
_IPV4_TRANSLATED = 0xFFFF_0000  # ::ffff:0:0:0/96
_NAT64 = 0x0064_FF9B << 64  # 64:ff9b::/96
_LOCAL_NAT64 = 0x0064_FF9B_0001  # 64:ff9b:1::/48
_TEREDO = 0x2001_0000  # 2001::/32
_6TO4 = 0x2002  # 2002::/16
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # in front of the last 32 bits


class Reason(StrEnum):
    """What decided; the names are good for counters."""

    DENIED_BY_OPERATOR = "deny_peers"
    ALLOWED_BY_OPERATOR = "allow_peers"
    HAIRPIN = "hairpin"
    BUILT_IN = "built_in"
    OWN_ADDRESS = "own_address"
    PUBLIC = "public"


class Verdict(NamedTuple):
    """Whether a peer may be relayed to, and why.

    Attributes:
        allowed: Whether it may.
        reason: What decided.
        network: The network of a list that decided, if one did.
    """

    allowed: bool
    reason: Reason
    network: IPNetwork | None = None


class NetworkSet:
    """Networks of both families, found by an address in as many steps as there are lengths.

    Args:
        networks: In any order; IPv4-mapped ones stand for the IPv4 networks in them,
            because that is how their addresses are judged.
    """

    def __init__(self, networks: Iterable[IPNetwork]) -> None:
        self._by_shift: dict[int, dict[int, dict[int, IPNetwork]]] = {4: {}, 6: {}}
        for network in map(_canonical_network, networks):
            shift = network.max_prefixlen - network.prefixlen
            of_length = self._by_shift[network.version].setdefault(shift, {})
            of_length[int(network.network_address) >> shift] = network

    def find(self, address: IPAddress) -> IPNetwork | None:
        """A network that holds the address; None if there is none."""
        value = int(address)
        for shift, of_length in self._by_shift[address.version].items():
            if found := of_length.get(value >> shift):
                return found
        return None


class _Judgement(NamedTuple):
    """What the lists say, which is always the same for one address.

    Attributes:
        verdict: With neither hairpin nor own addresses taken into account.
        unopened: The addresses in it that the operator did not open.
    """

    verdict: Verdict
    unopened: tuple[IPAddress, ...]


class PeerPolicy:
    """Judges peers by their address.

    Args:
        deny: What the operator denies; wins over everything.
        allow: What the operator opens although it is denied otherwise.
        own: Returns the machine's own addresses as they are now, best as a set.
    """

    def __init__(
        self,
        deny: Iterable[IPNetwork],
        allow: Iterable[IPNetwork],
        own: Callable[[], Collection[IPAddress]],
    ) -> None:
        self._deny = NetworkSet(deny)
        self._allow = NetworkSet(allow)
        self._built_in = NetworkSet(BUILT_IN_DENIALS)
        self._own = own
        self._judge = lru_cache(CACHED_PEERS)(self._judge_by_lists)

    def verdict(self, ip: str | IPAddress, *, hairpin: bool = False) -> Verdict:
        """Say whether a peer may be relayed to.

        Args:
            ip: Its address.
            hairpin: Whether that is an address of this server's relays. It is then
                allowed unless the operator denies it; the ports are the caller's to check.

        Raises:
            ValueError: `ip` is no address.
        """
        judgement = self._judge(ip)
        verdict = judgement.verdict
        if verdict.reason in (Reason.DENIED_BY_OPERATOR, Reason.ALLOWED_BY_OPERATOR):
            return verdict
        if hairpin:
            return Verdict(True, Reason.HAIRPIN)
        if verdict.allowed and not self._is_foreign(judgement.unopened):
            return Verdict(False, Reason.OWN_ADDRESS)
        return verdict

    def _is_foreign(self, addresses: tuple[IPAddress, ...]) -> bool:
        own = self._own()
        return not any(address in own for address in addresses)

    def _judge_by_lists(self, ip: str | IPAddress) -> _Judgement:
        peer = canonical(ip)
        addresses = (peer, *embedded(peer))
        for address in addresses:
            if denied := self._deny.find(address):
                return _Judgement(Verdict(False, Reason.DENIED_BY_OPERATOR, denied), ())
        unopened = tuple(each for each in addresses if not self._allow.find(each))
        if not unopened:
            verdict = Verdict(True, Reason.ALLOWED_BY_OPERATOR, self._allow.find(peer))
            return _Judgement(verdict, ())
        for address in unopened:
            if denied := self._built_in.find(address):
                return _Judgement(Verdict(False, Reason.BUILT_IN, denied), unopened)
        return _Judgement(Verdict(True, Reason.PUBLIC), unopened)


def canonical(ip: str | IPAddress) -> IPAddress:
    """The address that is judged: IPv4-mapped as IPv4 (RFC 4291 section 2.5.5.2), without scope.

    Raises:
        ValueError: `ip` is no address.
    """
    address = ip_address(ip)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _canonical_network(network: IPNetwork) -> IPNetwork:
    if isinstance(network, IPv6Network) and network.prefixlen >= MAPPED_PREFIX_LENGTH:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - MAPPED_PREFIX_LENGTH))
    return network


def embedded(address: IPAddress) -> list[IPv4Address]:
    """The IPv4 addresses that translators and tunnels read out of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    return [IPv4Address(each & _LOW_32) for each in _embedded(int(address))]


def _embedded(value: int) -> Iterator[int]:
    """Yield them as integers, with anything above their 32 bits."""
    upper = value >> 32
    if upper in (_IPV4_COMPATIBLE, _IPV4_TRANSLATED, _NAT64) and value > 1:  # but `::` and `::1`
        yield value  # RFC 4291 section 2.5.5.1, RFC 2765 section 2.1, RFC 6052 section 2.1
    if upper & _LOW_32 in _ISATAP:  # RFC 5214 section 6.1
        yield value
    if value >> 112 == _6TO4:  # RFC 3056 section 2
        yield value >> 80
    if value >> 96 == _TEREDO:  # RFC 4380 section 4: server, and client "obfuscated" by XOR
        yield value >> 64
        yield ~value
    if value >> 80 == _LOCAL_NAT64:
        yield from _of_local_nat64(value)


def _of_local_nat64(value: int) -> list[int]:
    """The IPv4 address in 64:ff9b:1::/48, for each prefix length that a network may have chosen.

    The bits lie around "bits 64 to 71 of the address", which are zero (RFC 6052
    section 2.2). An address does not say which length was meant: all are
    judged, but 0.0.0.0/8 counts only if there is nothing else.
    """
    closed = value >> 64 << 56 | value & (1 << 56) - 1
    forms = [closed >> 40, closed >> 32, closed >> 24, value]  # /48, /56, /64, /96
    return [form for form in forms if form & 0xFF000000] or [0]
