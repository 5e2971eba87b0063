"""What can be said of a configuration without serving it: certificate, machine, clients' view."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from tornado_webrtc.certificate import CertificateStore
from tornado_webrtc.config import Config
from tornado_webrtc.doubt import doubts
from tornado_webrtc.errors import ConfigError, ListenError, Problem, TornadoWebrtcError
from tornado_webrtc.hooks import Hooks, IceRequest, IceServer
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.process import loop_factory
from tornado_webrtc.server import read_secrets
from tornado_webrtc.state import StateDir
from tornado_webrtc.web.turn import ice_servers, rtc_configuration

__all__ = [
    "check_surroundings",
    "doubts",
    "offered_servers",
    "rtc_configuration",
    "unusable_files",
    "why_no_server",
]

_Test = tuple[str, Callable[[], object]]


async def check_surroundings(config: Config, plugins: PluginManager) -> tuple[Problem, ...]:
    """Try what serving would need: certificate, secrets, addresses, event loop, plugins' files.

    Returns:
        What plugins find doubtful.

    Raises:
        ConfigError: With everything that does not work, plugins that fail included.
    """
    tests: list[_Test] = [
        ("general.bind", lambda: _resolve(config.general.bind)),
        ("general.event_loop", lambda: loop_factory(config.general.event_loop)),
    ]
    examination = await plugins.check()
    problems = [*examination.problems, *unusable_files(config), *_failed(config, tests)]
    if problems:
        raise ConfigError(problems)
    return examination.doubts


def unusable_files(config: Config) -> list[Problem]:
    """Try the files and the folder that a server cannot start without."""
    tests: list[_Test] = [
        ("general.cert", lambda: _load_certificate(config)),
        ("general.state_dir", StateDir(config.general.state_dir).check),
        ("turn.secret_file", lambda: _read_secrets(config)),
    ]
    return _failed(config, tests)


def _failed(config: Config, tests: Sequence[_Test]) -> list[Problem]:
    problems = []
    for key, test in tests:
        try:
            test()
        except (TornadoWebrtcError, OSError, ImportError) as error:
            problems.append(Problem(config.where(key), str(error)))
    return problems


def _load_certificate(config: Config) -> None:
    general = config.general
    if general.cert is not None and general.key is not None:
        CertificateStore(general.cert, general.key)


def _read_secrets(config: Config) -> None:
    if config.turn.secret_file is not None:  # otherwise one would be made, and check makes nothing
        read_secrets(config.turn, StateDir(config.general.state_dir))


def _resolve(addresses: Sequence[str]) -> None:
    for address in addresses:
        try:
            socket.getaddrinfo(address, None, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise ListenError(f"{address}: {error.strerror}") from error


async def offered_servers(config: Config, plugins: PluginManager, username: str) -> list[IceServer]:
    """The ICE servers that a client would be told.

    Args:
        config: The configuration.
        plugins: Loaded, not started.
        username: Whom the client asks for.
    """
    host = config.general.domain or "localhost"
    request = IceRequest(username=username, remote_ip="127.0.0.1", host=host)
    return await ice_servers(plugins.hooks, config.turn.uris, request)


def why_no_server(config: Config, hooks: Hooks) -> str:
    """Say why clients are told of no ICE server at all; empty if only the plugins know."""
    turn = config.turn
    if not hooks.implemented("ice_servers"):
        return "no plugin that runs has one, and turn.uris names none"
    if not (turn.port or turn.port_tcp):
        return "port 0 is known only once the server runs"
    return ""
