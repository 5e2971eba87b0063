"""Relay ports: opened one by one, and refused at once while there is none.

A search through a range that is used up takes milliseconds, in which nobody is
served; so what was not found is not looked for again for a moment.
"""

from __future__ import annotations

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

MAX_RESERVED_FILES = 1024
RESERVED_SHARE = 4
"""A quarter of the files that the process may open, but no more than so many, is for others."""


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
        kind = (wanted.family, wanted.even, wanted.reserve_next)
        opened = None
        if self._clock() >= self._full_until.get(kind, 0.0):
            opened = self._open(wanted)
            if opened is None:
                self._full_until[kind] = self._clock() + RETRY_S
        if opened is None:
            ports = self._ports
            cause = f"no port is free in turn.relay_ports {ports.first}-{ports.last} (508)"
            self._refusals.tell(cause, str(wanted.five_tuple.client), "")
        return OpenedRelay(*opened) if opened else None

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

    def _open(self, wanted: OpenRelay) -> list[RelaySocket] | None:
        """Open it; None if there is no port, nothing if there is another trouble."""
        address = self._choice.of_version(VERSION_OF_FAMILY[wanted.family])
        if address is None:
            return []
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
            return []
        if opened and not all(map(_leaves_room, opened)):
            for relay in opened:
                relay.close()
            reason = "too many open files; raise the limit (LimitNOFILE, `ulimit -n`)"
            self._complain(reason, "reserve")
            return []
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
