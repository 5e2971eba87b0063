"""Signing in over a WebSocket, as clients do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketError, websocket_connect

from tornado_webrtc.doctor.case import Case, milliseconds, ok, problem, short, skipped, warning
from tornado_webrtc.doctor.web import NO_ANSWER, encryption
from tornado_webrtc.finding import Finding, Level

__all__ = ["refused", "signaling"]

NAME = "tornado-webrtc doctor"
NOT_LET_IN = frozenset({4401, 4403, "not-authenticated", "id-not-allowed"})
LATER = frozenset({1001, 1012, 1013, 4429})
NOT_SENT = "the {} was not sent, see above"

ABOUT_ROOMS = {
    "room-needed": (warning, "that may be as it should; name one to sign in to: --room"),
    "room-password": (
        warning,
        "that may be as it should; give the room's password: --room-password-file",
    ),
    "room-full": (warning, "try again later, or name another one: --room"),
    "room-unknown": (problem, "name a room that there is: --room"),
    "room-name": (problem, "name a room that there is: --room"),
}
"""What to make of a refusal, and to do about it, by its code."""

LEAVE_S = 1.0
NO_WEBSOCKET = (WebSocketError, AssertionError, LookupError, ValueError)
"""What Tornado raises when an answer is none of a WebSocket server."""


async def signaling(case: Case) -> AsyncIterator[Finding]:
    """Sign in, and stay: `/api/turn` may ask for that."""
    if not case.reachable:
        yield skipped("signaling", "the server cannot be reached")
        return
    began = time.perf_counter()
    try:
        connection = await _connect(case)
    except (*NO_ANSWER, *NO_WEBSOCKET) as error:
        hint = "a proxy has to pass on WebSocket upgrades (Upgrade and Connection headers)"
        words = short(error) or "what answers does not speak it"
        yield problem("signaling", f"no WebSocket at {case.server.url}ws: {words}", hint)
        return
    case.stack.push_async_callback(_leave, connection)
    opened = milliseconds(time.perf_counter() - began)
    yield await _sign_in(case, connection, opened)


async def _connect(case: Case) -> WebSocketClientConnection:
    target = case.server
    request = HTTPRequest(
        f"ws{target.url.removeprefix('http')}ws",
        headers=case.headers,
        connect_timeout=case.patience_s,
        request_timeout=case.patience_s,
        ssl_options=encryption(case),
    )
    return await websocket_connect(request, resolver=case.resolver())


async def _leave(connection: WebSocketClientConnection) -> None:
    """Close, and wait a moment until the server has, too: then the socket is closed."""
    connection.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_S):
            while connection.close_code is None and await connection.read_message() is not None:
                continue


async def _sign_in(case: Case, connection: WebSocketClientConnection, opened: float) -> Finding:
    data = {"id": case.peer_id, "name": NAME, "user_agent": NAME} | case.joining
    began = time.perf_counter()
    try:
        await connection.write_message(json.dumps({"type": "new", "data": data}))
        while True:
            received = await connection.read_message()
            if received is None:
                return _refused(case, connection.close_code, connection.close_reason)
            kind, content = _message(received)
            if kind == "error" and isinstance(content, dict):
                return _refused(case, content.get("code"), content.get("reason"))
            if kind == "peers" and _contains(content, case.peer_id):
                break
    except NO_ANSWER:
        return _refused(case, connection.close_code, connection.close_reason)
    except asyncio.CancelledError:
        connection.close()
        raise
    took = milliseconds(time.perf_counter() - began)
    text = f"WebSocket opened, {opened:g} ms; signed in and saw itself in the list, {took:g} ms"
    return ok("signaling", text, opened_ms=opened, rtt_ms=took)


def _message(received: str | bytes) -> tuple[str, Any]:
    try:
        message = json.loads(received)
        return str(message.get("type", "")), message.get("data")
    except (ValueError, AttributeError, RecursionError):
        return "", None


def _contains(peers: Any, peer_id: str) -> bool:
    return isinstance(peers, list) and any(
        isinstance(each, dict) and each.get("id") == peer_id for each in peers
    )


def _refused(case: Case, code: Any, reason: Any) -> Finding:
    known = code if isinstance(code, int) else short(code or "")
    found = refused(known, reason)
    if known == "room-password":
        return _about_password(case, found)
    if case.token and not case.shows_secrets and known in NOT_LET_IN:
        return replace(found, hint=NOT_SENT.format("token"))
    return found


def _about_password(case: Case, found: Finding) -> Finding:
    """What was not given, or not sent, could not be wrong."""
    if not case.room_password:
        return found
    if not case.shows_secrets:
        return replace(found, hint=NOT_SENT.format("password"))
    hint = "compare it with the server's file of rooms; after wrong ones wait for a minute"
    return replace(found, level=Level.PROBLEM, hint=hint)


def refused(code: int | str | None, reason: object) -> Finding:
    """Say why the server did not let the examination in.

    Args:
        code: The close code, or that of an ``error``; None if there was none.
        reason: The server's words.
    """
    words = f"refused: {short(reason or 'no reason given')}" + (f" ({short(code)})" if code else "")
    if code in NOT_LET_IN:
        hint = "that may be as it should; give a token that may sign in: --token"
        return warning("signaling", words, hint, code=code)
    if code in LATER:
        return warning("signaling", words, "try again later", code=code)
    finding, hint = ABOUT_ROOMS.get(str(code), (problem, "the server's log says more"))
    return finding("signaling", words, hint, code=code)
