"""Which addresses clients are told, and which ones of this machine relays are bound to.

`[turn] public_ip` names them, or nothing: then they are found on the machine's
interfaces. `choose` decides by what `machine.py` reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address

from tornado_webrtc.config import IPAddress, PublicAddress, limited_reach
from tornado_webrtc.errors import PluginError

from .machine import Machine, look_up, together

__all__ = ["Choice", "Lookup", "RelayAddress", "choose", "find", "told"]

Lookup = Callable[[str], Awaitable[Sequence[IPAddress]]]

KEY = "turn.public_ip"

VERSIONS = (4, 6)


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where the relays of one address family are.

    Attributes:
        advertised: What clients are told.
        local: What relays are bound to; another one behind a 1:1 NAT.
        doubt: What there is to say if clients are told it. The configuration has its
            own warnings about addresses that are written there; these are not repeated.
    """

    advertised: IPAddress
    local: IPAddress
    doubt: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.advertised.version


@dataclass(frozen=True, slots=True)
class Choice:
    """The addresses to relay with, and what there is to say about them.

    Attributes:
        addresses: At least one, at most one per family, IPv4 first.
        description: What clients are told, a line per family.
        warnings: What an operator should know.
    """

    addresses: tuple[RelayAddress, ...]
    description: tuple[str, ...]
    warnings: tuple[str, ...]

    def of_version(self, version: int) -> RelayAddress | None:
        """The addresses of one family, 4 or 6."""
        return next((each for each in self.addresses if each.version == version), None)


async def find(
    configured: Sequence[PublicAddress], machine: Machine, lookup: Lookup = look_up
) -> Choice:
    """Look names up, then choose.

    Args:
        configured: The value of `[turn] public_ip`.
        machine: As `read_machine` returns it.
        lookup: Looks a name up.

    Raises:
        PluginError: A name cannot be looked up, or there is nothing to relay with.
    """
    names = [entry.public for entry in configured if isinstance(entry.public, str)]
    return choose(
        configured, machine, dict(zip(names, await together(map(lookup, names)), strict=True))
    )


def choose(
    configured: Sequence[PublicAddress],
    machine: Machine,
    resolved: Mapping[str, Sequence[IPAddress]],
) -> Choice:
    """Choose the addresses to relay with.

    Args:
        configured: The value of `[turn] public_ip`. If it is empty, global
            addresses are taken before private ones, and loopback if there is
            nothing else in either family.
        machine: What this machine has.
        resolved: What the names in `configured` stand for.

    Raises:
        PluginError: There is nothing to relay with; it says what to do.
    """
    chosen = _Chooser(machine, resolved)
    if configured:
        chosen.take_configured(configured)
    else:
        chosen.take_found()
    return chosen.choice()


def told(choice: Choice, machine: Machine, bind: Sequence[str], listening: Sequence[str]) -> Choice:
    """Add what there is to say about the addresses that clients are told.

    Args:
        choice: The addresses to relay with. Clients are told those of families that
            the server listens to.
        machine: What this machine has. An address that it lacks has its own warning.
        bind: The value of `[turn] bind`.
        listening: The addresses that this stands for.
    """
    only = f"the server listens on {', '.join(bind)} only"
    families = {ip_address(each).version for each in listening}
    addresses = [each for each in choice.addresses if each.version in families]
    warnings = []
    if not addresses:
        lost = " and ".join(str(each.advertised) for each in choice.addresses)
        warnings.append(f"turn.bind: clients are not told {lost}: {only}")
    for each in addresses:
        is_here = each.local in machine.addresses or each.local.is_loopback
        if is_here and str(each.local) not in listening:
            vain = f"clients are told {each.advertised}, but nothing listens on {each.local}"
            warnings.append(f"turn.bind: {vain}: {only}")
        elif each.doubt:
            warnings.append(f"{KEY}: {each.doubt}")
    return replace(choice, warnings=(*choice.warnings, *warnings))


