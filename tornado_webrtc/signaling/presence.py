"""Who sees whom: a roster of peers per scope, and the list that is sent of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tornado_webrtc.signaling.message import peer_entry, peers_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado_webrtc.signaling.peer import Peer

__all__ = ["Presence", "Roster"]


class Roster:
    """The peers of one scope, in the order in which they joined.

    Args:
        list_max: Entries in a `peers` list at most; 0 for no limit. Of a
            larger roster the longest signed-in peers are shown, and to a peer
            that is not among them its own entry too.
    """

    def __init__(self, list_max: int) -> None:
        self._list_max = list_max
        self._peers: dict[str, Peer] = {}
        self._entries: dict[str, bytes] = {}

    def set_list_max(self, list_max: int) -> None:
        """Show more or fewer peers in the lists to come."""
        self._list_max = list_max

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

    def remove(self, peer: Peer) -> None:
        """Take a peer out."""
        del self._peers[peer.id]
        del self._entries[peer.id]

    def lists(self) -> Iterator[tuple[Peer, bytes]]:
        """Each peer with the `peers` frame it is to receive."""
        shown = self._shown()
        frame = peers_frame(shown)
        for position, peer in enumerate(self):
            yield peer, frame if position < len(shown) else self._with_own(shown, peer)

    def list_for(self, peer: Peer) -> bytes:
        """The `peers` frame that one peer of this roster is to receive."""
        shown = self._shown()
        own = self._entries[peer.id]
        return peers_frame(shown) if own in shown else self._with_own(shown, peer)

    def _shown(self) -> list[bytes]:
        """The entries of those that are shown to everybody."""
        return list(itertools.islice(self._entries.values(), self._list_max or None))

    def _with_own(self, shown: list[bytes], peer: Peer) -> bytes:
        return peers_frame([*shown[:-1], self._entries[peer.id]])


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
