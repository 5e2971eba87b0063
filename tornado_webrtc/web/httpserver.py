"""HTTP servers, all with the same limits: the clients', the redirect's and the operators'."""

from __future__ import annotations

from tornado.httpserver import HTTPServer
from tornado.web import Application

__all__ = ["make_http_server"]

IDLE_TIMEOUT_S = 30.0
"""Seconds in which a request's headers have to come, and that a kept-alive socket may rest."""

BODY_TIMEOUT_S = 10.0
MAX_HEADER_BYTES = 16384
MAX_BODY_BYTES = 65536


def make_http_server(application: Application) -> HTTPServer:
    """Serve an application, within limits; nothing listens yet."""
    return HTTPServer(
        application,
        idle_connection_timeout=IDLE_TIMEOUT_S,
        body_timeout=BODY_TIMEOUT_S,
        max_header_size=MAX_HEADER_BYTES,
        max_body_size=MAX_BODY_BYTES,
    )