class _Chooser:
    """Collects an address per family, and what there is to say."""

    def __init__(self, machine: Machine, resolved: Mapping[str, Sequence[IPAddress]]) -> None:
        self._machine = machine
        self._resolved = resolved
        self._addresses: dict[int, RelayAddress] = {}
        self._lines: dict[int, str] = dict.fromkeys(VERSIONS, "nothing is relayed")
        self._warnings: list[str] = []

    def choice(self) -> Choice:
        addresses = [self._addresses[each] for each in VERSIONS if each in self._addresses]
        lines = [f"IPv{version}: {self._lines[version]}" for version in VERSIONS]
        return Choice(tuple(addresses), tuple(lines), tuple(self._warnings))

    def take_found(self) -> None:
        """Without a configured address: the best one of each family."""
        best = [self._usable(version, _found_rank)[:1] for version in VERSIONS]
        loopback = [each for each in self._machine.addresses if each.is_loopback]
        for address in [each for found in best for each in found] or loopback:
            if address.version not in self._addresses:
                doubt = _doubt(address, _advice(address))
                self._take(address, address, ", found on this machine", doubt)
        if not self._addresses:
            raise _error("this machine has no address that could be found; write one")
        self._say_why_not("this machine has no such address")

    def take_configured(self, configured: Sequence[PublicAddress]) -> None:
        """What is written comes before what a name happens to stand for."""
        written = {entry.version for entry in configured}
        for entry in configured:
            if isinstance(entry.public, str):
                self._take_name(entry.public, entry, written - {entry.version})
            else:
                self._take_configured(entry.public, entry)
        if not self._addresses:
            names = " and ".join(str(entry.public) for entry in configured)
            raise _error(f"{names} stands for no address that this machine could relay with")
        self._say_why_not(f"{KEY} has no such address")

    def _take_name(self, name: str, entry: PublicAddress, taken: set[int | None]) -> None:
        found = False
        for public in self._one_per_version(self._resolved[name]):
            fits = entry.version in (None, public.version)
            if not fits or public.version in taken or public.version in self._addresses:
                continue
            found = True
            if entry.private or self._is_here(public) or self._usable(public.version, _nat_rank):
                doubt = _doubt(public, f"{name} has to stand for a public one")
                self._take_configured(public, entry, f", the address of {name}", doubt)
            else:
                self._lines[public.version] += f": {name} is {public}, this machine has none"
        if not found:
            self._warn(f"{name} adds no address to the others")

    def _one_per_version(self, addresses: Sequence[IPAddress]) -> Iterator[IPAddress]:
        """Of several addresses of a name rather one that this machine has."""
        for version in VERSIONS:
            those = [each for each in addresses if each.version == version]
            yield from sorted(those, key=lambda each: not self._is_here(each))[:1]

    def _take_configured(
        self, public: IPAddress, entry: PublicAddress, origin: str = "", doubt: str = ""
    ) -> None:
        local = entry.private
        if local is None:
            local = public if self._is_here(public) else self._behind_nat(public)
        elif not self._is_here(local):
            self._warn(
                f"{local} is no address of this machine; relays can be opened only once it is"
            )
        self._take(public, local, origin, doubt)

    def _behind_nat(self, public: IPAddress) -> IPAddress:
        local = self._usable(public.version, _nat_rank)
        if not local:
            raise _error(
                f"{public} is no address of this machine, which has no IPv{public.version} address"
                f" to relay from; give it one, or take {public} out"
            )
        if len(local) > 1 and local[0] not in self._machine.sources:
            self._warn(
                f"{public} is no address of this machine, {local[0]} is taken as"
                f" the one behind it; if that is another one, write {public}/PRIVATE"
            )
        return local[0]

    def _take(self, advertised: IPAddress, local: IPAddress, origin: str, doubt: str) -> None:
        bound = "" if local == advertised else f"; relays are bound to {local}"
        self._addresses[advertised.version] = RelayAddress(advertised, local, doubt)
        self._lines[advertised.version] = f"clients are told {advertised}{origin}{bound}"

    def _say_why_not(self, reason: str) -> None:
        for version in VERSIONS:
            if self._lines[version] == "nothing is relayed":
                self._lines[version] += f": {reason}"

    def _warn(self, warning: str) -> None:
        self._warnings.append(f"{KEY}: {warning}")

    def _is_here(self, address: IPAddress) -> bool:
        """All of 127.0.0.0/8 is, whatever the interface says."""
        loopback = isinstance(address, IPv4Address) and address.is_loopback
        return loopback or address in self._machine.addresses

    def _usable(
        self, version: int, rank: Callable[[IPAddress, bool], tuple[bool, bool]]
    ) -> list[IPAddress]:
        """Addresses that others can send to, the best first."""
        sources = self._machine.sources
        usable = [
            each
            for each in self._machine.addresses
            if each.version == version
            and not (each.is_loopback or each.is_link_local or each.is_unspecified)
        ]
        return sorted(usable, key=lambda each: rank(each, each in sources))


def _found_rank(address: IPAddress, is_source: bool) -> tuple[bool, bool]:
    return not address.is_global, not is_source


def _nat_rank(address: IPAddress, is_source: bool) -> tuple[bool, bool]:
    return not is_source, not address.is_global


def _doubt(address: IPAddress, advice: str) -> str:
    words = limited_reach(address)
    return f"clients are told to connect to {address}, {words}; {advice}" if words else ""


def _advice(found: IPAddress) -> str:
    """What to do about an address of this machine that few can reach."""
    if found.is_loopback:
        return "write an address that clients can reach"
    if isinstance(found, IPv4Address):
        return f"behind a NAT write PUBLIC/{found}"
    return "give this machine a public IPv6 address, or write only an IPv4 one"


def _error(reason: str) -> PluginError:
    return PluginError("turn", f"{KEY}: {reason}")
