"""A site for the tests of this folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.plugins.rooms.site import PluginSite

__all__ = ["site"]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[PluginSite]:
    """A site whose server is not started yet."""
    async with AsyncExitStack() as stack:
        yield PluginSite(tmp_path, stack)
