"""`/api/turn`: the credential, and which ICE servers clients are told."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from tornado_webrtc.certificate import machine_names
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Config, IPAddress, limited_reach
from tornado_webrtc.credential import mint
from tornado_webrtc.doctor.case import Case, ok, problem, short, skipped, warning
from tornado_webrtc.doctor.target import TargetError, parse_ice_uri
from tornado_webrtc.doctor.web import NO_ANSWER, fetch
from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.finding import Finding
from tornado_webrtc.hooks import IceServer
from tornado_webrtc.inspection import offered_servers, rtc_configuration
from tornado_webrtc.server import read_secrets
from tornado_webrtc.state import StateDir

__all__ = ["addresses", "credentials"]

MAX_URIS = 16
"""Of a server's ICE servers, so many are tried."""

SOME = 3
OK, UNAUTHENTICATED, FORBIDDEN, TOO_MANY = 200, 401, 403, 429


async def credentials(case: Case) -> AsyncIterator[Finding]:
    """Ask for a credential; leaves it, and the ICE servers."""
    if case.uris:
        return
    if not case.reachable:
        yield skipped("credentials", "the server cannot be reached")
        return
    query = urlencode({"service": "turn", "username": case.peer_id, "format": "ice"})
    try:
        response = await fetch(case, f"/api/turn?{query}", case.headers)
    except NO_ANSWER as error:
        yield problem(
            "credentials", f"/api/turn does not answer: {short(error)}", "see the server's log"
        )
        return
    answer = _object(response.body)
    if response.code == OK and isinstance(answer.get("iceServers"), list):
        yield _took(case, answer)
    elif response.code in {UNAUTHENTICATED, FORBIDDEN, TOO_MANY}:
        yield await _refused(case, response.code, answer)
    else:
        text = f"/api/turn answers with status {response.code}: {_reason(answer)}"
        yield problem("credentials", text, "see the server's log")


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return short(error.get("reason", "")) if isinstance(error, dict) else "no words"


def _took(case: Case, answer: dict[str, Any]) -> Finding:
    """Keep what `/api/turn?format=ice` answered."""
    servers = [each for each in answer["iceServers"] if isinstance(each, dict)]
    odd: list[Any] = [each for each in answer["iceServers"] if not isinstance(each, dict)]
    urls = [url for server in servers for url in _urls(server)]
    odd += [url for url in urls if not isinstance(url, str)]
    told = list(dict.fromkeys(url for url in urls if isinstance(url, str)))
    for url in told[:MAX_URIS]:
        try:
            case.uris.append(parse_ice_uri(url))
        except TargetError:
            odd.append(url)
    _take_credential(case, servers)
    if odd:
        hint = "see [turn] uris, and plugins that name ICE servers"
        text = f"clients are told what is no ICE server: {_some(odd)}{_left_out(told)}"
        return warning("credentials", text, hint)
    if left_out := _left_out(told):
        hint = "name fewer: clients try all of them for each call"
        return warning("credentials", f"clients are told many ICE servers{left_out}", hint)
    if not any(uri.scheme.startswith("turn") for uri in case.uris):
        text = "clients are told of no TURN server: behind many NATs and firewalls no call works"
        hint = "enable the plugin turn, or name another server in [turn] uris"
        return warning("credentials", text, hint)
    return ok("credentials", f"/api/turn gives one, good for {short(answer.get('ttl'))} s")


def _urls(server: dict[str, Any]) -> list[Any]:
    """A string or a list of them (W3C WebRTC section 4.2.4)."""
    urls = server.get("urls")
    if isinstance(urls, list):
        return urls
    return [urls] if urls else []


def _take_credential(case: Case, servers: list[dict[str, Any]]) -> None:
    if case.username:
        return
    for server in servers:
        username, password = server.get("username"), server.get("credential")
        if isinstance(username, str) and isinstance(password, str):
            case.username, case.password = username, password
            return


def _left_out(told: list[str]) -> str:
    count = len(told) - MAX_URIS
    return f"; {count} of {len(told)} are not tried" if count > 0 else ""


def _some(odd: list[Any]) -> str:
    """The first few of what cannot be understood."""
    more = f" and {len(odd) - SOME} more" if len(odd) > SOME else ""
    return ", ".join(map(short, odd[:SOME])) + more


async def _refused(case: Case, status: int, answer: dict[str, Any]) -> Finding:
    """Make a credential here, if the configuration is at hand."""
    words = f"/api/turn refuses: {_reason(answer)} ({status})"
    if case.config is None or case.plugins is None:
        hint = "give a --token, or --user and --password with a target such as turn:HOST:PORT"
        return warning("credentials", words, hint)
    try:
        servers = await offered_servers(case.config, case.plugins, case.peer_id)
        minted = _minted(case, case.config, servers)
    except TornadoWebrtcError as error:
        return warning("credentials", f"{words}, and none can be made here: {error}", "use --token")
    _took(case, minted)
    return ok("credentials", f"{words}; made one with the configured secret")


def _minted(case: Case, config: Config, servers: list[IceServer]) -> dict[str, Any]:
    """What the server would answer, made with its secret; none is made where there is none."""
    state = config.general.state_dir
    if not (config.turn.secret or config.turn.secret_file or (state / "secret").exists()):
        raise TornadoWebrtcError(f"there is no secret in {state}")
    secret = read_secrets(config.turn, StateDir(state))[0]
    credential = mint(secret, case.peer_id, config.turn.credential_ttl_s, Clock().wall())
    return rtc_configuration(credential, servers)


async def addresses(case: Case) -> AsyncIterator[Finding]:
    """Whether clients elsewhere can use the addresses that they are told."""
    if not case.uris:
        return
    here = set(machine_names()) if case.own else set()
    for host in dict.fromkeys(uri.host for uri in case.uris):
        yield address_finding(host, here)


def address_finding(host: str, here: set[str]) -> Finding:
    """Say what is known of an address.

    Args:
        host: The address or name that clients are told.
        here: The addresses of the server's machine; empty if that is another one.
    """
    text = f"clients are told {short(host)}"
    address = _address(host)
    if address is None:
        return ok("address", text)
    if limits := limited_reach(address):
        hint = "set [turn] public_ip to the address or name that clients outside reach"
        return warning("address", f"{text}, {limits}", hint)
    if not here:
        return ok("address", text)
    if host in here:
        return ok("address", f"{text}, an address of this machine")
    return ok(
        "address",
        f"{text}, which this machine itself does not have, as behind a NAT; whether it leads here"
        " shows only from outside: run tornado-webrtc doctor URL there",
    )


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
