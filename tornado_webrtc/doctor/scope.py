"""Which addresses a server may have this machine try: one elsewhere, none in this network."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass

from tornado_webrtc.config import IPAddress
from tornado_webrtc.doctor.case import Case

__all__ = ["Scope", "scope_of"]

_WITHIN = {
    "loopback": {"loopback", "private"},
    "link-local": {"link-local", "private"},
    "private": {"private"},
    "public": set[str](),
}
"""What a server at an address of one kind may name, besides public addresses and itself."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a server may name.

    Attributes:
        bases: Its own addresses; none: nothing but public ones.
    """

    bases: tuple[IPAddress, ...] = ()

    def allows(self, host: str) -> bool:
        """Whether an address may be tried; every address of the server has to allow it."""
        address = _address(host)
        kind = _kind(address)
        if kind == "public" or address in self.bases:
            return True
        return bool(self.bases) and all(kind in _WITHIN[_kind(base)] for base in self.bases)


async def scope_of(case: Case) -> Scope | None:
    """What the examined server may name; None: anything, because it was this machine's choice."""
    if case.own or case.target is None:
        return None
    host = case.target.connect or case.target.host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return Scope()
    return Scope(tuple({_address(str(each[4][0])) for each in found}))


def _address(host: str) -> IPAddress:
    """An address; an IPv4 address in an IPv6 one is what it is (RFC 4291 section 2.5.5.2)."""
    address = ipaddress.ip_address(host.partition("%")[0])
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return inner or address


def _kind(address: IPAddress) -> str:
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "public" if address.is_global and not address.is_multicast else "private"
