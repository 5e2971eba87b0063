"""Sentry's library, and how it is used here: nothing of it runs that is not listed.

Importing this module imports the library, which takes a while: the plugin does so in a
thread when it starts.

The library works with one client per process. Of its integrations one is installed: the one
for Tornado, which says to which request a fault belongs (it wraps two methods of
`RequestHandler`, and does nothing while there is no client). The one against reporting an
exception twice is not: it keeps the last one, with the frames of its traceback, as long as
the connection lasts. The log is listened to by two handlers at its root.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import sentry_sdk
from sentry_sdk.integrations.logging import BreadcrumbHandler, EventHandler
from sentry_sdk.integrations.tornado import TornadoIntegration
from sentry_sdk.transport import HttpTransport

from tornado_webrtc.bucket import TokenBucket

from .scrubber import Scrubber
from .tally import Tally

if TYPE_CHECKING:
    from sentry_sdk._types import Breadcrumb, BreadcrumbHint, Event, Hint
    from sentry_sdk.envelope import Envelope

    from .settings import Settings

__all__ = [
    "BURST",
    "FLUSH_S",
    "MAX_WAITING",
    "SAME_FAULT_S",
    "TIMEOUT_S",
    "Allowance",
    "Reporter",
]

FLUSH_S = 3.0
"""Seconds that events which wait have when the server stops, or the settings change."""

TIMEOUT_S = 10
"""Seconds that Sentry has to be connected, and to begin its answer; then an event is lost."""

MAX_WAITING = 100
"""Events that wait for Sentry; what comes then is lost."""

BURST = 20
"""Events that are reported at once, at most; each costs the event loop a few milliseconds."""

_SENT_TYPES = ("event", "transaction")
_NOT_LISTENED_TO = ("sentry_sdk", "urllib3")
_ACCESS_LOG = "tornado_webrtc.access"
"""Says that a request failed; that it did so, and why, somebody else has said before."""


_JUDGED = "tornado_webrtc.plugins.sentry: judged"
"""Stands in an exception's `__dict__` since it was reported, or was too much: monotonic seconds.

It may be logged and caught, too. Whoever remembered the exception itself would keep the frames of
its traceback, and builtin ones cannot be referred to weakly."""

SAME_FAULT_S = 60.0
"""Afterwards a word on the same exception is another fault: some are raised again and again."""


class Allowance:
    """So many may be reported in a minute, and `BURST` of them at once.

    Args:
        per_minute: How many.
    """

    def __init__(self, per_minute: int) -> None:
        self._bucket = TokenBucket(per_minute / 60, min(per_minute, BURST), time.monotonic())
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more may be."""
        with self._lock:
            return not self._bucket.take(time.monotonic())


