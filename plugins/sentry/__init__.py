"""Reports faults to Sentry: errors in the log, exceptions of plugins and of HTTP handlers.

    __init__.py    the plugin: started, reloaded, stopped
    settings.py    its section, and what is wrong or doubtful in it
    reporter.py    Sentry's library, and how it is used
    tally.py       counts what was sent and what was lost
    scrubber.py    what may be reported

No token, session description or candidate is in what is reported. docs/sentry.md says how to
use it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import PluginContext, at_key

from .settings import SPECIFICATION, Settings
from .tally import Tally

if TYPE_CHECKING:
    from tornado_webrtc.config import Config
    from tornado_webrtc.server import Server

    from .reporter import Reporter

SETTINGS = SPECIFICATION


class Plugin:
    """Starts and ends what reports."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._settings = Settings.read(context.settings, context.config)
        self._server_name = ""
        self._tally = Tally(context.log)
        self._reporter: Reporter | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @hookimpl
    async def start(self, server: Server) -> None:
        """Load Sentry's library, and report from now on."""
        if faults := self._settings.faults:
            raise PluginError(self._name, "; ".join(f"{key}: {text}" for key, text in faults))
        await asyncio.to_thread(_load_library)
        self._server_name = server.hub.node_id
        self._begin(self._made(self._settings), self._settings)

    @hookimpl
    async def stop(self) -> None:
        """Report what waits, for a few seconds at most."""
        if self._reporter is not None:
            self._end(self._reporter)
            self._reporter = None
        if self._closing:
            await asyncio.wait(self._closing)

    @hookimpl
    def check(self) -> list[str]:
        """Say what is wrong or doubtful with the DSN; nobody is called."""
        return [at_key(self._name, key, text) for key, text in self._settings.findings]

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now."""
        settings = Settings.read(new.plugin_settings[self._name], new)
        if self._reporter is None or settings == self._settings:
            return
        if settings.faults:  # a reload asks `check` before
            self._log.error("the new settings cannot be used; the ones before hold")
            return
        reporter, old = self._made(settings), self._reporter  # what cannot be made ends nothing
        self._end(old)
        self._begin(reporter, settings)

    @hookimpl
    def counters(self) -> dict[str, int]:
        """What was handed to Sentry, what of that was lost on the way; what was too much."""
        return self._tally.counts()

    def _made(self, settings: Settings) -> Reporter:
        from .reporter import Reporter

        return Reporter(settings, self._server_name, self._tally)

    def _begin(self, reporter: Reporter, settings: Settings) -> None:
        reporter.open()
        self._settings, self._reporter = settings, reporter

    def _end(self, reporter: Reporter) -> None:
        reporter.detach()
        closing = asyncio.create_task(asyncio.to_thread(reporter.close), name="sentry: close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _load_library() -> None:
    from . import reporter  # noqa: F401 - it is imported, that is all
