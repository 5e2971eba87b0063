"""Servers with the TURN plugin for the tests of this folder, and what plugins are told of one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tests.plugins.turn.site import StartTurn
from tests.web.conftest import Serve, serve
from tornado_webrtc.hooks import SocketAddress, TurnAllocation, TurnTraffic

__all__ = ["ALLOCATION", "TRAFFIC", "serve", "start_turn"]

ALLOCATION = TurnAllocation(
    id=7,
    username="1767225600:alice",
    user="alice",
    client=SocketAddress("192.0.2.1", 4711),
    transport="tcp",
    relayed=SocketAddress("2001:db8::5", 50000),
)
TRAFFIC = TurnTraffic(
    packets_to_peer=3, bytes_to_peer=1234, packets_from_peer=2, bytes_from_peer=567, dropped=1
)


@pytest.fixture
async def start_turn(serve: Serve) -> AsyncIterator[StartTurn]:
    """Return a function that starts servers with TURN on 127.0.0.1; see `StartTurn`."""
    with ExitStack() as stack:
        yield StartTurn(serve, stack)


class _UnusableClient(SimpleAsyncHTTPClient):
    def fetch_impl(self, *_arguments: object) -> None:
        raise NotImplementedError


@pytest.fixture
def foreign_http_client() -> Iterator[None]:
    """Have Tornado make another HTTP client by default, as somebody else's plugin may."""
    saved = AsyncHTTPClient._save_configuration()
    AsyncHTTPClient.configure(_UnusableClient, defaults={"user_agent": "other"})
    yield
    AsyncHTTPClient._restore_configuration(saved)
