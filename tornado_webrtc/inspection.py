"""What `tornado-webrtc check` finds beyond the file: the certificate, this machine."""

from __future__ import annotations

import ipaddress

from tornado_webrtc.certificate import CertificateStore, machine_names
from tornado_webrtc.config import Config
from tornado_webrtc.errors import CertificateError, ConfigError, Problem

__all__ = ["check_certificate", "doubts"]


def check_certificate(config: Config) -> None:
    """Load the certificate and its key, as serving would.

    Raises:
        ConfigError: If that does not work.
    """
    general = config.general
    if general.cert is None or general.key is None:
        return
    try:
        CertificateStore(general.cert, general.key)
    except CertificateError as error:
        where = f"{config.path or 'environment'}, general.cert"
        raise ConfigError([Problem(where, str(error))]) from error


def doubts(config: Config) -> list[Problem]:
    """What is allowed, but probably not meant."""
    found = []
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
