"""Who sees whom: a roster of peers per scope, and the list that is sent of it."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornado_webrtc.signaling.message import PEERS_END, PEERS_START, peer_entry, peers_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado_webrtc.signaling.peer import Peer

__all__ = ["ENTRY_BYTES", "Presence", "Roster"]

ENTRY_BYTES = 256
"""What an entry may have on average in a list that is limited. Ordinary ones, with a UUID, a name
and what a browser says of itself, have 110 to 240; the longest six times as much as this."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a roster shows to everybody.

    Attributes:
        ids: Who is in the list.
        frame: The list for those who are in it.
        ends: Where in that each entry ends.
        list_max: How many entries there may be; 0 for no limit.
    """

    ids: frozenset[str]
    frame: bytes
    ends: list[int]
    list_max: int

    def list_for(self, peer_id: str, own: bytes) -> bytes:
        """The list for somebody with that entry."""
        return self.frame if peer_id in self.ids else self._with_own(own)

    def _with_own(self, own: bytes) -> bytes:
        """The list for somebody who is not in it; put together at once, there may be many."""
        fitting = bisect.bisect_right(self.ends, _end_max(self.list_max) - 1 - len(own))
        count = min(fitting, self.list_max - 1)
        start = (memoryview(self.frame)[: self.ends[count - 1]], b",") if count else (PEERS_START,)
        return b"".join((*start, own, PEERS_END))


def _end_max(list_max: int) -> int:
    """Where in a list its last entry has to end."""
    return list_max * ENTRY_BYTES - len(PEERS_END)


class Roster:
    """The peers of one scope, in the order in which they joined.

    Args:
        list_max: Entries in a `peers` list at most, and of so many times `ENTRY_BYTES`; 0
            for no limit. Of a larger roster the longest signed-in peers are shown, and to a
            peer that is not among them its own entry too, even if that alone is larger.
    """

    def __init__(self, list_max: int) -> None:
        self._list_max = list_max
        self._peers: dict[str, Peer] = {}
        self._entries: dict[str, bytes] = {}
        self._version = 0

    def set_list_max(self, list_max: int) -> None:
        """Show more or fewer peers in the lists to come."""
        self._list_max = list_max
        self._version += 1

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers.values()))

    def get(self, peer_id: str) -> Peer | None:
        """The peer of that id."""
        return self._peers.get(peer_id)

    def put(self, peer: Peer) -> None:
        """Add a peer, or show the changed name of one that is there."""
        self._peers[peer.id] = peer
        self._entries[peer.id] = peer_entry(peer.id, peer.name, peer.user_agent)
        self._version += 1

    def remove(self, peer: Peer) -> None:
        """Take a peer out."""
        del self._peers[peer.id]
        del self._entries[peer.id]
        self._version += 1

    def lists(self) -> Iterator[tuple[Peer, bytes]]:
        """Each peer with the `peers` frame it is to receive.

        The roster may change between two of them: each is as the roster is by then. Who has
        gone gets none, and nor does who has come since the first: it was shown one already.
        """
        shown, version = self._shown(), self._version
        for peer in self:
            if self._peers.get(peer.id) is not peer:
                continue
            if version != self._version:
                shown, version = self._shown(), self._version
            yield peer, shown.list_for(peer.id, self._entries[peer.id])

    def list_for(self, peer: Peer) -> bytes:
        """The `peers` frame that one peer of this roster is to receive."""
        return self._shown().list_for(peer.id, self._entries[peer.id])

    def _shown(self) -> _Shown:
        """What is shown to everybody: entries in order, as many as there may be and as fit."""
        entries: list[bytes] = []
        ends: list[int] = []
        end = len(PEERS_START) - 1
        for entry in itertools.islice(self._entries.values(), self._list_max or None):
            end += 1 + len(entry)
            if self._list_max and end > _end_max(self._list_max):
                break
            entries.append(entry)
            ends.append(end)
        ids = frozenset(itertools.islice(self._entries, len(ends)))
        return _Shown(ids, peers_frame(entries), ends, self._list_max)


class Presence:
    """All rosters by scope; an empty one is not kept."""

    def __init__(self, list_max: int) -> None:
        self._list_max = list_max
        self._rosters: dict[str, Roster] = {}

    def __len__(self) -> int:
        return len(self._rosters)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._rosters))

    def set_list_max(self, list_max: int) -> None:
        """Show more or fewer peers in the lists to come, of every scope."""
        self._list_max = list_max
        for roster in self._rosters.values():
            roster.set_list_max(list_max)

    def roster(self, scope: str) -> Roster:
        """The roster of a scope; an empty one if nobody is in it."""
        return self._rosters.get(scope) or Roster(self._list_max)

    def find(self, scope: str, peer_id: str) -> Peer | None:
        """The peer of that id in that scope."""
        roster = self._rosters.get(scope)
        return roster.get(peer_id) if roster else None

    def put(self, peer: Peer) -> None:
        """Add a peer to its scope, or show its changed name."""
        if peer.scope not in self._rosters:
            self._rosters[peer.scope] = Roster(self._list_max)
        self._rosters[peer.scope].put(peer)

    def remove(self, peer: Peer) -> None:
        """Take a peer out of its scope."""
        roster = self._rosters[peer.scope]
        roster.remove(peer)
        if not len(roster):
            del self._rosters[peer.scope]
