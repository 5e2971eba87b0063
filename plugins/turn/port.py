"""Relay ports: opened one by one, and refused at once while there is none.

A search through a range that is used up takes milliseconds, in which nobody is
served; so what was not found is not looked for again for a moment.
"""

from __future__ import annotations

import errno
import logging
import resource
import secrets
from collections import Counter
from collections.abc import Callable, Hashable, Iterable

from tornado_webrtc.config import PortRange
from tornado_webrtc.errors import ListenError
from tornado_webrtc.relay import RelaySocket, open_relay
from tornado_webrtc.repeats import Repeats
from tornado_webrtc.stun.address import IPV4, IPV6
from tornado_webrtc.turn.action import OpenedRelay, OpenRelay

from .public_address import Choice
from .refusal import RefusalLog

__all__ = ["VERSION_OF_FAMILY", "RelayPorts"]

VERSION_OF_FAMILY = {IPV4: 4, IPV6: 6}

RETRY_S = 1.0
"""How long a range counts as used up, unless a relay is closed in the meantime."""

FILES_ARE_SHORT = "too many open files"

MAX_RESERVED_FILES = 1024
RESERVED_SHARE = 4
"""A quarter of the files that the process may open, but no more than so many, is for others."""


class _NoRelayError(Exception):
    """Why there is none, in words that are always the same for the same cause."""


class RelayPorts:
    """Opens the relays of one TURN server.

    Args:
        ports: The ports that they may have.
        choice: The addresses that they are bound to, and those that are told.
        refusals: Told why a client cannot have one.
        log: Told what is wrong with this machine.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        ports: PortRange,
        choice: Choice,
        refusals: RefusalLog,
        log: logging.Logger,
        clock: Callable[[], float],
    ) -> None:
        self._ports = ports
        self._choice = choice
        self._refusals = refusals
        self._log = log
        self._repeats = Repeats(clock)
        self._clock = clock
        self._full_until: dict[tuple[int, bool, bool], float] = {}

    def open(self, wanted: OpenRelay) -> OpenedRelay | None:
        """Open what a client asks for; None if it cannot be had, the log says why."""
        try:
            return OpenedRelay(*self._find(wanted))
        except _NoRelayError as error:
            self._refusals.tell(f"{error} (508)", str(wanted.five_tuple.client), "")
            return None

    def freed(self) -> None:
        """A relay was closed: there may be a port again."""
        self._full_until.clear()

    def gauges(self, taken: Iterable[int]) -> dict[str, int]:
        """How many ports there are, and how many are taken, of each address family in use.

        Args:
            taken: The family of every relay that is open.
        """
        size, used = self._ports.last + 1 - self._ports.first, Counter(taken)
        found = {}
        for family, version in VERSION_OF_FAMILY.items():
            if self._choice.of_version(version):
                found[f"relay-ports-ipv{version}"] = size
                found[f"relay-ports-ipv{version}-used"] = used[family]
        return found

    def _find(self, wanted: OpenRelay) -> list[RelaySocket]:
        """Look for a port, unless there was none a moment ago."""
        kind = (wanted.family, wanted.even, wanted.reserve_next)
        if self._clock() >= self._full_until.get(kind, 0.0):
            if opened := self._open(wanted):
                return opened
            self._full_until[kind] = self._clock() + RETRY_S
        ports = self._ports
        raise _NoRelayError(f"no port is free in turn.relay_ports {ports.first}-{ports.last}")

    def _open(self, wanted: OpenRelay) -> list[RelaySocket] | None:
        """Open it; None if there is no port."""
        address = self._choice.of_version(VERSION_OF_FAMILY[wanted.family])
        if address is None:
            raise _NoRelayError("nothing is relayed over this address family")
        try:
            opened = open_relay(
                str(address.local),
                range(self._ports.first, self._ports.last + 1),
                even=wanted.even,
                reserve_next=wanted.reserve_next,
                random=secrets.randbelow,
                advertised=str(address.advertised),
            )
        except ListenError as error:
            cause = error.__cause__
            number = cause.errno if isinstance(cause, OSError) else None
            self._complain(str(error), (str(address.local), number))  # it names a port, by chance
            are_short = number in {errno.EMFILE, errno.ENFILE}
            reason = FILES_ARE_SHORT if are_short else f"{address.local} cannot be relayed from"
            raise _NoRelayError(reason) from error
        if opened and not all(map(_leaves_room, opened)):
            for relay in opened:
                relay.close()
            self._complain(
                f"{FILES_ARE_SHORT}; raise the limit (LimitNOFILE, `ulimit -n`)", "reserve"
            )
            raise _NoRelayError(FILES_ARE_SHORT)
        return opened

    def _complain(self, reason: str, key: Hashable) -> None:
        if self._repeats.add(key):
            self._log.error("no relay can be opened: %s", reason)


def _leaves_room(relay: RelaySocket) -> bool:
    """Whether files are left for signaling and HTTP: a new file has the lowest free number."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return True
    return relay.sock.fileno() < limit - min(limit // RESERVED_SHARE, MAX_RESERVED_FILES)
