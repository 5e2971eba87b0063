"""Every error that this package raises on purpose.

    TornadoWebrtcError
    ├── ConfigError          the configuration is wrong; carries every problem at once
    ├── PluginError          a plugin cannot be loaded, started or asked
    ├── CertificateError     a certificate or key cannot be read, made or used
    ├── StateError           the state directory cannot be read or written
    ├── ListenError          an address or port cannot be bound
    ├── SignalingError       a client sent something that the signaling refuses
    ├── DecodeError          bytes from the network are not what they should be
    ├── BanError             what is to be banned, or how long, makes no sense
    └── AdminError           a running server did not do what a command asked for
        └── UnavailableError     no server listens on the admin socket

Whoever catches `TornadoWebrtcError` has caught all of them; each message is
written for the person who has to act on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "AdminError",
    "BanError",
    "CertificateError",
    "ConfigError",
    "DecodeError",
    "ListenError",
    "PluginError",
    "Problem",
    "SignalingError",
    "StateError",
    "TornadoWebrtcError",
    "UnavailableError",
]


class TornadoWebrtcError(Exception):
    """Base of every deliberate error of this package."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or doubtful, in a configuration.

    Attributes:
        where: The place a person has to look at, for example
            ``conf/server.ini, line 12, signaling.heartbeat_s``.
        message: What was found and what is allowed.
        hint: What to do about it; may be empty.
    """

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}"
        return f"{text}\n    {self.hint}" if self.hint else text


class ConfigError(TornadoWebrtcError):
    """The configuration cannot be used.

    Attributes:
        problems: Everything that was found wrong, in file order.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PluginError(TornadoWebrtcError):
    """A plugin cannot be loaded, started or asked.

    Attributes:
        plugin: The plugin's name.
        reason: What went wrong, without the name.
    """

    def __init__(self, plugin: str, reason: str) -> None:
        self.plugin = plugin
        self.reason = reason
        super().__init__(f"plugin {plugin}: {reason}")


class CertificateError(TornadoWebrtcError):
    """A certificate or its key cannot be read, made or used."""


class StateError(TornadoWebrtcError):
    """The state directory, or a file in it, cannot be read or written."""


class ListenError(TornadoWebrtcError):
    """An address or port cannot be bound."""


class SignalingError(TornadoWebrtcError):
    """A client's message is refused; the connection stays open.

    Attributes:
        code: Machine-readable, kebab-case (``not-found``, ``bad-message``).
        reason: The sentence the client is sent.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class DecodeError(TornadoWebrtcError):
    """Bytes from the network are not what they should be; the only error of every decoder."""


class BanError(TornadoWebrtcError):
    """What is to be banned, or how long, makes no sense."""


class AdminError(TornadoWebrtcError):
    """A running server did not do what a command asked for.

    Attributes:
        status: The HTTP status of its answer; 0 if there was none.
        code: Machine-readable, kebab-case.
    """

    def __init__(self, reason: str, *, status: int = 0, code: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(reason)


class UnavailableError(AdminError):
    """No server listens on the admin socket."""
