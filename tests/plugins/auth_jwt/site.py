"""What the tests of a whole server share: its settings, tokens, and ways to show them."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.plugins.auth_jwt.issuer import SECRET, Publisher, sign
from tests.web.rawhttp import Answer, fetch
from tests.wire import ClosedError, WireClient
from tornado_webrtc.server import Server

ISSUER, AUDIENCE = "https://id.example.org/", "calls"
COMMON = {"auth_jwt.issuer": ISSUER, "auth_jwt.audience": AUDIENCE, "turn.api_access": "auth"}
BY_SECRET = COMMON | {"auth_jwt.algorithms": "HS256", "auth_jwt.secret": SECRET}


def token(subject: str = "ann", algorithm: str = "HS256", **changes: Any) -> str:
    """A good token for an hour, unless a test says otherwise."""
    options = {name: changes.pop(name) for name in ("kid", "number", "secret") if name in changes}
    now = int(time.time())
    claims = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
    return sign(claims | changes, algorithm, **options)


EXPIRED: Mapping[str, Any] = {"iat": 1, "exp": 2}


def by_header(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}


def by_subprotocol(shown: str) -> dict[str, str]:
    return {"Sec-WebSocket-Protocol": f"tornado-webrtc, bearer.{shown}"}


async def refused(port: int, headers: Mapping[str, str]) -> ClosedError:
    """How an upgrade ends that is refused."""
    async with await WireClient.connect(port, headers=headers) as client:
        return await client.read_until_closed()


async def refused_new(
    port: int, peer_id: str, shown: str | None
) -> tuple[dict[str, Any], ClosedError]:
    """What a `new` that is refused is answered with, and how the connection ends."""
    async with await WireClient.connect(port) as client:
        extra = {} if shown is None else {"token": shown}
        await client.send("new", {"id": peer_id, **extra})
        return (await client.read())["data"], await client.read_until_closed()


async def credential(server: Server, name: str, shown: str | None) -> Answer:
    target = f"/api/turn?service=turn&username={quote(name)}"
    return await fetch(server.port, target, headers={} if shown is None else by_header(shown))


def counters(server: Server) -> dict[str, int]:
    found = dict(server.hooks.collect("counters"))["auth_jwt"]
    assert isinstance(found, dict)
    return found


def by_url(publisher: Publisher) -> dict[str, str]:
    return COMMON | {"auth_jwt.algorithms": "ES256", "auth_jwt.jwks": publisher.url}
