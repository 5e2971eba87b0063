"""What a command asks a server for, when that is not what its argument says."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import AsyncMock

import pytest
from click.testing import Result

from tests.admin.conftest import Operate, Operated, operate, serve
from tests.commandline import run
from tests.wire import WireClient, call
from tornado_webrtc import hookimpl
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.commands import operate as module
from tornado_webrtc.hooks import ScopeRequest
from tornado_webrtc.reload import ReloadReport

__all__ = ["operate", "serve"]

EXIT_USAGE = 2


async def run_on(operated: Operated, *arguments: object) -> Result:
    return await asyncio.to_thread(run, *arguments, "--socket", operated.path)


class Checked:
    """A plugin that looks at its files."""

    @hookimpl
    def check(self) -> list[str]:
        return []


async def test_reload_waits_for_the_checks_of_plugins(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    class Watched(AdminClient):
        def request(self, method: str, path: str, body: object = None, **more: Any) -> Any:
            asked.append({"path": path, **more})
            return super().request(method, path, body, **more)

    monkeypatch.setattr(module, "AdminClient", Watched)
    operated = await operate(plugins=[Checked()])
    (name,) = operated.server.plugins.names
    monkeypatch.setattr(operated.server, "reload", AsyncMock(return_value=ReloadReport()))
    assert (await run_on(operated, "reload")).exit_code == 0
    waits_for = f"the checks of {name}"
    assert asked[-1] == {"path": "/reload", "more_s": 60.0, "waits_for": waits_for}


@pytest.mark.parametrize("name", ["status", "reload", "drain", "log-level"])
async def test_status_of_what_is_no_collection(operate: Operate, name: str) -> None:
    operated = await operate()
    for arguments in ([name], [name, "1"]):
        result = await run_on(operated, "status", *arguments)
        assert result.exit_code == EXIT_USAGE
        assert f"Invalid value for COLLECTION: {name!r} is no collection" in result.stderr


class Roomy:
    """A plugin that lets clients choose."""

    @hookimpl
    def scope_for(self, request: ScopeRequest) -> str | None:
        return request.room


async def test_namesakes_in_rooms_are_named(operate: Operate) -> None:
    operated = await operate(plugins=[Roomy()])
    async with AsyncExitStack() as stack:

        async def join(peer_id: str, room: str) -> WireClient:
            client = await WireClient.connect(operated.server.port)
            await stack.enter_async_context(client)
            await client.register(peer_id, room=room)
            return client

        ann = await join("ann", "a b")
        await call(ann, await join("ben", "a b"))
        for command in (
            ["kick", "ann"],
            ["kick", "ann", "--ban", "1m"],
            ["status", "peers", "ann"],
        ):
            result = await run_on(operated, *command)
            expected = "There is no 'ann' among the peers. In a room there is a%20b/ann."
            assert (result.exit_code, result.stderr) == (1, f"tornado-webrtc: {expected}\n")
        result = await run_on(operated, "kick", "ann-ben", "--of", "sessions")
        assert result.stderr.endswith("In a room there is a%20b/ann-ben.\n")
        result = await run_on(operated, "kick", "nobody")
        assert result.stderr == "tornado-webrtc: There is no 'nobody' among the peers.\n"
        for number in range(7):
            await join("dan", f"{number}\u200b")
        result = await run_on(operated, "kick", "dan")
        named = ", ".join(f"{number}%E2%80%8B/dan" for number in range(5))
        assert result.stderr.endswith(f"In a room there is {named} and 2 more.\n")
        assert operated.server.hub.signaling.peer_count == 9
        assert not operated.server.bans


async def test_an_unban_that_is_not_stored_says_so(
    operate: Operate, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = await operate()
    await operated.ask("POST", "/bans", {"peer": "ann"})
    monkeypatch.setattr(operated.server, "bans_stored", AsyncMock(return_value=False))
    assert (await run_on(operated, "unban", "peer:ann")).stdout == (
        "peer:ann is not banned any more\n"
        "That could not be stored: a restart undoes it. The server's log says why.\n"
    )
    await operated.ask("POST", "/bans", {"peer": "ann"})
    answer = json.loads((await run_on(operated, "unban", "peer:ann", "--json")).stdout)
    assert answer == {"ended": "peer:ann", "stored": False}
