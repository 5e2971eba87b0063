"""Listening sockets: from addresses and a port in the configuration to sockets.

Every failure becomes a `ListenError` that says which address and port, why,
and what to do.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tornado_webrtc.errors import ListenError
from tornado_webrtc.listener.stream import SocketAddress

__all__ = ["bind_all"]

log = logging.getLogger("tornado_webrtc.listener")

_BACKLOG = 1024
_FREE_PORT_ATTEMPTS = 20
_PORT_MAX = 65535
_WILDCARDS = ("0.0.0.0", "::")


class _Target(NamedTuple):
    family: socket.AddressFamily
    host: str
    scope: tuple[int, ...]  # IPv6: flow information and scope id

    def at(self, port: int) -> tuple[str | int, ...]:
        return (self.host, port, *self.scope)


def bind_all(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Listen on one port of each address.

    Args:
        addresses: IP addresses or host names. An address whose family this
            machine lacks is skipped, so is one that 0.0.0.0 or :: covers.
        port: The port; 0 means one free port, the same on all addresses.

    Returns:
        Non-blocking listening sockets, at least one.

    Raises:
        ListenError: If an address cannot be used, or none is left.
    """
    if not 0 <= port <= _PORT_MAX:
        raise ListenError(f"port {port} does not exist; use 0 (any free port) to {_PORT_MAX}")
    targets = _resolve_all(addresses)
    attempts = 1 if port else _FREE_PORT_ATTEMPTS
    while True:
        attempts -= 1
        try:
            sockets = _bind_targets(targets, port)
        except _InUse as error:
            if not attempts:
                raise ListenError(str(error)) from error
            continue
        if not sockets:
            raise ListenError(
                f"cannot listen on {', '.join(addresses) or 'no address'}: "
                "this machine has none of these; use 0.0.0.0 (IPv4) or :: (IPv6)"
            )
        return sockets


class _InUse(Exception):  # noqa: N818 - a port chosen by chance may be free at the next attempt
    """The port is taken on one of the addresses."""


def _resolve_all(addresses: Iterable[str]) -> list[_Target]:
    targets = dict.fromkeys(target for address in addresses for target in _resolve(address))
    covered = {target.family for target in targets if target.host in _WILDCARDS}
    return [
        target for target in targets if target.host in _WILDCARDS or target.family not in covered
    ]


def _resolve(address: str) -> list[_Target]:
    try:
        found = socket.getaddrinfo(
            address or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, ValueError) as error:
        raise ListenError(
            f"cannot listen on {address!r}: it is neither an IP address nor a name "
            "that can be resolved; use 0.0.0.0 and :: for all addresses of this machine"
        ) from error
    return [
        _Target(family, str(sockaddr[0]), tuple(int(part) for part in sockaddr[2:]))
        for family, _, _, _, sockaddr in found
    ]


def _bind_targets(targets: Iterable[_Target], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for target in targets:
            try:
                sockets.append(_bind(target, port))
            except OSError as error:
                if not _lacks_family(error, target):
                    raise _explain(error, target, port) from error
                log.info("not listening on %s: this machine lacks IPv6 or IPv4", target.host)
            else:
                port = sockets[0].getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(target: _Target, port: int) -> socket.socket:
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if target.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(target.at(port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _lacks_family(error: OSError, target: _Target) -> bool:
    if error.errno == errno.EAFNOSUPPORT:
        return True
    # IPv6 that was switched off by sysctl: sockets can be made, addresses are missing.
    return error.errno == errno.EADDRNOTAVAIL and target.host in {"::", "::1"}


def _explain(error: OSError, target: _Target, port: int) -> Exception:
    where = f"cannot listen on {SocketAddress(target.host, port)}"
    if error.errno == errno.EADDRINUSE:
        return _InUse(
            f"{where}: port {port} is in use; stop the program that uses it, or choose another port"
        )
    if error.errno == errno.EACCES:
        return ListenError(
            f"{where}: this user may not use port {port}; choose one above 1023, "
            "or grant the capability CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(
            f"{where}: this machine has no address {target.host}; "
            "use one of its own, or 0.0.0.0 and :: for all of them"
        )
    return ListenError(f"{where}: {os.strerror(error.errno or 0)}")
