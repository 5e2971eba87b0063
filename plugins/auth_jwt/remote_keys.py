"""A key set that is fetched from a URL: kept, asked for again in time, shared by all that wait.

Nothing blocks. Of several that need the set one fetch is made. Keys that tokens name
and the set has not are asked for at once, but not more often than every `REFETCH_S`
seconds: anybody can write a token that names a key. While the source is down the last
good set holds; a set without a key that can be used ends it at once.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import (
    HTTPStreamClosedError,
    HTTPTimeoutError,
    SimpleAsyncHTTPClient,
)

from tornado_webrtc.machine import is_loopback

from .jwks import KeySet
from .key import Key, NoKeysError, UnusableKeyError

__all__ = ["MAX_SET_BYTES", "REFETCH_S", "RemoteKeys", "Timing", "url_fault"]

MAX_SET_BYTES = 256 * 1024
"""A set of `MAX_KEYS` large keys with their certificates has less."""

REFETCH_S = 10.0
"""Seconds between two fetches that tokens with unknown keys cause, and after one that failed."""

_MAX_DOUBLINGS = 5
"""How often the pause is doubled after failures: it ends up at about five minutes."""

_EARLY = 0.8
"""The part of its time to live after which a set is fetched again."""

_LEAST_S = 0.001
"""Seconds that a request has at least: Tornado takes 0 for as long as it likes."""

_OK = 200
_MOVED = {301, 302, 303, 307, 308}


class _FetchError(Exception):
    """The set was not had; the message says why, without what a stranger wrote."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long what takes and holds, in seconds.

    Attributes:
        ttl_s: How long a set is good.
        max_stale_s: How much longer it holds while there is no newer one.
        timeout_s: How long a fetch may take.
    """

    ttl_s: float
    max_stale_s: float
    timeout_s: float


def url_fault(url: str) -> str:
    """Say what is wrong with a URL of a key set, or nothing."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in {"https", "http"} or not host:
        return "allowed is https://HOST/PATH, or the path of a file"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "a user, password or fragment may not be in the URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "over http, whoever is on the way could put in a key; allowed is https://HOST/PATH"
    return ""


