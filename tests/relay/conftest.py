"""A lab around each tier of the data plane."""

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.relay.lab import Clock, Lab, TableFactory, open_lab
from tornado_webrtc.relay import PureTable, RelayTable


def make_pure(clock: Clock) -> RelayTable:
    return PureTable(secrets.randbelow, clock)


TIERS: list[TableFactory] = [make_pure]


@pytest.fixture(params=TIERS, ids=lambda factory: factory.__name__.removeprefix("make_"))
def factory(request: pytest.FixtureRequest) -> TableFactory:
    """Makes the table of one tier."""
    tier: TableFactory = request.param
    return tier


@pytest.fixture
async def lab(factory: TableFactory) -> AsyncIterator[Lab]:
    """A table of each tier, running."""
    with open_lab(factory) as lab:
        yield lab
