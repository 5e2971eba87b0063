"""The page that Prometheus reads."""

from __future__ import annotations

import gzip
import http
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted
from tornado.web import Application, RequestHandler

from tornado_webrtc.repeats import Repeats
from tornado_webrtc.web.handler import MissingPage, PageHandler

from .token_file import TokenFile

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["PATH", "Access", "MetricsPage", "encode", "make_application"]

log = logging.getLogger(__name__)

PATH = "/metrics"
COMPRESSION_LEVEL = 1

FORMATS = {
    "text/plain": ("", "0.0.4", "1.0.0"),
    "application/openmetrics-text": ("", "1.0.0"),
}
"""The versions of each format that are spoken; the library would promise any."""


class Access:
    """Who may read.

    Args:
        log: Told of those who may not.

    Attributes:
        tokens: Those that let somebody in; None lets everybody in.
        counters: How often somebody was answered and refused.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.tokens: TokenFile | None = None
        self.counters = Counter({"answered": 0, "unauthorized": 0})
        self._log = log
        self._repeats = Repeats()

    def allows(self, authorization: str, remote_ip: str) -> bool:
        """Judge a request, and count it; a refusal is logged, at most one a minute."""
        allowed = self.tokens is None or self.tokens.accepts(authorization)
        self.counters["answered" if allowed else "unauthorized"] += 1
        if not allowed and self._repeats.add("unauthorized"):
            what = "a wrong token" if authorization else "no token"
            self._log.warning("%s asked for the metrics with %s", remote_ip, what)
        return allowed


class MetricsPage(PageHandler):
    """``GET /metrics``: in the format that the client prefers."""

    registry: CollectorRegistry
    access: Access

    def initialize(self, registry: CollectorRegistry, access: Access) -> None:
        """Take what the application was made with."""
        self.registry = registry
        self.access = access

    def get(self) -> None:
        """Answer with all metrics."""
        headers = self.request.headers
        self.set_header("Cache-Control", "no-store")
        remote_ip = self.request.remote_ip or "somebody"
        if not self.access.allows(headers.get("Authorization", ""), remote_ip):
            self.send_error(401)
            return
        text, content_type = encode(self.registry, headers.get("Accept", ""))
        if gzip_accepted(headers.get("Accept-Encoding", "")):
            text = gzip.compress(text, COMPRESSION_LEVEL, mtime=0)
            self.set_header("Content-Encoding", "gzip")
        self.set_header("Vary", "Accept, Accept-Encoding")
        self.set_header("Content-Type", content_type)
        self.finish(text)

    head = get

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say how to be let in (RFC 9110 section 11.6.1); otherwise the status in words."""
        if status_code == http.HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Bearer realm="metrics"')
        super().write_error(status_code, **kwargs)


def make_application(server: Server, registry: CollectorRegistry, access: Access) -> Application:
    """One page, and an error for all others.

    Args:
        server: Whose metrics they are.
        registry: Has them.
        access: Who may read them.
    """
    return Application(
        [(PATH, MetricsPage, {"registry": registry, "access": access})],
        default_handler_class=MissingPage,
        log_function=_log_request,
        server=server,
    )


def encode(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Write all metrics in the format that a client accepts, and name it.

    Args:
        registry: Has them.
        accept: What the client said; the first that is spoken wins, without any it is the
            text that every version of Prometheus reads.
    """
    spoken = ",".join(each for each in accept.split(",") if _is_spoken(each))
    encoder, content_type = choose_encoder(spoken)
    return encoder(registry), content_type


def _is_spoken(accepted: str) -> bool:
    media_type, *parameters = (part.strip() for part in accepted.split(";"))
    values = dict(part.split("=", 1) for part in parameters if "=" in part)
    return values.get("version", "") in FORMATS.get(media_type, ())


def _log_request(handler: RequestHandler) -> None:
    """Looking is not worth a line."""
    request = handler.request
    log.debug("%s %s %d", request.method, request.path, handler.get_status())
