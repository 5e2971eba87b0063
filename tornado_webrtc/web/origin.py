"""Which pages may use this server: `[signaling] allowed_origins`."""

from __future__ import annotations

from collections.abc import Sequence

from tornado_webrtc.web.client import parse_address

__all__ = ["allow_origin_header", "origin_allowed", "same_host"]


def origin_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Whether a page's origin matches one of the allowed ones.

    Args:
        origin: As a browser sends it: ``https://example.org``, or ``null``.
        allowed: ``*`` for all, ``https://example.org`` for one, or
            ``https://*.example.org`` for every name below it.
    """
    origin = origin.lower()
    return any(_matches(origin, pattern.lower()) for pattern in allowed)


def _matches(origin: str, pattern: str) -> bool:
    if pattern in {"*", origin}:
        return True
    scheme, separator, suffix = pattern.partition("://*.")
    if not separator:
        return False
    found_scheme, _, host = origin.partition("://")
    return found_scheme == scheme and host.endswith(f".{suffix}")


def same_host(origin: str, host: str, domain: str = "") -> bool:
    """Whether a page came from the host, port included, that it now connects to.

    Anybody's name can be made to stand for this server's address (DNS rebinding), and his page
    is then of the same host. So if the server knows its name, no other one counts.

    Args:
        origin: As a browser sends it.
        host: The header Host.
        domain: `[general] domain`, lower-case; empty if the server knows no name of its own.
    """
    host = host.lower()
    if not host or origin.lower().partition("://")[2] != host:
        return False
    if not domain or parse_address(host) is not None:
        return True
    name = host.partition(":")[0]
    return name.removesuffix(".") in {domain.removesuffix("."), "localhost"}


def allow_origin_header(origin: str | None, allowed: Sequence[str]) -> str | None:
    """The value of Access-Control-Allow-Origin for a request, if it may be read at all."""
    if "*" in allowed:
        return "*"
    if origin is not None and origin_allowed(origin, allowed):
        return origin
    return None