class Reporter:
    """A client of Sentry's, and what feeds it, from now until `close`.

    Args:
        settings: Without faults.
        server_name: Which machine this is, if the settings do not say.
        tally: Counts.
    """

    def __init__(self, settings: Settings, server_name: str, tally: Tally) -> None:
        self._tally = tally
        self._faults = Allowance(settings.events_per_minute)
        self._requests = Allowance(settings.events_per_minute)
        self._scrubber = Scrubber(anonymous=settings.anonymous)
        self._traces_sample_rate = settings.traces_sample_rate
        _silence_library()
        self._client = self._make_client(settings, server_name)
        self._handlers = list(self._make_handlers(settings))

    def open(self) -> None:
        """Report from now on."""
        sentry_sdk.get_isolation_scope().clear_breadcrumbs()
        sentry_sdk.get_global_scope().set_client(self._client)
        for handler in self._handlers:
            logging.getLogger().addHandler(handler)

    def detach(self) -> None:
        """Report nothing more; what waits still does."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
        scope = sentry_sdk.get_global_scope()
        if scope.client is self._client:
            scope.set_client(None)

    def close(self) -> None:
        """Wait until all is sent, no longer than `FLUSH_S`, and end; blocks: for a thread."""
        self._client.close(timeout=FLUSH_S)

    def _make_client(self, settings: Settings, server_name: str) -> sentry_sdk.Client:
        rate = settings.traces_sample_rate
        return sentry_sdk.Client(
            dsn=settings.dsn,
            release=settings.release,
            environment=settings.environment,
            server_name=settings.server_name or server_name,
            sample_rate=settings.sample_rate,
            # Without one, whoever sends the header sentry-trace has his requests reported.
            traces_sampler=self._sampled if rate else None,
            max_breadcrumbs=settings.breadcrumbs,
            debug=settings.debug,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[TornadoIntegration()],
            transport=_transport(self._tally),
            transport_queue_size=MAX_WAITING,
            before_send=self._before_send,
            before_send_transaction=self._before_send_transaction,
            before_breadcrumb=self._before_breadcrumb,
            include_local_variables=False,
            max_request_body_size="never",
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
            spotlight=False,
            keep_alive=False,
            in_app_include=["tornado_webrtc"],
        )

    def _make_handlers(self, settings: Settings) -> list[logging.Handler]:
        own = self._tally.log.name

        def is_listened_to(record: logging.LogRecord) -> bool:
            return record.name != own and not record.name.startswith(_NOT_LISTENED_TO)

        def is_let_through(record: logging.LogRecord) -> bool:
            is_fault = is_listened_to(record) and record.name != _ACCESS_LOG
            return is_fault and self._admits(record.exc_info)

        events = EventHandler(level=settings.level)
        events.addFilter(is_let_through)
        if not settings.breadcrumbs:
            return [events]
        breadcrumbs = BreadcrumbHandler(level=logging.INFO)
        breadcrumbs.addFilter(is_listened_to)
        return [events, breadcrumbs]

    def _admits(self, exc_info: Any) -> bool:
        """Whether a fault may be reported; another word on the same exception is none."""
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if error is not None:
            now, marks = time.monotonic(), error.__dict__
            if now < marks.get(_JUDGED, -math.inf) + SAME_FAULT_S:
                return False
            marks[_JUDGED] = now
        return self._passes(self._faults, "faults")

    def _passes(self, allowance: Allowance, what: str) -> bool:
        if allowance.take():
            return True
        self._tally.dropped(what)
        return False

    def _sampled(self, context: dict[str, Any]) -> float:
        """The chance of a request to be reported, whatever the client wishes."""
        request = context.get("tornado_request")
        upgrades = request is not None and "Upgrade" in request.headers
        return 0.0 if upgrades else self._traces_sample_rate

    def _before_send(self, event: Event, hint: Hint) -> Event | None:
        """The last look at a fault; one from the log was counted when it was logged."""
        if "log_record" not in hint and not self._admits(hint.get("exc_info")):
            return None
        return cast("Event", self._scrubber.event(event))

    def _before_send_transaction(self, event: Event, _hint: Hint) -> Event | None:
        if not self._passes(self._requests, "requests"):
            return None
        return cast("Event", self._scrubber.event(event))

    def _before_breadcrumb(self, crumb: Breadcrumb, _hint: BreadcrumbHint) -> Breadcrumb:
        self._scrubber.breadcrumb(crumb)
        return crumb


def _transport(tally: Tally) -> type[HttpTransport]:
    class CountingTransport(HttpTransport):
        """Sends faults and requests, nothing else, from a thread of the library's."""

        TIMEOUT = TIMEOUT_S
        ended = False

        def capture_envelope(self, envelope: Envelope) -> None:
            envelope.headers.pop("trace", None)  # what a client said of the trace
            envelope.items = [item for item in envelope.items if item.type in _SENT_TYPES]
            if envelope.items:
                tally.add("sent")
                super().capture_envelope(envelope)

        def _get_pool_options(self) -> dict[str, Any]:
            # one attempt, and what is sent goes nowhere else, whoever answers with a redirect
            return super()._get_pool_options() | {"retries": False}

        def on_dropped_event(self, reason: str) -> None:
            tally.lost(_words(reason), quiet=self.ended)

        def kill(self) -> None:
            self.ended = True
            super().kill()

    return CountingTransport


def _words(reason: str) -> str:
    kind, _, code = reason.partition("_")
    if kind == "status":
        return f"it answers with HTTP {code}"
    return {
        "network": "it cannot be reached, or does not answer in time",
        "full_queue": f"{MAX_WAITING} wait already",
        "self_rate_limits": "it has asked for fewer",
    }.get(reason, reason)


def _silence_library() -> None:
    """Have one line a minute say that Sentry is down, and nothing go past the log.

    The library writes to standard error by itself, unredacted, as soon as it is imported;
    what it says is in the log anyway. Below it, urllib3 logs each attempt.
    """
    library = logging.getLogger("sentry_sdk.errors")
    library.handlers[:] = [logging.NullHandler()]  # with none, it would make itself one again
    logging.getLogger("urllib3.connectionpool").addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    return not (record.threadName or "").startswith("sentry-sdk")
