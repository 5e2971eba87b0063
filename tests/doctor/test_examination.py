"""The order of the checks, their time, and that one cannot spoil the others."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator

import pytest

from tests.doctor.conftest import Serve, case_of
from tornado_webrtc.doctor import examination
from tornado_webrtc.doctor.case import Case, ok
from tornado_webrtc.doctor.examination import DaemonExecutor, checks, examine, quiet
from tornado_webrtc.doctor.target import IceUri
from tornado_webrtc.finding import Finding, Level


async def test_server_in_order(serve: Serve) -> None:
    server = await serve(tls=True)
    found: list[Finding] = []
    case = case_of(server)
    await examine(case, found.append)
    assert Level.PROBLEM not in {each.level for each in found}
    subjects = list(dict.fromkeys(each.subject for each in found))
    assert subjects == [
        *("http", "tls", "server clock", "signaling", "credentials", "address"),
        *("turn udp", "turn tcp", "stun udp"),
    ]
    await server.hub.wait_empty(5)


def test_checks_that_a_case_needs() -> None:
    own, other = checks(Case(own=True)), checks(Case(own=False))
    assert own[-len(other) :] == other
    assert own[0][0] == "configuration"
    uris = [IceUri("turn", "h", 1, "udp")]
    assert [name for name, _ in checks(Case(own=True, uris=uris))] == ["turn"]


async def test_check_that_fails_or_hangs_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_case: Case) -> AsyncIterator[Finding]:
        yield ok("fails", "so far")
        raise ZeroDivisionError("oh")

    async def hangs(_case: Case) -> AsyncIterator[Finding]:
        await asyncio.sleep(60)
        yield ok("hangs", "never")

    async def works(_case: Case) -> AsyncIterator[Finding]:
        yield ok("works", "well")

    listed = [("fails", fails), ("hangs", hangs), ("works", works)]
    monkeypatch.setattr(examination, "checks", lambda _case: listed)
    found: list[Finding] = []
    await examine(Case(own=False, patience_s=0.1), found.append)
    assert [each.level for each in found] == [Level.OK, Level.PROBLEM, Level.PROBLEM, Level.OK]
    assert "ZeroDivisionError: oh" in found[1].text
    assert found[2].text == "not done within 0.1 s"


def test_libraries_are_silent_only_for_the_while(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        with quiet():
            logging.getLogger("tornado.application").error("Uncaught exception")
        logging.getLogger("tornado.general").warning("SSL Error")
    assert not caplog.records
    assert not logging.getLogger("tornado.general").disabled


def test_nobody_waits_for_a_name_server_that_is_slow() -> None:
    released = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(DaemonExecutor())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.to_thread(released.wait, 60)

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 30
    released.set()


async def test_executor_hands_on_results_and_errors() -> None:
    executor = DaemonExecutor()
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(executor, abs, -3) == 3
    with pytest.raises(ValueError, match="three"):
        await loop.run_in_executor(executor, int, "three")
