"""Which rooms there are at the moment, who is in them, and for whom a place is kept.

A peer that may join is not there yet: whether its id is free is found out afterwards,
which takes seconds if an older connection has the id. Its place is kept meanwhile, so
that a room does not hold more than it may, and stays the same room while its only peer
changes the connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .password import KnownPassword

if TYPE_CHECKING:
    from tornado_webrtc.signaling import Peer

__all__ = ["KEPT_S", "Room", "RoomTable"]

KEPT_S = 10.0
"""Seconds that a place is kept; finding out about an id takes six at most."""


@dataclass(slots=True)
class Room:
    """A room that somebody is in, or about to be.

    Attributes:
        name: Its peers' scope.
        since: When it came into being, monotonic seconds.
        password: What its first peer locked it with.
        peers: Who is in it, by id.
        kept: Until when a place is kept for which id.
    """

    name: str
    since: float
    password: KnownPassword | None = field(default=None, repr=False)
    peers: dict[str, Peer] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)

    def others(self, peer_id: str) -> int:
        """How many places are taken or kept, not counting that of an id."""
        return len((self.peers.keys() | self.kept.keys()) - {peer_id})


class RoomTable:
    """The rooms of a server.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        self._kept: deque[tuple[float, str, str]] = deque()

    def __len__(self) -> int:
        """How many rooms somebody is in."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Room]:
        """The rooms that somebody is in."""
        return (room for room in tuple(self._rooms.values()) if room.peers)

    def count_besides(self, names: Mapping[str, object]) -> int:
        """How many other rooms there are, those included that a place is only kept in."""
        self._expire()
        return len(self._rooms) - len(self._rooms.keys() & names.keys())

    def find(self, name: str) -> Room | None:
        """A room that somebody is in, or about to be."""
        self._expire()
        return self._rooms.get(name)

    def keep(self, name: str, peer_id: str, password: KnownPassword | None = None) -> None:
        """Keep a place for a peer that may join.

        Args:
            name: The room.
            peer_id: The peer's id.
            password: What it locks the room with, if the room is not there yet.
        """
        self._expire()
        now = self._clock()
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, now, password)
        room.kept[peer_id] = now + KEPT_S
        self._kept.append((now + KEPT_S, name, peer_id))

    def join(self, peer: Peer) -> None:
        """A peer is in its room now."""
        room = self._rooms.get(peer.scope)
        if room is None:  # its place was kept for too short a time, or never
            room = self._rooms[peer.scope] = Room(peer.scope, self._clock())
        room.kept.pop(peer.id, None)
        room.peers[peer.id] = peer

    def leave(self, peer: Peer) -> None:
        """A peer is gone."""
        room = self._rooms.get(peer.scope)
        if room is not None and room.peers.get(peer.id) is peer:
            del room.peers[peer.id]
            self._drop_if_empty(room)

    def _expire(self) -> None:
        now = self._clock()
        while self._kept and self._kept[0][0] <= now:
            until, name, peer_id = self._kept.popleft()
            room = self._rooms.get(name)
            if room is not None and room.kept.get(peer_id) == until:
                del room.kept[peer_id]
                self._drop_if_empty(room)

    def _drop_if_empty(self, room: Room) -> None:
        if not room.peers and not room.kept:
            del self._rooms[room.name]
