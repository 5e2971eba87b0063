"""What all HTTP handlers share: headers, error pages in the form that was asked for."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError, RequestHandler

from tornado_webrtc.web.client import client_ip
from tornado_webrtc.web.origin import allow_origin_header
from tornado_webrtc.web.request_id import request_id

if TYPE_CHECKING:
    from tornado_webrtc.server import Server

__all__ = ["ApiError", "ApiHandler", "DiscreetErrors", "MissingPage", "PageHandler"]

log = logging.getLogger("tornado_webrtc.web")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
}


class ApiError(HTTPError):
    """An error with a sentence for the caller.

    Args:
        status: HTTP status.
        code: Machine-readable, kebab-case.
        reason: The sentence.
        headers: What the answer carries besides.
    """

    def __init__(
        self, status: int, code: str, reason: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.code = code
        self.sentence = reason
        self.headers = headers or {}


class DiscreetErrors(RequestHandler):
    """Logs exceptions without the request's query, which may hold a token."""

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what was not meant to happen; an HTTP error stands in the access log."""
        if typ is not None and value is not None and not isinstance(value, HTTPError):
            path = self.request.path
            message = "uncaught exception: %s %s"
            trusted = self.settings["server"].config.general.trusted_proxies
            log.error(
                message,
                self.request.method,
                path,
                exc_info=(typ, value, tb),
                extra={"request_id": request_id(self.request, trusted)},
            )


class PageHandler(DiscreetErrors):
    """Base of handlers that people may see; errors are a plain line of text."""

    @property
    def server(self) -> Server:
        """The server that this handler works for."""
        server: Server = self.settings["server"]
        return server

    def set_default_headers(self) -> None:
        """Set the security headers on every answer, errors included; do not name the software."""
        self.clear_header("Server")
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)

    @property
    def remote_ip(self) -> str:
        """The client's address, behind trusted proxies the real one."""
        return client_ip(self.request, self.server.config.general.trusted_proxies)

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Answer with the status in words."""
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", self._allowed_methods())
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {http.client.responses.get(status_code, 'Error')}\n")

    def _allowed_methods(self) -> str:
        """What a 405 has to say (RFC 9110 section 15.5.6)."""
        methods = ((name, getattr(type(self), name.lower())) for name in self.SUPPORTED_METHODS)
        unknown = RequestHandler._unimplemented_method
        return ", ".join(name for name, method in methods if method is not unknown)


class MissingPage(PageHandler):
    """Answers what no rule matches."""

    def prepare(self) -> None:
        """Find nothing, whatever the method."""
        raise HTTPError(404)


class ApiHandler(PageHandler):
    """Base of the REST handlers: JSON, never cached, readable across origins as allowed."""

    def set_default_headers(self) -> None:
        """Set the headers that browsers judge the answer by."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        allowed = self.server.config.signaling.allowed_origins
        origin = allow_origin_header(self.request.headers.get("Origin"), allowed)
        if origin is not None:
            self.set_header("Access-Control-Allow-Origin", origin)
        if "*" not in allowed:
            self.add_header("Vary", "Origin")

    def options(self, *_args: str, **_kwargs: str) -> None:
        """Answer a browser's question before a cross-origin request (CORS preflight)."""
        self.set_header("Access-Control-Allow-Methods", self._allowed_methods())
        self.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type")
        self.set_header("Access-Control-Max-Age", "600")
        self.set_status(204)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error as JSON: ``{"error": {"code": …, "reason": …}}``."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, ApiError):
            code, reason = error.code, error.sentence
            for name, value in error.headers.items():
                self.set_header(name, value)
        else:
            reason = http.client.responses.get(status_code, "Error")
            code = reason.lower().replace(" ", "-")
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", self._allowed_methods())
        self.finish({"error": {"code": code, "reason": reason}})
