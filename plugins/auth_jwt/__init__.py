"""Lets in who shows a JSON Web Token (RFC 7519) that an issuer of the operator's has signed.

    __init__.py      the plugin: asked by the server, told of changed settings
    settings.py      its section, and what is wrong or doubtful in it
    verifier.py      checks a token
    claim.py         what a token claims, and whom that makes its bearer
    refusal.py       why a token is refused
    source.py        where keys come from
    remote_keys.py   a key set that is fetched from a URL
    key_file.py      a file with keys that is read again when it changes
    jwks.py          key sets
    key.py           keys, and what each is for
    algorithm.py     signature algorithms, and which go together

The server does not start without it where it is wanted: without keys nobody gets in.
docs/auth-jwt.md says how to use it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import AuthRequest, Identity, PluginContext, Refused, at_key

from .key import NoKeysError
from .refusal import Cause, TokenError
from .settings import SPECIFICATION, Finding, Settings, settings_doubts
from .source import KeySource, RemoteSource, make_source
from .verifier import MissingLibraryError, Verifier, load_library

if TYPE_CHECKING:
    from tornado_webrtc.clock import Clock
    from tornado_webrtc.config import Config
    from tornado_webrtc.server import Server

SETTINGS = SPECIFICATION
REQUIRED = True


class Plugin:
    """Answers `authenticate` by tokens."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._settings = Settings.read(context.settings, context.config)
        self._source: KeySource | None = None
        self._verifier: Verifier | None = None
        self._clock: Clock | None = None
        self._counters: Counter[str] = Counter()
        self._closing: set[asyncio.Task[None]] = set()

    # --- life -------------------------------------------------------------------------

    @hookimpl
    def start(self, server: Server) -> None:
        """Read the keys, or begin to fetch them; what cannot be had is tried again and again."""
        if faults := self._faults():
            words = (f"{key}: {text}" if key else text for key, text in faults)
            raise PluginError(self._name, "; ".join(words))
        self._clock = server.clock
        source = make_source(self._settings, self._log, server.clock.now)
        self._take_over(self._settings, source, server.clock)
        source.open()

    @hookimpl
    async def stop(self) -> None:
        """Fetch no more."""
        source, self._source, self._verifier = self._source, None, None
        if source is not None:
            await source.close()
        if self._closing:
            await asyncio.wait(self._closing)

    @hookimpl
    async def check(self) -> list[str]:
        """Say what is wrong or doubtful with the settings, the files and the URL.

        A key set that cannot be fetched is doubtful: no setting is at fault.
        """
        found = self._faults()
        if not found:
            found = await make_source(self._settings, None).examine()
        found += settings_doubts(self._settings)
        return [at_key(self._name, key, text) for key, text in found]

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now; who is signed in stays."""
        settings = Settings.read(new.plugin_settings[self._name], new)
        old, clock = self._source, self._clock
        if old is None or clock is None or settings == self._settings:
            return
        if settings.same_keys(self._settings):
            self._take_over(settings, old, clock)
            return
        if settings.faults():  # a reload asks `check` before
            self._log.error("the new settings cannot be used; the ones before hold")
            return
        source = make_source(settings, self._log, clock.now)
        if settings.same_set(self._settings):
            _hand_over(old, source)
        source.open()
        self._take_over(settings, source, clock)
        self._counters.update(old.counters)
        closing = asyncio.create_task(old.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _take_over(self, settings: Settings, source: KeySource, clock: Clock) -> None:
        self._verifier = Verifier(settings, source, clock.wall)
        self._settings, self._source = settings, source

    def _faults(self) -> list[Finding]:
        found = self._settings.faults()
        try:
            load_library()
        except MissingLibraryError as error:
            found.append(("", str(error)))
        return found

    # --- questions --------------------------------------------------------------------

    @hookimpl
    async def authenticate(self, request: AuthRequest) -> Identity | Refused | None:
        """Find out whose token it is."""
        if request.token is None:
            return self._without_token(request)
        if self._verifier is None:
            raise PluginError(self._name, "it is not started")
        try:
            identity = await self._verifier.identify(request.token)
        except TokenError as error:
            return self._refused(error, request)
        except NoKeysError as error:
            self._counters["refused.no-keys"] += 1
            raise PluginError(self._name, str(error)) from error
        self._counters["accepted"] += 1
        return identity

    def _without_token(self, request: AuthRequest) -> Refused | None:
        """A token may still come in `new`, so that an upgrade without one is no offence yet."""
        if request.kind == "upgrade":
            return None
        patterns = self._settings.anonymous_peer_ids if self._settings.allow_anonymous else ()
        peer_id = request.peer_id or ""
        if any(fnmatchcase(peer_id, pattern) for pattern in patterns):
            self._counters["anonymous"] += 1
            return None
        return self._refused(TokenError(Cause.MISSING, "none was shown"), request)

    def _refused(self, error: TokenError, request: AuthRequest) -> Refused:
        self._counters[error.cause.counter] += 1
        cause, detail = error.cause.counter, error.detail
        self._log.debug("%s at %s from %s: %s", cause, request.kind, request.remote_ip, detail)
        return Refused(error.cause.value)

    @hookimpl
    def counters(self) -> dict[str, int]:
        """Tokens that were accepted, and refused by cause; fetches of the key set."""
        counts = self._counters.copy()
        if self._source is not None:
            counts.update(self._source.counters)
        return dict(counts)


def _hand_over(old: KeySource, new: KeySource) -> None:
    """Let the key set that was fetched hold on: its URL may be down just now."""
    if isinstance(old, RemoteSource) and isinstance(new, RemoteSource):
        new.inherit(old)
