"""Servers for clients of other people's making."""

from collections.abc import Iterator

import pytest

from tests.interop.coturn import running_peer
from tests.interop.turnprocess import TurnProcess, running_turn_server


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnProcess]:
    """Return a server as it comes: it relays between its own clients, and not to this machine."""
    with running_turn_server(tmp_path_factory.mktemp("turn")) as process:
        yield process


@pytest.fixture(scope="module")
def lan_turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnProcess]:
    """Return a server that may relay to everybody on this machine."""
    folder = tmp_path_factory.mktemp("lan_turn")
    with running_turn_server(folder, more="allow_peers = 127.0.0.0/8,") as process:
        yield process


@pytest.fixture(scope="module")
def dual_turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnProcess]:
    """Return a server that relays over IPv4 and IPv6."""
    folder = tmp_path_factory.mktemp("dual_turn")
    with running_turn_server(folder, addresses="127.0.0.1, ::1") as process:
        yield process


@pytest.fixture(scope="module")
def peer_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return where coturn's echo server listens; it listens at the next port, too."""
    with running_peer(tmp_path_factory.mktemp("peer")) as port:
        yield port
