"""A plugin for the tests' own server: it knows two tokens, and lets in nobody without one."""

from __future__ import annotations

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import AuthRequest, Identity, PluginContext, Refused

TOKENS = {"open-sesame": "Ann", "näturlich/=": "Bob"}
"""The second one cannot stand in a header."""


class Plugin:
    """Answers as the shipped plugins for tokens do."""

    def __init__(self, _context: PluginContext) -> None:
        pass

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | Refused | None:
        """Find out whose token it is; one may still come in `new`."""
        if request.token in TOKENS:
            return Identity(TOKENS[request.token], ("*",))
        return None if request.kind == "upgrade" and not request.token else Refused("Who is there?")
