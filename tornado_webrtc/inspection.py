"""What can be said of a configuration without serving it: certificate, machine, clients' view."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from tornado_webrtc.certificate import CertificateStore, machine_names
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError, ListenError, Problem, TornadoWebrtcError
from tornado_webrtc.hooks import Doubt, Hooks, IceRequest, IceServer
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.process import loop_factory
from tornado_webrtc.server import read_secrets
from tornado_webrtc.state import StateDir
from tornado_webrtc.web.turn import ice_servers, rtc_configuration

__all__ = ["check_surroundings", "doubts", "offered_servers", "rtc_configuration", "why_no_server"]


async def check_surroundings(config: Config, plugins: PluginManager) -> list[Problem]:
    """Try what serving would need: certificate, secrets, addresses, event loop, plugins' files.

    Returns:
        What plugins find doubtful.

    Raises:
        ConfigError: With everything that does not work.
    """
    tests: list[tuple[str, Callable[[], object]]] = [
        ("general.cert", lambda: _load_certificate(config)),
        ("general.bind", lambda: _resolve(config.general.bind)),
        ("general.event_loop", lambda: loop_factory(config.general.event_loop)),
        ("turn.secret_file", lambda: _read_secrets(config)),
    ]
    problems: list[Problem] = []
    doubtful: list[Problem] = []
    for key, test in tests:
        try:
            test()
        except (TornadoWebrtcError, OSError, ImportError) as error:
            problems.append(Problem(config.where(key), str(error)))
    for plugin, sentence in await plugins.hooks.examine():
        found = doubtful if isinstance(sentence, Doubt) else problems
        found.append(_of_plugin(config, plugin, sentence))
    if problems:
        raise ConfigError(problems)
    return doubtful


def _of_plugin(config: Config, plugin: str, sentence: str) -> Problem:
    """A plugin's sentence, at the key of its section with which it begins."""
    key, colon, rest = sentence.partition(": ")
    if colon and key.startswith(f"{plugin}."):
        return Problem(config.where(key), rest)
    return Problem(f"{config.path or 'configuration'}, plugin {plugin}", sentence)


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


def doubts(config: Config, hooks: Hooks) -> list[Problem]:
    """What is allowed, but probably not meant."""
    found = []
    if config.turn.api_access == "auth" and not hooks.implemented("authenticate"):
        found.append(
            Problem(
                config.where("turn.api_access"),
                "is auth, but no plugin authenticates anybody: nobody gets a TURN credential",
                "Enable a plugin such as auth_token.",
            )
        )
    public = _public_addresses(config)
    if public and config.turn.api_access == "open":
        found.append(
            Problem(
                config.where("turn.api_access"),
                f"is open, and this server can be reached at {', '.join(public)}: "
                "anyone may ask for TURN credentials",
                "Set it to peer, or to auth with a plugin that authenticates.",
            )
        )
    if public and config.general.cert is None and not config.general.trusted_proxies:
        found.append(
            Problem(
                config.where("general.cert"),
                f"is empty, and this server can be reached at {', '.join(public)}: "
                "browsers give a page camera and microphone only over HTTPS",
                "Set cert and key, or name the TLS proxy in trusted_proxies.",
            )
        )
    return found


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


def _public_addresses(config: Config) -> list[str]:
    """The machine's public addresses that the server listens on."""
    bound = config.general.bind
    anywhere = {4: "0.0.0.0" in bound, 6: "::" in bound}
    found = []
    for name in machine_names():
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            continue
        if address.is_global and (anywhere[address.version] or name in bound):
            found.append(name)
    return found
