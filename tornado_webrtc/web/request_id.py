"""A name for each HTTP request and WebSocket connection, so that its lines in a log can be found.

It is random, in the log as ``request_id`` and in the answer as ``X-Request-ID``. A
trusted proxy may choose it; nobody else may, or a client could put its lines
among another's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from tornado_webrtc.web.client import Network, is_proxy

__all__ = ["HEADER", "IdentifyingTransform", "request_id"]

HEADER = "X-Request-ID"

ID_BYTES = 8

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ATTRIBUTE = "_tornado_webrtc_request_id"


def request_id(request: HTTPServerRequest, trusted: Sequence[Network]) -> str:
    """The id of a request: the one it has, its proxy's, or a new one.

    Args:
        request: The request, which keeps the id.
        trusted: Networks of proxies whose word is taken.
    """
    known: str | None = getattr(request, _ATTRIBUTE, None)
    if known is None:
        known = _of_proxy(request, trusted) or secrets.token_hex(ID_BYTES)
        setattr(request, _ATTRIBUTE, known)
    return known


def _of_proxy(request: HTTPServerRequest, trusted: Sequence[Network]) -> str | None:
    if not trusted or HEADER not in request.headers:
        return None
    (given, *more) = request.headers.get_list(HEADER)
    sane = not more and _SANE.fullmatch(given) is not None
    return given if sane and is_proxy(request, trusted) else None


class IdentifyingTransform(OutputTransform):
    """Puts the id into the answer, whoever gives it: plugins' handlers, errors, upgrades."""

    def __init__(self, request: HTTPServerRequest, trusted: Sequence[Network]) -> None:
        self._id = request_id(request, trusted)

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the header; the answer's body stays as it is."""
        headers[HEADER] = self._id
        return status_code, headers, chunk
