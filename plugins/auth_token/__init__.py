"""Lets in who shows a token that is listed in a file.

Meant for a handful of apps or people with fixed tokens. No server starts with a file
that cannot be used; if it becomes so later, the earlier tokens hold. The server does not
start without this plugin where it is wanted: everybody would be let in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado_webrtc import hookimpl
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import AuthRequest, Doubt, Identity, PluginContext, Refused, at_key

from .token_file import TokenFile

if TYPE_CHECKING:
    from tornado_webrtc.config import Config

SETTINGS = """
# The tokens, one per line: SUBJECT TOKEN [PEER-ID-PATTERN ...]. Read again when it changes.
# live
file = string(min=1)
# Whether clients without a token are welcome, under any peer id.
# live
allow_anonymous = boolean(default=False)
"""
REQUIRED = True

JWT = "auth_jwt"
"""The plugin beside which this one is in vain."""

IN_VAIN = Doubt(
    f"lets nobody in: {JWT} runs, too, is asked first and refuses every token that is none"
    " of its own; use one of the two"
)


class Plugin:
    """Answers `authenticate` from a file."""

    def __init__(self, context: PluginContext) -> None:
        self._name = context.name
        self._log = context.log
        self._allow_anonymous: bool = context.settings["allow_anonymous"]
        self._in_vain = JWT in context.config.plugin_settings
        self._path = context.config.resolve(context.settings["file"])
        self._tokens = TokenFile(self._path, context.log)

    @hookimpl
    def start(self) -> None:
        """Read the file; a bad one keeps the server from starting."""
        self._tokens.refresh()
        if self._tokens.error:
            raise PluginError(self._name, self._tokens.error)

    @hookimpl
    def check(self) -> list[str]:
        """Say what is wrong or careless with the file, and whether it is of any use."""
        self._tokens.refresh(quiet=True)
        in_vain = (IN_VAIN,) if self._in_vain else ()
        texts = (*self._tokens.faults, Doubt(self._tokens.doubt), *in_vain)
        return [at_key(self._name, "file", text) for text in texts if text]

    @hookimpl
    def settings_changed(self, new: Config) -> None:
        """Go by the settings as they are now; connections stay, whosever they are."""
        settings = new.plugin_settings[self._name]
        self._allow_anonymous = settings["allow_anonymous"]
        path = new.resolve(settings["file"])
        if path != self._path:
            self._path, self._tokens = path, TokenFile(path, self._log)
        self._tokens.refresh()

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
