"""A plugin of an operator's own: who may use the TURN server, and what it did for whom.

A studio's encoder has a fixed name and password; credentials of ``/api/turn`` go
on working. Allocations are made for the networks that are listed, and only over
UDP if so wanted. The log says what each relayed. Put this file into a folder that
is named in ``[plugins] path``, and its name into ``[plugins] required``: without
its rules the server shall not start.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import (
    AllocationRequest,
    CredentialRequest,
    Denied,
    PluginContext,
    TurnAllocation,
    TurnCredential,
    TurnTraffic,
)

SETTINGS = """
# The name that the encoder uses.
user = string(default="encoder")
# Its password; empty: there is no encoder.
password = string(default="")
# Networks that may allocate; empty is everybody.
networks = network_list(default=list())
# Whether clients over TCP may allocate.
tcp = boolean(default=True)
"""


class Plugin:
    """Knows the encoder, and objects to allocations from elsewhere."""

    def __init__(self, context: PluginContext) -> None:
        self._user: str = context.settings["user"]
        self._password: str = context.settings["password"]
        self._tcp: bool = context.settings["tcp"]
        self._networks: tuple[IPv4Network | IPv6Network, ...] = context.settings["networks"]
        self._log = context.log

    @hookimpl
    def turn_credential(self, request: CredentialRequest) -> TurnCredential | None:
        """Say the encoder's password; None leaves all other names to the server."""
        if not self._password or request.username != self._user:
            return None
        return TurnCredential(password=self._password, user=self._user)

    @hookimpl
    def permit_allocation(self, request: AllocationRequest) -> Denied | None:
        """Object to a transport and to networks; the client gets the error 403, we the reason."""
        if request.transport == "tcp" and not self._tcp:
            return self._denied(request, "TCP is not wanted")
        client = ip_address(request.remote_ip)
        if self._networks and not any(client in network for network in self._networks):
            return self._denied(request, "not from a network of ours")
        return None

    @hookimpl
    def allocation_created(self, allocation: TurnAllocation) -> None:
        """Log who has a relayed address now; %r, since clients choose their names."""
        self._log.info("%r relays at %s", allocation.user, allocation.relayed)

    @hookimpl
    def allocation_deleted(
        self, allocation: TurnAllocation, traffic: TurnTraffic, reason: str
    ) -> None:
        """Log what was relayed, both ways together."""
        relayed = traffic.bytes_to_peer + traffic.bytes_from_peer
        self._log.info("%r is done (%s): %d bytes", allocation.user, reason, relayed)

    def _denied(self, request: AllocationRequest, reason: str) -> Denied:
        self._log.info("%r may not allocate: %s", request.username, reason)
        return Denied(reason)
