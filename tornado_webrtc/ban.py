"""Bans: who may not use this server, why, and until when.

A ban names a network, a peer's id or a user. It is known by what it names, as
``ip:203.0.113.0/24``, ``peer:alice`` or ``user:alice@example.org``: there is one ban for
one thing, and a second one replaces the first.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import msgspec

from tornado_webrtc.errors import BanError, StateError

if TYPE_CHECKING:
    from tornado_webrtc.collection import Collection

__all__ = [
    "KINDS",
    "MAX_BANS",
    "Ban",
    "BanList",
    "Kind",
    "check_reason",
    "client_network",
    "encode",
    "end_entries",
    "split_id",
]

log = logging.getLogger("tornado_webrtc.ban")

Kind = Literal["ip", "peer", "user"]
KINDS: tuple[str, ...] = get_args(Kind)

MAX_BANS = 100_000
"""More than that are a matter of networks, or of a firewall."""

MAX_VALUE_LENGTH = 512
MAX_REASON_BYTES = 100
"""A WebSocket is closed with at most 123 bytes of reason (RFC 6455 section 5.5)."""

MAX_SECONDS = 10 * 366 * 86400.0
MAX_WALL = 253402300800.0
"""The end of the year 9999, after which no time can be shown."""

IPV6_CLIENT_BITS = 64
_SCOPE = re.compile(r"^([^%]*:[^%]*)%[^/%]+")  # RFC 4007 section 11: of IPv6 addresses
MAPPED_BITS = 96  # RFC 4291 section 2.5.5.2: IPv4 addresses as IPv6 ones

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban. Times are Unix seconds, since a ban outlives the process.

    Attributes:
        kind: What `value` is.
        value: An address or network, a peer's id in whatever scope, or a user: who a plugin
            authenticated, or who a TURN credential is for.
        reason: For the operator, and for whoever is banned; may be empty.
        created_at: When it was made.
        expires_at: When it ends by itself; None for never.
    """

    kind: Kind
    value: str
    reason: str
    created_at: float
    expires_at: float | None

    @property
    def id(self) -> str:
        """What it is known by: ``KIND:VALUE``."""
        return f"{self.kind}:{self.value}"

    @property
    def told(self) -> str:
        """What whoever is banned is told."""
        return f"banned: {self.reason}" if self.reason else "you are banned"

    def holds(self, wall: float) -> bool:
        """Whether it has not ended."""
        return self.expires_at is None or wall < self.expires_at

    def matches(
        self, *, ip: str | None = None, peer: str | None = None, user: str | None = None
    ) -> bool:
        """Whether it is about this client."""
        if self.kind == "ip":
            address = _address(ip)
            return address is not None and address in ipaddress.ip_network(self.value)
        return self.value == (peer if self.kind == "peer" else user)


