"""Somebody who fetches key sets: from a publisher with a key `a`, on a clock of its own."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.plugins.auth_jwt.issuer import Publisher, jwk
from tornado_webrtc.plugins.auth_jwt.jwks import read_key_set
from tornado_webrtc.plugins.auth_jwt.key import NoKeysError
from tornado_webrtc.plugins.auth_jwt.remote_keys import RemoteKeys, Timing

LOG = logging.getLogger("tornado_webrtc.plugins.auth_jwt")
LONG = Timing(ttl_s=600.0, max_stale_s=3600.0, timeout_s=4.0)


class Site:
    """A publisher with somebody who fetches from it, on a clock of its own."""

    def __init__(self, publisher: Publisher, stack: AsyncExitStack) -> None:
        self.publisher = publisher
        self.now = 1000.0
        self._stack = stack

    def keys(self, url: str = "", **changes: Any) -> RemoteKeys:
        arguments: dict[str, Any] = {"timing": LONG, "log": LOG, "now": lambda: self.now} | changes
        made = RemoteKeys(
            url or self.publisher.url,
            lambda content: read_key_set(content, ["ES256"]),
            **arguments,
        )
        self._stack.push_async_callback(made.close)
        return made

    async def kids(self, keys: RemoteKeys, kid: str | None = None) -> list[str | None]:
        return [key.kid for key in await keys.keys(kid)]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(Publisher())
        publisher.publish(jwk("P-256", "a"))
        yield Site(publisher, stack)


async def fail(keys: RemoteKeys) -> str:
    """Find no key, and return the reason."""
    with pytest.raises(NoKeysError) as error:
        await keys.keys(None)
    return str(error.value)
