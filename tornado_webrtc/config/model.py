"""The configuration as frozen, typed values; `conf/server.configspec` has the same defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tornado_webrtc.errors import Problem
from tornado_webrtc.paths import www_dir

from .address import IPNetwork, PortRange, PublicAddress
from .location import resolve

__all__ = ["Admin", "Config", "General", "Plugins", "Signaling", "Turn"]

EVERYWHERE = ("0.0.0.0", "::")
DYNAMIC_PORTS = PortRange(49152, 65535)  # RFC 6335 section 6


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    """The section ``[general]``: addresses, files, the process."""

    domain: str = ""
    cert: Path | None = None
    key: Path | None = None
    bind: tuple[str, ...] = EVERYWHERE
    port: int = 8086
    redirect_port: int | None = None
    challenge_dir: Path | None = None
    html_root: Path = field(default_factory=www_dir)
    event_loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    trusted_proxies: tuple[IPNetwork, ...] = ()
    state_dir: Path = Path("state")
    node_id: str = ""
    drain_s: float = 30.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signaling:
    """The section ``[signaling]``: WebSocket clients and their limits (0 = no limit)."""

    heartbeat_s: float = 5.0
    ping_s: float = 20.0
    hello_timeout_s: float = 10.0
    max_message_bytes: int = 65536
    send_queue_bytes: int = 1048576
    allowed_origins: tuple[str, ...] = ("*",)
    max_connections: int = 0
    max_connections_per_ip: int = 0
    messages_per_s: float = 100.0
    legacy_list_max: int = 500
    on_duplicate_id: Literal["probe", "reject"] = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The section ``[turn]``: the TURN server and its credentials (0 = no limit)."""

    public_ip: tuple[PublicAddress, ...] = ()
    bind: tuple[str, ...] = EVERYWHERE
    port: int = 19302
    port_tcp: int | None = 19303
    port_tls: int | None = None
    realm: str = "flutter-webrtc"
    secret: tuple[str, ...] = field(default=(), repr=False)
    secret_file: Path | None = None
    users_file: Path | None = None
    credential_ttl_s: int = 86400
    api_access: Literal["open", "peer", "auth"] = "open"
    api_per_minute: int = 60
    uris: tuple[str, ...] = ()
    relay_ports: PortRange = DYNAMIC_PORTS
    allow_peers: tuple[IPNetwork, ...] = ()
    deny_peers: tuple[IPNetwork, ...] = ()
    max_allocations: int = 0
    max_allocations_per_user: int = 0
    max_allocations_per_ip: int = 0
    max_permissions: int = 256
    challenges_per_s: float = 50.0
    allocation_bytes_per_s: int = 0
    user_bytes_per_s: int = 0
    server_bytes_per_s: int = 0
    user_bytes_per_day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """The section ``[plugins]``: which ones run, and where else to look for them."""

    path: tuple[Path, ...] = ()
    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The section ``[admin]``: the operator's socket, seen from `General.state_dir`."""

    socket: Path | None = Path("admin.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration that was checked whole.

    Attributes:
        path: The file it was read from; None if there was none.
        general: The section ``[general]``; the next four are sections likewise.
        signaling: WebSocket clients.
        turn: The TURN server and its credentials.
        plugins: Which plugins run.
        admin: The operator's socket.
        plugin_settings: The settings of each plugin that was asked for, by its name.
        places: Where each key stands that was written, by its ``section.key``.
        warnings: What is allowed but doubtful, in file order.
    """

    path: Path | None = None
    general: General = field(default_factory=General)
    signaling: Signaling = field(default_factory=Signaling)
    turn: Turn = field(default_factory=Turn)
    plugins: Plugins = field(default_factory=Plugins)
    admin: Admin = field(default_factory=Admin)
    plugin_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    places: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()

    def where(self, key: str) -> str:
        """Say where a ``section.key`` was written, or would have to be."""
        return self.places.get(key, f"{self.path or 'configuration'}, {key}")

    @property
    def admin_socket(self) -> Path | None:
        """Where the operator's socket is; None if there is none."""
        if self.admin.socket is None:
            return None
        return self.general.state_dir / self.admin.socket

    def resolve(self, text: str) -> Path:
        """Find a path that was written in the file.

        Args:
            text: An absolute path, or one relative to the file's folder or, if nothing is
                there, to the working directory.

        Returns:
            The path; a relative one that exists nowhere is taken from the file's folder.
        """
        return resolve(text, self.path)