class RemoteKeys:
    """The keys of a set on another server.

    Args:
        url: Where it is; `url_fault` finds nothing wrong with it.
        parse: Makes a set of what comes, or raises `UnusableKeyError`.
        timing: How long what takes and holds.
        log: Where it says what changed, if anywhere.
        ca_file: Certificates of the authorities that are trusted; None for the system's.
        now: Monotonic seconds.

    Attributes:
        counters: How often what happened: ``jwks.fetches``, ``jwks.failures``; those that
            brought no key are failures, too.
        error: Why the last fetch failed, or brought no key; "" if it brought one.
    """

    def __init__(
        self,
        url: str,
        parse: Callable[[bytes], KeySet],
        timing: Timing,
        log: logging.Logger | None,
        ca_file: Path | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._parse = parse
        self._log = log
        self._ca_file = ca_file
        self._now = now
        self._keys: tuple[Key, ...] = ()
        self._skipped: tuple[str, ...] = ()
        self._fetched_at = self._asked_at = -float("inf")
        self._failures = 0
        self._flight: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[ssl.SSLContext] | None = None
        self.timing = timing
        self.counters: Counter[str] = Counter()
        self.error = ""

    @property
    def skipped(self) -> tuple[str, ...]:
        """What the set holds that cannot be used."""
        return self._skipped

    def inherit(self, older: RemoteKeys) -> None:
        """Go on with what another one has from the same place, before this one is opened."""
        self._keys, self._skipped = older._keys, older._skipped
        self._fetched_at, self._asked_at = older._fetched_at, older._asked_at
        self._failures, self.error = older._failures, older.error

    def open(self) -> None:
        """Fetch the set from now on, again and again."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(), name="auth_jwt: key set")

    async def close(self) -> None:
        """Fetch it no longer; a fetch under way comes to its end, at its time-out at the latest."""
        if self._keeping is not None:
            keeping, self._keeping = self._keeping, None
            keeping.cancel()
            await asyncio.wait({keeping})
        if self._flight is not None:
            await asyncio.wait({self._flight})

    async def keys(self, kid: str | None) -> tuple[Key, ...]:
        """The keys of the set; it is fetched first if it has none of this name.

        Args:
            kid: The name that a token gives its key, if it does.

        Raises:
            NoKeysError: There is no set, or only one that is too old.
        """
        missing = not self._keys or (kid is not None and all(kid != key.kid for key in self._keys))
        if (missing or not self._is_usable()) and self._may_ask():
            await self.fetch()
        if not self._is_usable():
            raise NoKeysError(f"there is no key set: {self.error or 'it was not had yet'}")
        return self._keys

    async def ca_fault(self) -> str:
        """Say what is wrong with the file of authorities, or nothing."""
        try:
            await self._context()
        except _FetchError:
            return ""  # the disk is slow just now: whoever fetches hears of it
        except ssl.SSLError:
            return f"{self._ca_file} holds no certificate in PEM form"
        except OSError as error:
            return f"{self._ca_file} cannot be used: {error.strerror}"
        return ""

    async def fetch(self) -> None:
        """Fetch the set, or wait for the fetch that is under way; `error` says how it went."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._ask(), name="auth_jwt: fetch of the key set")
        await asyncio.wait({self._flight})

    def _may_ask(self) -> bool:
        return self._flight is not None or self._now() >= self._asked_at + REFETCH_S

    def _is_usable(self) -> bool:
        good_s = self.timing.ttl_s + self.timing.max_stale_s
        return bool(self._keys) and self._now() < self._fetched_at + good_s

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._due_at() - self._now()))
            if self._now() >= self._due_at():
                await self.fetch()

    def _due_at(self) -> float:
        """When the set is fetched next: before it is too old; after failures ever later."""
        if not self._failures:
            return self._fetched_at + _EARLY * self.timing.ttl_s
        doubled = min(self._failures - 1, _MAX_DOUBLINGS)
        return self._asked_at + REFETCH_S * (1 << doubled)

    async def _ask(self) -> None:
        self._asked_at = self._now()
        self.counters["jwks.fetches"] += 1
        try:
            found = self._parse(await self._content())
        except Exception as error:  # whatever: who waits is told, and it is tried again
            self._failed(_words(error, self.timing.timeout_s))
        else:
            self._take(found)
        finally:
            self._flight = None

    def _take(self, found: KeySet) -> None:
        """Go by a set, be it an empty one: so an issuer takes back all of its keys."""
        if found.keys and (self.error or found.keys != self._keys):
            self._say(logging.INFO, f"keys read from {self._place}: {len(found.keys)}")
        if found.keys and found.skipped and found.skipped != self._skipped:
            skipped = "; ".join(found.skipped)
            self._say(logging.INFO, f"keys of {self._place} that are left aside: {skipped}")
        self._keys, self._skipped = found.keys, found.skipped
        self._fetched_at = self._now()
        self._failures = 0
        if not found.keys:
            self.counters["jwks.failures"] += 1
        self._complain(found.fault)

    def _failed(self, reason: str) -> None:
        self.counters["jwks.failures"] += 1
        self._failures += 1
        self._complain(reason)

    def _complain(self, reason: str) -> None:
        """Remember what is wrong, if anything, and say so once."""
        text = f"{self._place} cannot be used: {reason}" if reason else ""
        if text and text != self.error:
            keeps = "the earlier keys hold" if self._is_usable() else "no token is accepted"
            self._say(logging.ERROR, f"{text}; {keeps}")
        self.error = text

    def _say(self, level: int, text: str) -> None:
        if self._log is not None:
            self._log.log(level, "%s", text)

    @property
    def _place(self) -> str:
        """The URL without its query, which may hold what is nobody's business."""
        parts = urlsplit(self._url)
        return SplitResult(parts.scheme, parts.netloc, parts.path, "", "").geturl()

    async def _content(self) -> bytes:
        """What is at the URL; whatever goes wrong is raised."""
        # Named by its class: `AsyncHTTPClient` is whatever another plugin has configured.
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MAX_SET_BYTES)
        try:
            response = await client.fetch(await self._request(), raise_error=False)
        finally:
            client.close()
        if response.code != _OK:
            moved = "; redirects are not followed" if response.code in _MOVED else ""
            raise _FetchError(f"the answer is HTTP {response.code}, not {_OK}{moved}")
        return response.body

    async def _request(self) -> HTTPRequest:
        """The request; it has what is left of the time when it is known whom to trust."""
        until = time.monotonic() + self.timing.timeout_s
        is_secure = urlsplit(self._url).scheme == "https"
        context = await self._context() if is_secure else None
        left_s = max(_LEAST_S, until - time.monotonic())
        return HTTPRequest(
            self._url,
            headers={"Accept": "application/jwk-set+json, application/json"},
            connect_timeout=left_s,
            request_timeout=left_s,
            follow_redirects=False,
            decompress_response=False,
            ssl_options=context,
        )

    async def _context(self) -> ssl.SSLContext:
        """Whom to trust; beside the event loop, since certificates are read from the disk.

        Raises:
            _FetchError: That takes too long.
            OSError: The file cannot be read; `ssl.SSLError` if it holds no certificate.
        """
        timeout_s = self.timing.timeout_s
        if self._reading is None:  # a thread that hangs with its disk is not joined by others
            read = functools.partial(ssl.create_default_context, cafile=self._ca_file)
            self._reading = asyncio.get_running_loop().run_in_executor(None, read)
            self._reading.add_done_callback(self._read)
        reading = self._reading
        await asyncio.wait({reading}, timeout=timeout_s)
        if not reading.done():
            text = f"the certificates of the authorities cannot be read within {timeout_s:g} s"
            raise _FetchError(text)
        return reading.result()

    def _read(self, reading: asyncio.Future[ssl.SSLContext]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # looked at: perhaps nobody waits any more


def _words(error: Exception, timeout_s: float) -> str:
    """What went wrong, in words of our own."""
    if isinstance(error, _FetchError | UnusableKeyError):
        return str(error)
    if isinstance(error, HTTPTimeoutError | TimeoutError):
        return f"there is no whole answer within {timeout_s:g} s"
    if isinstance(error, HTTPStreamClosedError):
        return f"the answer ends early, is no HTTP or has more than {MAX_SET_BYTES} bytes"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
