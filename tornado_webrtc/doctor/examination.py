"""Which checks there are, in which order, and how long each may take."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tornado_webrtc.doctor import configuration, credential, machine, relay, signaling, trust, web
from tornado_webrtc.doctor.case import Case, problem
from tornado_webrtc.finding import Finding

__all__ = ["Check", "DaemonExecutor", "checks", "examine", "quiet"]

Check = Callable[[Case], AsyncIterator[Finding]]

OWN: tuple[tuple[str, Check], ...] = (
    ("configuration", configuration.configuration),
    ("certificate", configuration.certificate),
    ("domain", configuration.domain),
    ("runtime", machine.runtime),
    ("limits", machine.limits),
    ("clock", machine.clock),
)
SERVER: tuple[tuple[str, Check], ...] = (
    ("http", web.http),
    ("tls", web.tls),
    ("token", trust.token),
    ("server clock", web.clock),
    ("signaling", signaling.signaling),
    ("credentials", credential.credentials),
    ("address", credential.addresses),
)
TURN: tuple[str, Check] = ("turn", relay.relay)


STRANGERS = ("asyncio", "tornado.general", "tornado.application")
"""Loggers that tell of odd answers, some with a traceback: findings do that here."""


@contextmanager
def quiet() -> Iterator[None]:
    """Let no library say what the findings say."""
    loggers = [each for each in map(logging.getLogger, STRANGERS) if not each.disabled]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False


class DaemonExecutor(ThreadPoolExecutor):
    """A thread for each call, for which nobody waits at the end: name servers can be slow."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a thread of its own."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # whatever it is, it is the caller's
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


def checks(case: Case) -> list[tuple[str, Check]]:
    """The checks that a case needs, in order."""
    if case.uris:
        return [TURN]
    return [*(OWN if case.own else ()), *SERVER, TURN]


async def examine(case: Case, report: Callable[[Finding], None]) -> None:
    """Run all checks, one after the other; none takes longer than the case's patience.

    Args:
        case: What is examined.
        report: Gets each finding at once.
    """
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    with quiet():
        async with case.stack:
            for name, check in checks(case):
                await _run(name, check, case, report)


async def _run(name: str, check: Check, case: Case, report: Callable[[Finding], None]) -> None:
    try:
        async with asyncio.timeout(case.patience_s):
            async for finding in check(case):
                report(finding)
    except TimeoutError:
        text = f"not done within {case.patience_s:g} s"
        report(problem(name, text, "see what is slow: names, the network or the server; --timeout"))
    except Exception as error:  # one check that fails must not cost the others
        hint = "the check itself did not foresee this: please report it"
        report(problem(name, f"cannot be examined: {type(error).__name__}: {error}", hint))
