"""What a command asks a server for, when that is not what its argument says."""

import asyncio
import json
from typing import Any
from unittest.mock import AsyncMock

import pytest
from click.testing import Result

from tests.admin.conftest import Operate, Operated, operate, serve
from tests.commandline import run
from tornado_webrtc import hookimpl
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.commands import operate as module
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
