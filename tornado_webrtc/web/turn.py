"""`/api/turn`: time-limited TURN credentials and the servers they are for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tornado_webrtc.bucket import client_prefix
from tornado_webrtc.credential import Credential, check_name, mint
from tornado_webrtc.errors import PluginError
from tornado_webrtc.hooks import AuthRequest, Hooks, IceRequest, IceServer, Identity, Refused
from tornado_webrtc.web.client import bearer_token
from tornado_webrtc.web.handler import ApiError, ApiHandler

__all__ = ["TurnHandler", "configured_servers", "ice_servers", "rtc_configuration"]


def configured_servers(uris: Sequence[str]) -> list[IceServer]:
    """The ICE servers that `[turn] uris` names; `stun:` ones need no credential."""
    turn = tuple(uri for uri in uris if uri.startswith(("turn:", "turns:")))
    stun = tuple(uri for uri in uris if uri not in turn)
    servers = []
    if turn:
        servers.append(IceServer(urls=turn, needs_credential=True))
    if stun:
        servers.append(IceServer(urls=stun, needs_credential=False))
    return servers


async def ice_servers(hooks: Hooks, uris: Sequence[str], request: IceRequest) -> list[IceServer]:
    """The ICE servers that a client is told: those of plugins, then those in `[turn] uris`."""
    found = await hooks.lookup("ice_servers", request=request)
    return [*(found or ()), *configured_servers(uris)]


class TurnHandler(ApiHandler):
    """Mints a credential for a name, with the servers where it is valid.

    The default form is that of draft-uberti-behave-turn-rest-00, which the
    legacy clients read; ``format=ice`` is what a browser's RTCPeerConnection takes.
    """

    async def get(self) -> None:
        """Answer ``?service=turn&username=NAME``."""
        self._limit_rate()
        service = self.get_argument("service", "")
        name = self.get_argument("username", "", strip=False)
        if service != "turn":
            raise ApiError(400, "bad-service", "The parameter `service` must be `turn`.")
        if problem := check_name(name):
            raise ApiError(400, "bad-username", f"The parameter `username` is wrong: {problem}.")
        form = self.get_argument("format", "uberti")
        if form not in {"uberti", "ice"}:
            raise ApiError(400, "bad-format", "The parameter `format` must be `uberti` or `ice`.")
        ends_at = await self._check_access(name)
        servers = await self._servers(name)
        credential = self._mint(name, ends_at)
        self.finish(
            rtc_configuration(credential, servers)
            if form == "ice"
            else _uberti(credential, servers)
        )

    async def post(self) -> None:
        """Answer as to GET; the parameters may also stand in a form."""
        await self.get()

    def _limit_rate(self) -> None:
        buckets = self.server.api_buckets
        wait_s = buckets.take(client_prefix(self.remote_ip), self.server.clock.now())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            reason = "Too many requests; try again later."
            raise ApiError(429, "too-many-requests", reason, headers)

    def _refuse_banned(self, *, peer: str | None = None, user: str | None) -> None:
        ban = self.server.bans.find(ip=self.remote_ip, peer=peer, user=user)
        if ban is not None:
            raise ApiError(403, "banned", f"{ban.told[0].upper()}{ban.told[1:]}.")

    async def _check_access(self, name: str) -> float:
        """Find out whether somebody may have a credential.

        Returns:
            Unix seconds at which that is over; infinite if it is not.

        Raises:
            ApiError: He may not.
        """
        self._refuse_banned(peer=name, user=name)
        access = self.server.config.turn.api_access
        if access == "peer":
            return self._signed_in_until(name)
        if access == "auth":
            identity = await self._authenticate(name)
            self._refuse_banned(user=identity.subject)
            if not identity.allows(name):
                raise ApiError(403, "name-not-allowed", "Your token is not for this name.")
            return identity.ends_at
        return math.inf

    def _signed_in_until(self, name: str) -> float:
        """When the peer of a name, from the client's address, is no longer let in."""
        hub = self.server.hub
        found = (
            hub.connection_of(peer)
            for peer in hub.peers()
            if peer.id == name and peer.remote_ip == self.remote_ip
        )
        ends = [connection.expires_at for connection in found if connection is not None]
        if not ends:
            reason = "No peer of that id is signed in from your address."
            raise ApiError(403, "not-a-peer", reason)
        return max(ends)

    def _mint(self, name: str, ends_at: float) -> Credential:
        """Make a credential that does not outlive what it is given for.

        Raises:
            ApiError: Less than a second is left of that.
        """
        wall = self.server.clock.wall()
        ttl_s = int(min(self.server.config.turn.credential_ttl_s, ends_at - wall))
        if ttl_s < 1:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise ApiError(401, "not-authenticated", "Your sign-in has expired.", headers)
        return mint(self.server.secrets[0], name, ttl_s, wall)

    async def _authenticate(self, name: str) -> Identity:
        token = bearer_token(self.request)
        request = AuthRequest(
            kind="rest",
            token=token,
            remote_ip=self.remote_ip,
            origin=self.request.headers.get("Origin"),
            path=self.request.path,
            query={each: self.get_query_argument(each) for each in self.request.query_arguments},
            peer_id=name,
            headers=dict(self.request.headers.get_all()),
        )
        try:
            answer = await self.server.hooks.lookup("authenticate", strict=True, request=request)
        except PluginError as error:
            reason = "Authentication does not work at the moment."
            raise ApiError(503, "plugin-failed", reason) from error
        if isinstance(answer, Identity):
            return answer
        # "If the request lacks any authentication information […], the resource server SHOULD
        # NOT include an error code" (RFC 6750 section 3.1).
        challenge = "Bearer" if token is None else 'Bearer error="invalid_token"'
        reason = answer.reason if isinstance(answer, Refused) else "A valid token is needed."
        raise ApiError(401, "not-authenticated", reason, {"WWW-Authenticate": challenge})

    async def _servers(self, name: str) -> list[IceServer]:
        request = IceRequest(username=name, remote_ip=self.remote_ip, host=self.request.host_name)
        return await ice_servers(self.server.hooks, self.server.config.turn.uris, request)


def _uberti(credential: Credential, servers: Sequence[IceServer]) -> dict[str, Any]:
    """The legacy form; its clients use nothing but the first URI, so `stun:` is left out."""
    return {
        "username": credential.username,
        "password": credential.password,
        "ttl": credential.ttl_s,
        "uris": [url for server in servers if server.needs_credential for url in server.urls],
    }


def rtc_configuration(credential: Credential, servers: Sequence[IceServer]) -> dict[str, Any]:
    """The form of RTCConfiguration, as browsers take it."""
    keys = {"username": credential.username, "credential": credential.password}
    return {
        "iceServers": [
            {"urls": list(server.urls), **(keys if server.needs_credential else {})}
            for server in servers
        ],
        "ttl": credential.ttl_s,
    }
