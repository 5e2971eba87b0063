"""Runs one function of a plugin so that its failure stays its own.

Whatever a plugin's function raises, however long it takes, the caller gets a
result or a `PluginError`, and the log says which plugin it was: in full once,
then at most once a minute.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from tornado_webrtc.errors import ListenError, PluginError
from tornado_webrtc.repeats import Repeats

__all__ = ["BLOCKED_S", "Isolation", "plugin_logger"]

BLOCKED_S = 0.1
"""A function, or a part of an asynchronous one between two waits, that takes longer than this
is complained about."""

_FAILURES = (Exception, asyncio.CancelledError, SystemExit)


def plugin_logger(plugin: str) -> logging.Logger:
    """Return the logger of a plugin, for what it logs and for what is logged about it."""
    return logging.getLogger(f"tornado_webrtc.plugins.{plugin}")


class _Errand(NamedTuple):
    """One plugin's function, and the `id` of what it was about."""

    plugin: str
    what: str
    subject: int


class Isolation:
    """Calls plugins' functions for one server.

    A function is named by its plugin and by `what` it is: the name of the hook
    that it implements, or a few words such as ``the handler of dnd``.

    Args:
        timeout_s: What an awaitable has, unless `wait` is told otherwise.
        clock: Monotonic seconds.
        level: At which level failures are logged; a low one if whoever calls says what
            failed anyway.
        serves: Whether there is a server that a function can block.
    """

    def __init__(
        self,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        level: int = logging.ERROR,
        serves: bool = True,
    ) -> None:
        self._timeout_s = timeout_s
        self._level = level
        self._serves = serves
        self._repeats = Repeats(clock)
        self._background: set[asyncio.Task[None]] = set()
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._of_subject: dict[_Errand, tuple[object, asyncio.Task[Any]]] = {}

    def call(
        self, plugin: str, what: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a function.

        Args:
            plugin: The plugin that it belongs to.
            what: What it is.
            function: The function. It cannot be interrupted while it blocks.
            *args: Passed on.
            **kwargs: Passed on.

        Returns:
            What it returned, possibly an awaitable for `wait` or `wait_later`.

        Raises:
            PluginError: It raised; already logged.
        """
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        except _FAILURES as error:
            raise self.raised(plugin, what, error) from error
        finally:
            self._took(plugin, what, time.perf_counter() - began)

    async def wait(
        self,
        plugin: str,
        what: str,
        awaitable: Awaitable[Any],
        timeout_s: float | None = None,
        subject: object = None,
    ) -> Any:
        """Await what a function returned, but not a moment longer than the time-out.

        It runs in a task of its own: not even one that swallows its
        cancellation can hold up the caller.

        Args:
            plugin: The plugin that it belongs to.
            what: What it is.
            awaitable: A coroutine or future.
            timeout_s: Another time-out than the usual one.
            subject: What it is about, for `tell`.

        Returns:
            The result.

        Raises:
            PluginError: It raised or did not finish in time; already logged.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        steps = _Steps(_outcome(awaitable), lambda took: self._took(plugin, what, took))
        task = asyncio.create_task(steps, name=f"plugin {plugin}: {what}")
        try:
            await asyncio.wait({task}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._abandon(task, _Errand(plugin, what, id(subject)), subject)
            raise
        if not task.done():
            self._abandon(task, _Errand(plugin, what, id(subject)), subject)
            raise self.failure(plugin, what, f"did not finish within {timeout_s:g} s")
        if task.cancelled():
            raise self.failure(plugin, what, "was cancelled from within")
        if (error := task.exception()) is not None:
            raise self.raised(plugin, what, error) from error
        return task.result()

    def wait_later(self, plugin: str, what: str, awaitable: Awaitable[Any]) -> None:
        """Await what a function returned in the background; `settle` waits for it.

        Args:
            plugin: The plugin that it belongs to.
            what: What it is.
            awaitable: A coroutine or future, whose result nobody wants.

        Raises:
            PluginError: No event loop runs; already logged.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            discard(awaitable)
            reason = "is asynchronous, but no event loop runs"
            raise self.failure(plugin, what, reason) from None
        self._keep(loop.create_task(self._swallow(plugin, what, awaitable)))

    def tell(
        self,
        plugin: str,
        what: str,
        call: Callable[[], Any],
        *,
        after: str = "",
        subject: object = None,
    ) -> None:
        """Call a function whose result nobody wants; what it returns is awaited in the background.

        Args:
            plugin: The plugin that it belongs to.
            what: What it is.
            call: Calls it, as `call` does.
            after: Another function of the plugin. Where somebody stopped waiting for that one
                about the same subject, it ends first, or has had the time-out to do so.
            subject: What it is about.
        """
        _, running = self._of_subject.get(_Errand(plugin, after, id(subject)), (None, None))
        if running is not None and not running.done():
            self._keep(asyncio.create_task(self._tell_after(running, plugin, what, call)))
            return
        try:
            result = call()
            if inspect.isawaitable(result):
                self.wait_later(plugin, what, result)
        except PluginError:
            return

    async def _tell_after(
        self, running: asyncio.Task[Any], plugin: str, what: str, call: Callable[[], Any]
    ) -> None:
        await asyncio.wait({running}, timeout=self._timeout_s)
        self.tell(plugin, what, call)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def settle(self) -> None:
        """Wait until everything in the background has finished or timed out."""
        while self._background:
            await asyncio.wait(self._background)
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=self._timeout_s)

    def raised(self, plugin: str, what: str, error: BaseException) -> PluginError:
        """Log what a plugin raised, and return the exception that says so.

        These two are sentences for the operator: they need no traceback.
        """
        if isinstance(error, PluginError | ListenError):
            reason = error.reason if isinstance(error, PluginError) else str(error)
            self._log(self._level, (plugin, what, f"failed: {reason}"))
            return PluginError(plugin, reason)
        kind = type(error).__name__
        self._log(self._level, (plugin, what, f"raised {kind}", _place(error)), error=error)
        return PluginError(plugin, f"{what} raised {kind}: {error}")

    def failure(self, plugin: str, what: str, reason: str) -> PluginError:
        """Log another failure than an exception, and return the exception that says so."""
        self._log(self._level, (plugin, what, reason))
        return PluginError(plugin, f"{what} {reason}")

    async def _swallow(self, plugin: str, what: str, awaitable: Awaitable[Any]) -> None:
        try:
            await self.wait(plugin, what, awaitable)
        except PluginError:
            return

    def _abandon(self, task: asyncio.Task[Any], errand: _Errand, subject: object) -> None:
        task.cancel()
        self._abandoned.add(task)
        if subject is not None:
            self._of_subject[errand] = subject, task
        task.add_done_callback(functools.partial(self._forget, errand))

    def _forget(self, errand: _Errand, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if errand in self._of_subject and self._of_subject[errand][1] is task:
            del self._of_subject[errand]
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not log it as lost

    def _took(self, plugin: str, what: str, seconds: float) -> None:
        """Complain of what nobody else could do anything beside."""
        if self._serves and seconds > BLOCKED_S:
            reason = "blocked the whole server; what takes time has to be awaited"
            self._log(logging.WARNING, (plugin, what, reason), f" ({seconds:.1f} s)")

    def _log(
        self,
        level: int,
        key: tuple[str, ...],
        detail: str = "",
        error: BaseException | None = None,
    ) -> None:
        """Write a complaint, or only count it if the same one was written a moment ago.

        Args:
            level: The logging level.
            key: Plugin, what, reason and whatever else tells complaints apart.
            detail: Differs between complaints that are the same otherwise.
            error: Its traceback is written too.
        """
        count = self._repeats.add(key)
        if not count:
            return
        plugin, what, reason = key[:3]
        text = f"plugin {plugin}: {what} {reason}{detail}"
        if count > 1:
            text += f"; {count} times since it was last logged"
        plugin_logger(plugin).log(level, "%s", text, exc_info=error)


def discard(awaitable: Awaitable[Any]) -> None:
    """Let go of an awaitable that nobody will await, without a warning from Python."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    elif isinstance(awaitable, asyncio.Future):
        awaitable.cancel()


async def _outcome(awaitable: Awaitable[Any]) -> Any:
    """Await something; a plugin's ``sys.exit()`` must not end the event loop."""
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError("it called sys.exit()") from error


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine each of whose steps, from one wait to the next, is timed.

    Args:
        coroutine: What runs.
        took: Is told the seconds of each step.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], took: Callable[[float], None]) -> None:
        self._coroutine = coroutine
        self._report = took

    def send(self, value: Any) -> Any:
        """Take a step."""
        return self._timed(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Take a step with what was raised meanwhile, such as that it is cancelled."""
        return self._timed(self._coroutine.throw, *error)

    def close(self) -> None:
        """Let it go."""
        self._coroutine.close()

    def __await__(self) -> Any:
        """Not timed: a task asks for steps."""
        return self._coroutine.__await__()

    def _timed(self, step: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return step(*arguments)
        finally:
            self._report(time.perf_counter() - began)


def _place(error: BaseException) -> str:
    """Return file and line that raised an exception."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "" if frame is None else f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
