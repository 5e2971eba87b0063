"""Servers with the TURN plugin for the tests of this folder."""

from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from tests.plugins.turn.site import StartTurn
from tests.web.conftest import Serve, serve

__all__ = ["serve", "start_turn"]


@pytest.fixture
async def start_turn(serve: Serve) -> AsyncIterator[StartTurn]:
    """Return a function that starts servers with TURN on 127.0.0.1; see `StartTurn`."""
    with ExitStack() as stack:
        yield StartTurn(serve, stack)
