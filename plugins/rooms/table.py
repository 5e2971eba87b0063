"""Which rooms there are at the moment, who is in them, and for whom a place is kept.

A peer that may join is not there yet: whether its id is free is found out afterwards,
which takes seconds if an older connection has the id. Its place is kept until it joins or
nothing comes of it, so that a room does not hold more than it may, and stays the same room,
with the same password, while its only peer changes the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .password import KnownPassword

if TYPE_CHECKING:
    from tornado_webrtc.hooks import JoinRequest
    from tornado_webrtc.signaling import Peer

__all__ = ["Place", "Room", "RoomTable"]


@dataclass(slots=True)
class Place:
    """A place that is kept for an id.

    More than one connection may ask for the same id and be let in; they join one after the
    other, each when the one before has gone. Which request a peer comes of is not known, and
    need not be: each one ends with one `join` or one `give_up`.

    Attributes:
        requests: What it is kept for, without the requests that were given up.
        joined: How many of them have joined.
    """

    requests: set[JoinRequest] = field(default_factory=set)
    joined: int = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody is still to come."""
        return self.joined < len(self.requests)


@dataclass(slots=True)
class Room:
    """A room that somebody is in, or about to be.

    Attributes:
        name: Its peers' scope.
        since: When it came into being, monotonic seconds.
        password: What its first peer locked it with.
        peers: Who is in it, by id.
        kept: For whom a place is kept, by id.
    """

    name: str
    since: float
    password: KnownPassword | None = field(default=None, repr=False)
    peers: dict[str, Peer] = field(default_factory=dict)
    kept: dict[str, Place] = field(default_factory=dict)

    def others(self, peer_id: str) -> int:
        """How many places are taken or kept, not counting that of an id.

        Who is in the room and is waited for as well, on a newer connection, has one place.
        """
        return len((self.peers.keys() | self.kept.keys()) - {peer_id})


class RoomTable:
    """The rooms of a server.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        """How many rooms somebody is in."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Room]:
        """The rooms that somebody is in."""
        return (room for room in tuple(self._rooms.values()) if room.peers)

    def count_besides(self, names: Mapping[str, object]) -> int:
        """How many other rooms there are, those included that a place is only kept in."""
        return len(self._rooms) - len(self._rooms.keys() & names.keys())

    def find(self, name: str) -> Room | None:
        """A room that somebody is in, or about to be."""
        return self._rooms.get(name)

    def keep(self, request: JoinRequest, password: KnownPassword | None = None) -> None:
        """Keep a place for a peer that may join, until `join` or `give_up`.

        Args:
            request: The room, as the scope, and the peer's id.
            password: What it locks the room with, if the room is not there yet.
        """
        room = self._rooms.get(request.scope)
        if room is None:
            room = self._rooms[request.scope] = Room(request.scope, self._clock(), password)
        room.kept.setdefault(request.peer_id, Place()).requests.add(request)

    def give_up(self, request: JoinRequest) -> None:
        """Nobody comes of a request, whether a place was kept for it or not."""
        room = self._rooms.get(request.scope)
        place = room.kept.get(request.peer_id) if room else None
        if room is not None and place is not None and request in place.requests:
            place.requests.discard(request)
            self._drop_if_unwanted(room, request.peer_id)

    def join(self, peer: Peer) -> None:
        """A peer is in its room now."""
        room = self._rooms.get(peer.scope)
        if room is None:  # no place was ever kept for it
            room = self._rooms[peer.scope] = Room(peer.scope, self._clock())
        room.peers[peer.id] = peer
        if peer.id in room.kept:
            room.kept[peer.id].joined += 1
            self._drop_if_unwanted(room, peer.id)

    def leave(self, peer: Peer) -> None:
        """A peer is gone."""
        room = self._rooms.get(peer.scope)
        if room is not None and room.peers.get(peer.id) is peer:
            del room.peers[peer.id]
            self._drop_if_empty(room)

    def _drop_if_unwanted(self, room: Room, peer_id: str) -> None:
        if not room.kept[peer_id].wanted:
            del room.kept[peer_id]
            self._drop_if_empty(room)

    def _drop_if_empty(self, room: Room) -> None:
        if not room.peers and not room.kept:
            del self._rooms[room.name]
