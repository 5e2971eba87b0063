"""How often somebody may guess a password: so many times a minute, then not any more."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["WINDOW_S", "GuessLimit"]

WINDOW_S = 60.0

_MAX_CLIENTS = 65536


class GuessLimit:
    """Counts wrong passwords, a minute from the first one.

    Args:
        limit: As the attribute.
        size: Clients that are remembered; the one whose minute began first is forgotten.

    Attributes:
        limit: Wrong passwords from one client in a minute; 0 for no limit.
    """

    def __init__(self, limit: int, size: int = _MAX_CLIENTS) -> None:
        self.limit = limit
        self._size = size
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def exhausted(self, client: str, now: float) -> bool:
        """Tell whether a client may not try another one yet.

        Args:
            client: An address or network.
            now: Monotonic seconds.
        """
        return bool(self.limit) and self.count(client, now) >= self.limit

    def add(self, client: str, now: float) -> None:
        """Count a wrong password."""
        count = self.count(client, now)
        if count:
            began, _ = self._wrong[client]
            self._wrong[client] = began, count + 1
            return
        self._wrong[client] = now, 1
        self._wrong.move_to_end(client)
        if len(self._wrong) > self._size:
            self._wrong.popitem(last=False)

    def forgive(self, client: str) -> None:
        """Take back what was counted last: it was not wrong."""
        began, count = self._wrong.get(client, (0.0, 0))
        if count > 1:
            self._wrong[client] = began, count - 1
        else:
            self._wrong.pop(client, None)

    def count(self, client: str, now: float) -> int:
        """How many wrong ones came from a client in its minute."""
        began, count = self._wrong.get(client, (now, 0))
        return count if now - began < WINDOW_S else 0
