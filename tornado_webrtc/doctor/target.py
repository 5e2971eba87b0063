"""Where the server is: from a URL, a name, an ICE server's URI, or the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tornado_webrtc.config import General
from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.machine import is_loopback

__all__ = ["IceUri", "Target", "TargetError", "own_target", "parse_ice_uri", "parse_target"]

DEFAULT_PORT = General().port
ICE_PORTS = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}
WEB_PORTS = {"http": 80, "https": 443}
_SCHEMES = {"ws": "http", "wss": "https"}
MAX_HOST = 253
"""RFC 1035 section 2.3.4, without the dot at the end."""

MAX_SHOWN = 60
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class TargetError(TornadoWebrtcError):
    """What is to be examined makes no sense."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server's HTTP port.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The name or address that clients use.
        port: The port.
        connect: Where to connect to instead of `host`; empty for `host`.
        named: Whether clients use `host`; a stand-in such as ``localhost`` otherwise.
    """

    scheme: str
    host: str
    port: int
    connect: str = ""
    named: bool = True

    @property
    def url(self) -> str:
        """Its URL, with a slash at the end."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}/"

    @property
    def shown(self) -> str:
        """Its URL for people."""
        return f"{self.url} (at {self.connect})" if self.connect and self.named else self.url


@dataclass(frozen=True, slots=True)
class IceUri:
    """A ``stun:`` or ``turn:`` URI (RFC 7064, RFC 7065).

    Attributes:
        scheme: ``stun``, ``stuns``, ``turn`` or ``turns``.
        host: Name or address, without brackets.
        port: The port.
        transport: ``udp`` or ``tcp``; ``turns`` over ``tcp`` is TLS.
    """

    scheme: str
    host: str
    port: int
    transport: str

    @property
    def is_turn(self) -> bool:
        """Whether it is a TURN server, over whatever transport."""
        return self.scheme in {"turn", "turns"}

    @property
    def is_secure(self) -> bool:
        """Whether TLS (over TCP) or DTLS (over UDP) is underneath."""
        return self.scheme in {"stuns", "turns"}

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return f"{self.scheme} {self.transport}"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """An IPv6 address in brackets; anything else as it is."""
    return f"[{host}]" if ":" in host else host


def parse_target(text: str) -> Target | IceUri:
    """Understand what somebody wrote.

    Args:
        text: A URL, a host name or address with or without a port, or an ICE server's URI.

    Raises:
        TargetError: It is none of these.
    """
    if text.partition(":")[0] in ICE_PORTS:
        return parse_ice_uri(text)
    if "://" not in text:
        bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
        text = f"https://{bracketed(text) if bare_ipv6 else text}"
        default = DEFAULT_PORT
    else:
        default = 0
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"{_shown(text)} is no address: {error}") from error
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    if scheme not in WEB_PORTS or not host:
        raise TargetError(
            f"{_shown(text)} is neither a URL (https://HOST:PORT/), nor a host, nor turn:HOST:PORT"
        )
    _check_place(text, host, port)
    return Target(scheme, host, port or default or WEB_PORTS[scheme])


def parse_ice_uri(text: str) -> IceUri:
    """Understand an ICE server's URI.

    Raises:
        TargetError: It is none.
    """
    scheme, _, rest = text.partition(":")
    place, _, query = rest.partition("?")
    transport = query.removeprefix("transport=") or ("tcp" if scheme.endswith("s") else "udp")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"{_shown(text)} is no address: {error}") from error
    if scheme not in ICE_PORTS or not host or transport not in {"udp", "tcp"}:
        raise TargetError(f"{_shown(text)} is no URI such as turn:HOST:PORT?transport=udp")
    _check_place(text, host, port)
    return IceUri(scheme, host, port or ICE_PORTS[scheme], transport)


def _check_place(text: str, host: str, port: int | None) -> None:
    """Refuse hosts and ports that nobody can have.

    Raises:
        TargetError: It is one of these.
    """
    if port == 0:
        raise TargetError(f"{_shown(text)}: there is no port 0")
    try:
        host.encode("idna")
    except UnicodeError:
        fits = False
    else:
        fits = len(host) <= MAX_HOST
    if not fits or not host.isprintable() or " " in host:
        raise TargetError(f"{_shown(text)}: that host can have no address")


def _shown(text: object) -> str:
    """What somebody wrote, not too much of it."""
    words = str(text)
    return repr(words) if len(words) <= MAX_SHOWN else repr(words[: MAX_SHOWN - 1] + "…")


def own_target(general: General) -> Target | None:
    """Where the server of a configuration listens on this machine; None if nobody can know."""
    if not general.port:
        return None
    scheme = "https" if general.cert is not None else "http"
    first = general.bind[0]
    local = ANYWHERE.get(first, first)
    if general.domain:
        return Target(scheme, general.domain, general.port, local)
    host = "localhost" if is_loopback(local) else local
    return Target(scheme, host, general.port, local if host != local else "", named=False)
