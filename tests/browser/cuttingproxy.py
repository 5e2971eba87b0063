"""A UDP forwarder that can cut off those who use it, as a network does that a phone has left."""

import selectors
import socket
import threading
from types import TracebackType

MAX_DATAGRAM_BYTES = 65536
Address = tuple[str, int]


class CuttingProxy:
    """Forwards datagrams to a server on the loopback interface, and its answers back.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._cut: set[Address] = set()
        self._onward: dict[Address, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._front = _bound()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._waker, waked = socket.socketpair()
        self._selector.register(waked, selectors.EVENT_READ, None)
        self._waked = waked
        self.port: int = self._front.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "CuttingProxy":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waker.close()
        self._thread.join()
        self._selector.close()
        for each in (self._front, self._waked, *self._onward.values()):
            each.close()

    def cut(self) -> int:
        """Let nothing through any longer from or to those who are here now; return how many."""
        with self._lock:
            self._cut |= self._onward.keys()
            return len(self._cut)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._waked:
                    return
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data, sender = source.recvfrom(MAX_DATAGRAM_BYTES)
                client: Address = key.data or sender
                with self._lock:
                    if client in self._cut:
                        continue
                    onward = self._onward.get(client) or self._admit(client)
                if source is self._front:
                    onward.sendto(data, self._target)
                else:
                    self._front.sendto(data, client)

    def _admit(self, client: Address) -> socket.socket:
        onward = self._onward[client] = _bound()
        self._selector.register(onward, selectors.EVENT_READ, client)
        return onward


def _bound() -> socket.socket:
    result = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    result.bind(("127.0.0.1", 0))
    return result
