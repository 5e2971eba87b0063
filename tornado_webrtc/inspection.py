"""What can be said of a configuration without serving it: certificate, machine, clients' view."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from tornado_webrtc.certificate import CertificateStore, machine_names
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError, ListenError, Problem, TornadoWebrtcError
from tornado_webrtc.hooks import Hooks, IceRequest, IceServer
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.process import loop_factory
from tornado_webrtc.server import read_secrets
from tornado_webrtc.state import StateDir
from tornado_webrtc.web.turn import ice_servers, rtc_configuration

__all__ = ["check_surroundings", "doubts", "doubts_of_uris", "offered_servers", "rtc_configuration"]


def check_surroundings(config: Config, plugins: PluginManager) -> None:
    """Try what serving would need: certificate, secrets, addresses, event loop, plugins' files.

    Raises:
        ConfigError: With everything that does not work.
    """
    where = config.path or "environment"
    tests: list[tuple[str, Callable[[], object]]] = [
        ("general.cert", lambda: _load_certificate(config)),
        ("general.bind", lambda: _resolve(config.general.bind)),
        ("general.event_loop", lambda: loop_factory(config.general.event_loop)),
        ("turn.secret_file", lambda: _read_secrets(config)),
    ]
    problems = []
    for key, test in tests:
        try:
            test()
        except (TornadoWebrtcError, OSError, ImportError) as error:
            problems.append(Problem(f"{where}, {key}", str(error)))
    for plugin, sentences in plugins.hooks.collect("check"):
        problems += [Problem(f"{where}, plugin {plugin}", sentence) for sentence in sentences]
    if problems:
        raise ConfigError(problems)


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
                f"{config.path or 'defaults'}, turn.api_access",
                "is auth, but no plugin authenticates anybody: nobody gets a TURN credential",
                "Enable a plugin such as auth_token.",
            )
        )
    public = _public_addresses(config)
    if public and config.turn.api_access == "open":
        found.append(
            Problem(
                f"{config.path or 'defaults'}, turn.api_access",
                f"is open, and this server can be reached at {', '.join(public)}: "
                "anyone may ask for TURN credentials",
                "Set it to peer, or to auth with a plugin that authenticates.",
            )
        )
    if public and config.general.cert is None and not config.general.trusted_proxies:
        found.append(
            Problem(
                f"{config.path or 'defaults'}, general.cert",
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


def doubts_of_uris(uris: Iterable[str]) -> list[Problem]:
    """What a phone outside could not do with these URIs."""
    found = {}
    for uri in uris:
        host = uri_host(uri)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        if address.is_loopback:
            found[host] = "leads each client to itself; only tests on this machine can use it"
        elif not address.is_global:
            found[host] = "is a private address; only clients in the same network can use it"
    hint = "Set [turn] public_ip to the address or name that clients outside reach."
    return [Problem(f"turn server {host}", reason, hint) for host, reason in found.items()]


def uri_host(uri: str) -> str:
    """The host of a ``turn:`` or ``stun:`` URI (RFC 7064, RFC 7065), without brackets."""
    place = uri.partition(":")[2].partition("?")[0]
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0]


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
