"""Lets in who shows a token that is listed in a file.

Meant for a handful of apps or people with fixed tokens. While the file cannot be
used nobody who shows a token gets in, and nobody without one either, unless
`allow_anonymous` says so.
"""

from __future__ import annotations

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import AuthRequest, Identity, PluginContext, Refused

from .token_file import TokenFile

SETTINGS = """
# The tokens, one per line: SUBJECT TOKEN [PEER-ID-PATTERN ...]. Read again when it changes.
file = string(min=1)
# Whether clients without a token are welcome, under any peer id.
allow_anonymous = boolean(default=False)
"""


class Plugin:
    """Answers `authenticate` from a file."""

    def __init__(self, context: PluginContext) -> None:
        path = context.config.resolve(context.settings["file"])
        self._name = context.name
        self._required = context.name in context.config.plugins.required
        self._allow_anonymous: bool = context.settings["allow_anonymous"]
        self._tokens = TokenFile(path, context.log)

    @hookimpl
    def start(self) -> None:
        """Read the file; a bad one keeps the server from starting if the plugin is required."""
        self._tokens.refresh()
        if self._required and self._tokens.error:
            raise PluginError(self._name, self._tokens.error)

    @hookimpl
    def check(self) -> list[str]:
        """Say what is wrong with the file."""
        self._tokens.refresh()
        return [f"{self._name}.file: {self._tokens.error}"] if self._tokens.error else []

    @hookimpl
    def authenticate(self, request: AuthRequest) -> Identity | Refused | None:
        """Find out whose token it is."""
        if request.token is None:
            return self._without_token(request)
        identity = self._tokens.identify(request.token)
        return identity or Refused("This token is not known.")

    def _without_token(self, request: AuthRequest) -> Refused | None:
        """A token may still come in `new`, so that an upgrade without one is no offence yet."""
        if self._allow_anonymous or request.kind == "upgrade":
            return None
        return Refused("A token is needed.")