class BanList:
    """All bans that hold.

    Args:
        wall: Unix seconds.
        changed: Is called after every change, for whoever stores the list.
        kept: What `encode` made of it last, if anything was stored.

    Attributes:
        stored: Whether the list as it is now would outlive a restart. Who stores it
            says so; a change makes it False.

    Raises:
        StateError: `kept` is not what `encode` made.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        changed: Callable[[], None] | None = None,
        kept: bytes | None = None,
    ) -> None:
        self._wall = wall
        self._changed = changed
        self._bans: dict[str, Ban] = {}
        self._prefixes: Counter[tuple[int, int]] = Counter()
        self.stored = changed is not None
        for ban in _decoded(kept, wall()) if kept is not None else ():
            self._put(ban)

    def __len__(self) -> int:
        self._forget_expired()
        return len(self._bans)

    def __iter__(self) -> Iterator[Ban]:
        self._forget_expired()
        return iter(tuple(self._bans.values()))

    def get(self, ban_id: str) -> Ban | None:
        """The ban that is known by an id; see `Ban.id`."""
        ban = self._bans.get(ban_id)
        return ban if ban is not None and ban.holds(self._wall()) else None

    def add(self, kind: Kind, value: str, *, seconds: float | None = None, reason: str = "") -> Ban:
        """Ban somebody; a ban of the same is replaced.

        Args:
            kind: What `value` is.
            value: An address or network, a peer's id or a user.
            seconds: How long; None for as long as nobody takes it back.
            reason: The banned one is told.

        Raises:
            BanError: Something of it is wrong; it says what.
        """
        wall = self._wall()
        expires_at = None if seconds is None else wall + _checked_seconds(seconds)
        ban = Ban(kind, _checked_value(kind, value), check_reason(reason), wall, expires_at)
        if ban.id not in self._bans and len(self._bans) >= MAX_BANS and len(self) >= MAX_BANS:
            raise BanError(f"there are {MAX_BANS} bans already; take some back, or ban a network")
        self._put(ban)
        self._tell()
        return ban

    def remove(self, ban_id: str) -> bool:
        """Take a ban back; False if there is none."""
        ban = self._bans.get(ban_id)
        if ban is None:
            return False
        self._drop(ban)
        self._tell()
        return ban.holds(self._wall())

    def find(
        self, *, ip: str | None = None, peer: str | None = None, user: str | None = None
    ) -> Ban | None:
        """A ban that is about this client, if there is any.

        Args:
            ip: Its address.
            peer: The id that it signs in as.
            user: Who it is, as far as that is proven.
        """
        if not self._bans:
            return None
        candidates = [f"peer:{peer}"] if peer is not None else []
        candidates += [f"user:{user}"] if user is not None else []
        candidates += self._networks_of(ip) if self._prefixes else ()
        return next((ban for each in candidates if (ban := self.get(each)) is not None), None)

    def _networks_of(self, ip: str | None) -> Iterator[str]:
        """The ids of all networks with an address, as far as networks of that size are banned."""
        address = _address(ip)
        if address is None:
            return
        for version, length in self._prefixes:
            if version == address.version:
                yield f"ip:{_shown(_network_of(address, length))}"

    def _put(self, ban: Ban) -> None:
        if (before := self._bans.get(ban.id)) is not None:
            self._drop(before)
        self._bans[ban.id] = ban
        if ban.kind == "ip":
            self._prefixes[_prefix(ban)] += 1

    def _drop(self, ban: Ban) -> None:
        del self._bans[ban.id]
        if ban.kind == "ip":
            prefix = _prefix(ban)
            self._prefixes[prefix] -= 1
            if not self._prefixes[prefix]:
                del self._prefixes[prefix]

    def _forget_expired(self) -> None:
        wall = self._wall()
        for ban in [ban for ban in self._bans.values() if not ban.holds(wall)]:
            self._drop(ban)

    def _tell(self) -> None:
        self.stored = False
        if self._changed is not None:
            self._changed()


def encode(bans: Iterable[Ban]) -> bytes:
    """Write bans as JSON, one a line, for `BanList` to read again."""
    return b'{"bans":[\n' + b",\n".join(map(msgspec.json.encode, bans)) + b"\n]}\n"


def end_entries(ban: Ban, collection: Collection) -> int:
    """End what a banned client has in a collection, and count it.

    Entries that belong to a client name it: ``remote_ip`` is its address, ``peer_id`` what it
    signs in as, ``user`` who it is.
    """
    end = collection.end
    if end is None:
        return 0
    try:
        mine = [
            str(entry["id"])
            for entry in collection.entries()
            if ban.matches(
                ip=_text(entry.get("remote_ip")),
                peer=_text(entry.get("peer_id")),
                user=_text(entry.get("user")),
            )
        ]
        return sum(end(entry_id, "banned") for entry_id in mine)
    except Exception:  # a plugin's fault; the ban itself holds
        log.exception("what %s has could not be ended", ban.id)
        return 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def client_network(ip: str) -> str:
    """What to ban of one client: its address, or the /64 of an IPv6 address."""
    address = _address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        return str(_network_of(address, IPV6_CLIENT_BITS))
    return str(address or ip)


def split_id(ban_id: str) -> tuple[Kind, str]:
    """Take ``KIND:VALUE`` apart; the value is as it has to be written.

    Raises:
        BanError: It is no such thing.
    """
    kind, colon, value = ban_id.partition(":")
    if not colon or kind not in KINDS:
        near = f"; did you mean ip:{ban_id}?" if _is_network(ban_id) else ""
        raise BanError(f"{ban_id!r} has to be ip:…, peer:… or user:…{near}")
    return cast("Kind", kind), _checked_value(kind, value)


def check_reason(reason: str) -> str:
    """Return a reason that a client can be told.

    Raises:
        BanError: It cannot.
    """
    text = str(reason)  # a plugin may give anything
    if not text.isprintable() or len(text.encode(errors="replace")) > MAX_REASON_BYTES:
        raise BanError(f"a reason has at most {MAX_REASON_BYTES} bytes, all of them printable")
    return text


def _checked_seconds(seconds: float) -> float:
    if type(seconds) not in {int, float} or not 0 < seconds <= MAX_SECONDS:
        raise BanError("a ban lasts more than 0 seconds and at most ten years, or for ever")
    return seconds


def _checked_value(kind: str, value: str) -> str:
    if kind not in KINDS:
        raise BanError(f"{kind!r} cannot be banned; {', '.join(KINDS)} can")
    if not isinstance(value, str):
        raise BanError(f"what is banned is a text, not {value!r}")
    if kind == "ip":
        return _checked_network(value)
    if not 0 < len(value) <= MAX_VALUE_LENGTH:
        raise BanError(f"what is banned has 1 to {MAX_VALUE_LENGTH} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BanError("what is banned holds half a character (a lone surrogate)") from None
    return value


def _checked_network(value: str) -> str:
    try:
        network: Network = ipaddress.ip_network(_SCOPE.sub(r"\1", value.strip()), strict=False)
    except ValueError:
        raise BanError(f"{value!r} is neither an IP address nor a network") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= MAPPED_BITS:
        network = ipaddress.ip_network((mapped, network.prefixlen - MAPPED_BITS))
    if network.prefixlen == 0:
        raise BanError(f"{value} is everybody; drain or stop the server instead")
    return _shown(network)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _shown(network: Network) -> str:
    """A network of one address is shown as that address."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if single else network)


