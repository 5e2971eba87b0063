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
from tornado_webrtc.finding import Finding, Level
from tornado_webrtc.hooks import IceServer
from tornado_webrtc.inspection import offered_servers, rtc_configuration
from tornado_webrtc.server import read_secrets
from tornado_webrtc.state import StateDir

__all__ = ["addresses", "credentials"]

MAX_URIS = 16
"""Of a server's ICE servers, so many are tried."""

SOME = 3
OK, UNAUTHENTICATED, FORBIDDEN, TOO_MANY = 200, 401, 403, 429

_TO_BE_GIVEN_ONE = {
    "not-authenticated": "give a --token that the server takes",
    "name-not-allowed": "give a --token that is good for any name",
    "not-a-peer": "only who is signed in gets one: see to it that signing in works, above",
    "banned": "lift the ban there: tornado-webrtc unban",
    "too-many-requests": "try again later",
}
"""What to do, by the code of the refusal."""

_ALONE = "; or try its TURN server alone: turn:HOST:PORT with --user and --password"


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
        async for finding in _refused(case, response.code, answer):
            yield finding
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
    return short(_error(answer).get("reason", "no words"))


def _error(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    return error if isinstance(error, dict) else {}


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
        hint = "see [turn] uris, and plugins that name ICE servers: browsers take none of them then"
        text = f"clients are told what is no ICE server: {_some(odd)}{_left_out(told)}"
        return problem("credentials", text, hint)
    if left_out := _left_out(told):
        hint = "name fewer: clients try all of them for each call"
        return warning("credentials", f"clients are told many ICE servers{left_out}", hint)
    if not any(uri.is_turn for uri in case.uris):
        return _no_turn_server(case)
    return ok("credentials", f"/api/turn gives one, good for {short(answer.get('ttl'))} s")


def _no_turn_server(case: Case) -> Finding:
    text = "clients are told of no TURN server"
    if case.plugins is not None and case.plugins.hooks.implemented("ice_servers"):
        hint = "the server's log and tornado-webrtc check say why; is it the same configuration?"
        return problem("credentials", f"{text}, although a plugin has to name one", hint)
    text += ": behind many NATs and firewalls no call works"
    hint = "enable the plugin turn, or name another server in [turn] uris"
    return warning("credentials", text, hint)


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


async def _refused(case: Case, status: int, answer: dict[str, Any]) -> AsyncIterator[Finding]:
    """Make a credential here, if the configuration is at hand."""
    words = f"/api/turn refuses: {_reason(answer)} ({status})"
    hint = _how_to_be_given_one(case, _error(answer).get("code"))
    if case.config is None or case.plugins is None:
        yield problem("credentials", f"{words}, so TURN cannot be tried", hint)
        return
    try:
        servers = await offered_servers(case.config, case.plugins, case.peer_id)
        minted = _minted(case, case.config, servers)
    except TornadoWebrtcError as error:
        text = f"{words}, and none can be made here: {error}; so TURN cannot be tried"
        yield problem("credentials", text, hint)
        return
    found = _took(case, minted)
    yield ok("credentials", f"{words}; made one with the configured secret")
    if found.level is not Level.OK:
        yield found


def _how_to_be_given_one(case: Case, code: object) -> str:
    if not case.takes_clients:
        return "try again once the server takes clients again, see above"
    known = code if isinstance(code, str) else ""
    hint = _TO_BE_GIVEN_ONE.get(known, "see what stands between this machine and the server")
    if code == "not-authenticated" and case.token and not case.shows_secrets:
        hint = "have the token sent, see above"
    elsewhere = "run this where the server is, with --conf, which makes one"
    return f"{hint}; or {'run this as its user' if case.own else elsewhere}{_ALONE}"


def _minted(case: Case, config: Config, servers: list[IceServer]) -> dict[str, Any]:
    """What the server would answer, made with its secret; none is made where there is none."""
    state = StateDir(config.general.state_dir)
    if not (config.turn.secret or config.turn.secret_file or state.load("secret")):
        raise TornadoWebrtcError(f"there is no secret in {state.path}")
    secret = read_secrets(config.turn, state)[0]
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
