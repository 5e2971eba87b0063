"""What is examined, and what one check leaves for the next."""

from __future__ import annotations

import secrets
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tornado.netutil import OverrideResolver, Resolver

from tornado_webrtc.config import Config
from tornado_webrtc.doctor.target import IceUri, Target
from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.pluginmanager import PluginManager

__all__ = ["Case", "milliseconds", "ok", "problem", "short", "skipped", "warning", "words"]

SHORT = 60
"""Columns that a stranger's word may take: a line has 100."""


@dataclass(kw_only=True)
class Case:
    """One examination.

    Attributes:
        own: Whether the server is one of this machine, with a configuration to look at.
        conf: Its configuration's file.
        target: Its HTTP port, once known.
        uris: ICE servers that were asked for, or that clients are told.
        patience_s: How long one check may take.
        username: Of a TURN credential; empty: the server is asked for one.
        password: That belongs to it.
        token: Shown to the server where it asks for one, and may have it.
        room: Which room it signs in to; empty for none.
        room_password: That room's.
        insecure: Whether it may have token and password without proof of who it is.
        shows_secrets: Whether it gets them; that is decided by a check of its own.
        tls: For connections that carry them; None: who answers does not matter.
        stack: Closes at the end what checks leave open.
        peer_id: The name under which the examination signs in.
        config: The configuration, once it was read.
        plugins: Its plugins, made and not started.
        reachable: Whether the server answered.
        takes_clients: Whether it takes new ones, as far as is known.
    """

    own: bool
    conf: Path | None = None
    target: Target | None = None
    uris: list[IceUri] = field(default_factory=list)
    patience_s: float = 5.0
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    room: str = ""
    room_password: str = field(default="", repr=False)
    insecure: bool = False
    shows_secrets: bool = False
    tls: ssl.SSLContext | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    peer_id: str = field(default_factory=lambda: f"doctor-{secrets.token_hex(4)}")
    config: Config | None = None
    plugins: PluginManager | None = None
    reachable: bool = False
    takes_clients: bool = True

    @property
    def server(self) -> Target:
        """The server's HTTP port, where a check needs it.

        Raises:
            TornadoWebrtcError: It is not known.
        """
        if self.target is None:
            raise TornadoWebrtcError("where the server listens is not known")
        return self.target

    @property
    def headers(self) -> dict[str, str]:
        """What requests carry that say who this is."""
        shown = self.token and self.shows_secrets
        return {"Authorization": f"Bearer {self.token}"} if shown else {}

    @property
    def joining(self) -> dict[str, str]:
        """What `new` says of the room."""
        if not self.room:
            return {}
        shown = self.room_password and self.shows_secrets
        return {"room": self.room} | ({"password": self.room_password} if shown else {})

    def resolver(self) -> Resolver:
        """Looks names up; the server's own name leads to where it listens."""
        target = self.server
        mapping = {target.host: target.connect} if target.connect else {}
        resolver: Resolver = OverrideResolver(resolver=Resolver(), mapping=mapping)
        return resolver


def ok(subject: str, text: str, **values: object) -> Finding:
    """It is well."""
    return Finding(subject=subject, level=Level.OK, text=text, values=values)


def skipped(subject: str, text: str, hint: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(subject=subject, level=Level.SKIPPED, text=text, hint=hint)


def warning(subject: str, text: str, hint: str, **values: object) -> Finding:
    """It works, but somebody should know."""
    return Finding(subject=subject, level=Level.WARNING, text=text, hint=hint, values=values)


def problem(subject: str, text: str, hint: str, **values: object) -> Finding:
    """It does not work."""
    return Finding(subject=subject, level=Level.PROBLEM, text=text, hint=hint, values=values)


def short(text: object) -> str:
    """What a stranger wrote, on a part of a line."""
    try:
        words = " ".join(str(text)[: 10 * SHORT].split())
    except RecursionError:  # lists in lists in lists
        return "…"
    return words if len(words) <= SHORT else f"{words[: SHORT - 1]}…"


def words(error: BaseException) -> str:
    """What an error says; some say nothing but what they are."""
    if isinstance(error, OSError) and error.strerror:
        return short(error.strerror)
    if isinstance(error, ConnectionResetError) and not str(error):
        return "the connection was closed"
    return short(error) or type(error).__name__


def milliseconds(seconds: float) -> float:
    """For people and programs: one digit after the point."""
    return round(seconds * 1000, 1)
