"""What this machine knows about addresses: its own, its routes, and those behind names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from tornado_webrtc.config import IPAddress
from tornado_webrtc.errors import PluginError
from tornado_webrtc.machine import machine_addresses

__all__ = [
    "Machine",
    "UnansweredError",
    "look_up",
    "read_machine",
    "source_address",
    "together",
]

_Found = TypeVar("_Found")

# Addresses for documentation (RFC 5737, RFC 3849): the default route leads there, and
# nothing is ever sent.
_FAR_AWAY = (ip_address("203.0.113.1"), ip_address("2001:db8::1"))
_IPV6_ADDR_PREFERENCES = 72  # RFC 5014 section 3; the numbers are Linux's
_IPV6_PREFER_SRC_PUBLIC = 2  # rather than a temporary address, which soon is gone

LOOKUP_S = 12.0
"""Seconds that a name may take. Those of `public_ip` are looked up together, then those of `bind`:
both take less time than `check` has, or nobody would hear which name it was."""


class UnansweredError(PluginError):
    """Nobody can be asked for a name at the moment: the network is not up yet, for example."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What can be known of this machine without asking anybody.

    Attributes:
        addresses: Those of all interfaces, in their order.
        sources: The ones that it sends from to the world, at most one per family.
    """

    addresses: Sequence[IPAddress]
    sources: Sequence[IPAddress] = ()


def read_machine() -> Machine:
    """Read what is true at this moment."""
    found = (source_address(each) for each in _FAR_AWAY)
    return Machine(machine_addresses(), tuple(each for each in found if each is not None))


def source_address(destination: IPAddress) -> IPAddress | None:
    """The address from which this machine sends to another; None if it cannot.

    A datagram socket is connected and nothing sent: that only looks for the route.
    """
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[destination.version]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            if family == socket.AF_INET6:
                option = (socket.IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _IPV6_PREFER_SRC_PUBLIC)
                sock.setsockopt(*option)
            sock.connect((str(destination), 9))
            return _without_scope(sock.getsockname()[0])
    except OSError:
        return None


async def look_up(name: str, key: str = "turn.public_ip") -> list[IPAddress]:
    """Look a host name up.

    Args:
        name: The name, or an address.
        key: Where it was written, for the error.

    Raises:
        PluginError: It stands for nothing.
        UnansweredError: Nobody can be asked at the moment.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        late = isinstance(error, TimeoutError)
        again = isinstance(error, OSError) and error.errno == socket.EAI_AGAIN
        reason = f"no answer within {LOOKUP_S:g} s" if late else _words(error)
        raise (UnansweredError if again or late else PluginError)(
            "turn",
            f"{key}: {name} cannot be looked up ({reason}); write an address instead,"
            " or start once names can be looked up",
        ) from error
    return list(dict.fromkeys(_without_scope(str(each[4][0])) for each in found))


async def together(lookups: Iterable[Awaitable[_Found]]) -> list[_Found]:
    """Look several names up at the same time.

    Raises:
        PluginError: What the first of them that fails, in their order, raises.
    """
    outcomes = await asyncio.gather(*lookups, return_exceptions=True)
    found = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


def _words(error: OSError | UnicodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _without_scope(text: str) -> IPAddress:
    return ip_address(text.partition("%")[0])
