"""A TCP forwarder whose connections can be cut or fall silent, as those of a network do."""

import socket
import threading
from contextlib import closing, suppress
from types import TracebackType

BACKLOG = 16
CHUNK_BYTES = 65536


class DroppingProxy:
    """Forwards a port of its own to a server on the loopback interface.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._refusing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "DroppingProxy":
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._flowing.set()
        self._acceptor.join()

    def drop(self, *, refuse: bool = False) -> None:
        """Cut every connection; with `refuse`, also every new one until `restore`."""
        with self._lock:
            self._refusing = refuse
            sockets = list(self._sockets)
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Hold back everything that is sent until `restore`; nothing is closed."""
        self._flowing.clear()

    def restore(self) -> None:
        """Let everything through again."""
        with self._lock:
            self._refusing = False
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                refusing = self._refusing
            if refusing:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError), socket.create_connection(self._target) as server:
            pair = {client, server}
            with self._lock:
                self._sockets |= pair
            back = threading.Thread(target=self._forward, args=(server, client), daemon=True)
            back.start()
            self._forward(client, server)
            back.join()
            with self._lock:
                self._sockets -= pair

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                self._flowing.wait()
                sink.sendall(chunk)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