def _prefix(ban: Ban) -> tuple[int, int]:
    network = ipaddress.ip_network(ban.value)
    return network.version, network.prefixlen


def _network_of(address: Address, length: int) -> Network:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv4Network((int(address), length), strict=False)
    return ipaddress.IPv6Network((int(address), length), strict=False)


def _address(ip: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address((ip or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _decoded(kept: bytes, wall: float) -> list[Ban]:
    """What was stored, without the bans that have ended since."""
    try:
        bans = [_ban(**entry) for entry in json.loads(kept)["bans"]]
        holding = [ban for ban in bans if ban.holds(wall)]
        if len(holding) > MAX_BANS:
            raise BanError(f"{len(holding)} bans, at most {MAX_BANS} are allowed")
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, BanError) as error:
        raise StateError(
            f"bans.json in the state directory cannot be read ({error}); repair it, or delete "
            "it and nobody is banned"
        ) from error
    return holding


def _ban(kind: Any, value: Any, reason: Any, created_at: Any, expires_at: Any) -> Ban:
    """Judge what was stored as strictly as what is new: it may have been edited."""
    texts = all(isinstance(each, str) for each in (kind, value, reason))
    times = [created_at] if expires_at is None else [created_at, expires_at]
    numbers = all(type(each) in {int, float} and 0 <= each < MAX_WALL for each in times)
    if not (texts and numbers and kind in KINDS):
        raise BanError(f"{kind!r}, {value!r} is no ban")
    return Ban(kind, _checked_value(kind, value), check_reason(reason), created_at, expires_at)
