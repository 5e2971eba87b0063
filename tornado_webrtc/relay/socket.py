"""Relay and listening sockets: opening them, and telling them apart.

Both are unconnected UDP sockets bound to one address of this machine, never
shared with another socket (no SO_REUSEADDR, no SO_REUSEPORT).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from tornado_webrtc.errors import ListenError
from tornado_webrtc.stun.address import TransportAddress

__all__ = [
    "LISTENER_BUFFER_BYTES",
    "RelaySocket",
    "SocketAddress",
    "open_listeners",
    "open_relay",
    "set_dont_fragment",
    "socket_address",
    "transport_address",
]

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""An address exactly as recvfrom() returns it: so that it can be a key as it comes."""

# ip(7) and ipv6(7); the socket module lacks them.
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT, _IP_PMTUDISC_DO = 0, 2
_RECVERR = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}

_RANDOM_TRIES = 64
_SWEEP_TRIES = 1024
_FREE_PORT_TRIES = 20
_PORT_MAX = 65535
LISTENER_BUFFER_BYTES = 4 << 20
"""What is asked for; the kernel gives no more than net.core.rmem_max."""

_RELAY_BUFFER_BYTES = 256 << 10
_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES})


def socket_address(address: TransportAddress) -> SocketAddress:
    """Return the address in the form that recvfrom() returns.

    Raises:
        ValueError: If it is no IP address and port.
    """
    host, port = address
    try:
        if ":" not in host:
            socket.inet_pton(socket.AF_INET, host)
            return (host, port)
        if "%" in host:
            flags = socket.AI_NUMERICHOST
            found = socket.getaddrinfo(host, port, socket.AF_INET6, flags=flags)
            return cast("tuple[str, int, int, int]", found[0][4])
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError as error:
        raise ValueError(f"{host!r} is no IP address") from error
    return (socket.inet_ntop(socket.AF_INET6, packed), port, 0, 0)


def transport_address(source: SocketAddress) -> TransportAddress:
    """Return what recvfrom() returned as an address; the scope of a link-local one is kept."""
    if len(source) == 4 and source[3]:  # noqa: PLR2004 - IPv6: host, port, flow, scope
        return TransportAddress(f"{source[0]}%{source[3]}", source[1])
    return TransportAddress(source[0], source[1])


class RelaySocket:
    """A bound UDP socket that an allocation can have.

    Attributes:
        sock: Non-blocking.
        local: The address it is bound to.
        advertised: The relayed transport address that clients and peers are told.
    """

    __slots__ = ("advertised", "local", "sock")

    def __init__(self, sock: socket.socket, advertised: str) -> None:
        self.sock = sock
        self.local = transport_address(sock.getsockname())
        self.advertised = TransportAddress(advertised, self.local.port)

    @property
    def family(self) -> int:
        """1 for IPv4, 2 for IPv6 (RFC 8489 section 14.1)."""
        return self.local.family

    def close(self) -> None:
        """Close a socket that no table has."""
        self.sock.close()


def open_relay(
    bind: str,
    ports: range,
    *,
    even: bool = False,
    reserve_next: bool = False,
    random: Callable[[int], int],
    advertised: str,
) -> list[RelaySocket] | None:
    """Open a relay on a random free port (RFC 8656 section 7.2).

    Args:
        bind: One of the machine's IP addresses.
        ports: The ports it may have, step 1.
        even: The port has to be even (EVEN-PORT, section 18.6).
        reserve_next: Open the next higher port too (its R bit; the port is even then).
        random: Returns a number from 0 up to, not including, its argument.
        advertised: The IP address that peers are told to send to.

    Returns:
        The relay, then the reserved socket if one was asked for; None if
        there is no free port, or none was found in a bounded number of tries.

    Raises:
        ListenError: If the address cannot be used, or the process may open no more files.
    """
    choice = ports[:-1] if reserve_next else ports
    if even or reserve_next:
        choice = choice[choice.start % 2 :: 2]
    for port in _candidates(choice, random):
        opened = _open_ports(bind, [port, port + 1] if reserve_next else [port])
        if opened is not None:
            return [RelaySocket(sock, advertised) for sock in opened]
    return None


def _candidates(ports: range, random: Callable[[int], int]) -> Iterator[int]:
    """Yield ports at random, then a row of neighbours: in a full range chance finds nothing."""
    if not ports:
        return
    for _ in range(_RANDOM_TRIES):
        yield ports[random(len(ports))]
    start = random(len(ports))
    for step in range(min(_SWEEP_TRIES, len(ports))):
        yield ports[(start + step) % len(ports)]


def _open_ports(bind: str, ports: Sequence[int]) -> list[socket.socket] | None:
    opened: list[socket.socket] = []
    for port in ports:
        try:
            opened.append(_bind(bind, port, _prepare_relay))
        except OSError as error:
            _close_all(opened)
            if error.errno in _TAKEN:
                return None
            raise ListenError(_explain(error, bind, port)) from error
    return opened


def open_listeners(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Open a socket for clients on one port of each address.

    Args:
        addresses: IP addresses of this machine.
        port: The port; 0 means one free port, the same on all addresses.

    Raises:
        ListenError: If one cannot be used; then none stays open.
    """
    if not 0 <= port <= _PORT_MAX:
        raise ListenError(f"port {port} does not exist; use 0 (any free port) to {_PORT_MAX}")
    tries = 1 if port else _FREE_PORT_TRIES
    while True:
        tries -= 1
        opened: list[socket.socket] = []
        for address in addresses:
            wanted = opened[0].getsockname()[1] if opened else port
            try:
                opened.append(_bind(address, wanted, _prepare_listener))
            except OSError as error:
                _close_all(opened)
                if tries and error.errno == errno.EADDRINUSE:
                    break
                raise ListenError(_explain(error, address, wanted)) from error
        else:
            return opened


def set_dont_fragment(sock: socket.socket, wanted: bool) -> None:
    """Send whole or not at all, or in fragments if need be (RFC 8656 section 18.7)."""
    if sock.family == socket.AF_INET:
        value = _IP_PMTUDISC_DO if wanted else _IP_PMTUDISC_DONT
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, value)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, wanted)


def _prepare_relay(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RELAY_BUFFER_BYTES)
    sock.setsockopt(*_RECVERR[sock.family], 1)
    set_dont_fragment(sock, False)


def _prepare_listener(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LISTENER_BUFFER_BYTES)


def _bind(host: str, port: int, prepare: Callable[[socket.socket], None]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        prepare(sock)
        sock.bind(_resolve(host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int) -> SocketAddress:
    try:
        return socket_address(TransportAddress(host, port))
    except ValueError as error:
        raise OSError(errno.EADDRNOTAVAIL, str(error)) from error


def _close_all(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _explain(error: OSError, host: str, port: int) -> str:
    where = f"cannot use UDP port {port} of {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: it is in use; stop the program that uses it, or choose another port"
    if error.errno == errno.EACCES:
        return (
            f"{where}: this user may not; choose a port above 1023, "
            "or grant the capability CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine has no such address; use one of its own"
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"{where}: too many open files; raise the limit (LimitNOFILE, `ulimit -n`)"
    return f"{where}: {os.strerror(error.errno or 0)}"
