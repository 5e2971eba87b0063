"""Tokens in a real server: how they are shown, what their bearers may do, what a reload changes."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.auth_jwt.issuer import OTHER_SECRET, SECRET
from tests.plugins.auth_jwt.site import (
    BY_SECRET,
    COMMON,
    EXPIRED,
    by_header,
    by_subprotocol,
    counters,
    credential,
    refused,
    refused_new,
    token,
)
from tests.reloading import ReloadSite, site
from tests.wire import WireClient
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.hooks import AuthRequest, Doubt, PluginContext
from tornado_webrtc.implementation import faults
from tornado_webrtc.isolation import plugin_logger
from tornado_webrtc.plugins import auth_jwt
from tornado_webrtc.plugins.auth_jwt import Plugin
from tornado_webrtc.server import Server, load

__all__ = ["site"]

ExpectLog = Callable[[str], None]

# --- how a token is shown -----------------------------------------------------------------------


def test_plugin_is_sound() -> None:
    assert faults(auth_jwt) == []
    assert not hasattr(auth_jwt, "ENABLED_BY_DEFAULT")
    assert auth_jwt.REQUIRED is True


@pytest.mark.parametrize("show", [by_header, by_subprotocol])
async def test_token_as_the_socket_opens(
    site: ReloadSite, show: Callable[[str], dict[str, str]]
) -> None:
    server = await site.start(BY_SECRET)
    headers = show(token())
    async with await WireClient.connect(server.port, headers=headers) as client:
        await client.register("ann")
        assert [(peer.id, peer.subject) for peer in server.hub.peers()] == [("ann", "ann")]
        selected = b"Sec-Websocket-Protocol: tornado-webrtc\r\n" in client.head
        assert selected == (show is by_subprotocol)
        assert token().encode() not in client.head


async def test_token_in_new(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    async with await WireClient.connect(server.port) as client:
        (peer,) = await client.register("ann", token=token())
        assert set(peer) == {"id", "name", "user_agent"}, "the token is shown to nobody"
        assert [peer.subject for peer in server.hub.peers()] == ["ann"]


@pytest.mark.parametrize("show", [by_header, by_subprotocol])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (token(**EXPIRED), "The token has expired."),
        (token(nbf=time.time() + 3600), "The token is not valid yet."),
        (token(secret=OTHER_SECRET), "The signature of the token is wrong."),
        (
            token(iss="https://evil.example/"),
            "The token is from an issuer that is not trusted here.",
        ),
        (token(aud="chat"), "The token is not meant for this service."),
        (token(exp=None), "A claim of the token is missing or wrong."),
        (token("ann", "RS256"), "The token is signed in a way that is not allowed here."),
        ("garbage", "The token is malformed."),
        (f"{token()}{'a' * 9000}", "The token is too long."),
    ],
    ids=range(9),
)
async def test_wrong_token_as_the_socket_opens(
    site: ReloadSite, show: Callable[[str], dict[str, str]], wrong: str, reason: str
) -> None:
    server = await site.start(BY_SECRET)
    closed = await refused(server.port, show(wrong))
    assert (closed.code, closed.reason) == (4401, reason)


async def test_wrong_token_in_new(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    for shown, reason in (
        (None, "A token is needed."),
        (token(**EXPIRED), "The token has expired."),
        ("ž" * 100, "The token is malformed."),
    ):
        error, closed = await refused_new(server.port, "ann", shown)
        assert error == {"request": "new", "reason": reason, "code": "not-authenticated"}
        assert (closed.code, closed.reason) == (4401, reason)
    assert list(server.hub.peers()) == []


async def test_token_is_for_its_own_peer_ids(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    for peer_id, shown in (("ben", token()), ("ann-1", token()), ("x", token("*"))):
        error, closed = await refused_new(server.port, peer_id, shown)
        assert (error["code"], closed.code) == ("id-not-allowed", 4403)
    async with await WireClient.connect(server.port, headers=by_header(token("*"))) as client:
        await client.register("*")
    listed = token(peer_ids=["desk", "phone-*"])
    async with await WireClient.connect(server.port, headers=by_header(listed)) as client:
        await client.register("phone-7")


async def test_newer_connection_of_a_subject_takes_over(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    async with await WireClient.connect(server.port, headers=by_header(token())) as old:
        await old.register("ann")
        async with await WireClient.connect(server.port) as new:
            await new.register("ann", token=token(jti="another"))
            assert (await old.read_until_closed()).code == 4001


# --- /api/turn ----------------------------------------------------------------------------------


async def test_credentials(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    answer = await credential(server, "ann", token())
    assert answer.status == 200
    assert answer.json["username"].endswith(":ann")
    assert (await credential(server, "phone-1", token(peer_ids=["phone-*"]))).status == 200
    answer = await credential(server, "ben", token())
    assert (answer.status, answer.json["error"]["code"]) == (403, "name-not-allowed")


@pytest.mark.parametrize(
    ("shown", "challenge", "reason"),
    [
        (None, "Bearer", "A token is needed."),
        (token(**EXPIRED), 'Bearer error="invalid_token"', "The token has expired."),
        ("garbage", 'Bearer error="invalid_token"', "The token is malformed."),
    ],
    ids=range(3),
)
async def test_no_credentials(
    site: ReloadSite, shown: str | None, challenge: str, reason: str
) -> None:
    server = await site.start(BY_SECRET)
    answer = await credential(server, "ann", shown)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.json == {"error": {"code": "not-authenticated", "reason": reason}}


async def test_credential_relays(site: ReloadSite) -> None:
    """From the token to an allocation."""
    server = await site.start(BY_SECRET)
    made = (await credential(server, "ann", token())).json
    client = await site.turn.udp(credential=(made["username"], made["password"]))
    await client.allocate()
    assert [each["user"] for each in server.collections["allocations"].entries()] == ["ann"]


# --- without a token ----------------------------------------------------------------------------


async def test_anonymous_clients_have_ids_of_their_own(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET | {"auth_jwt.allow_anonymous": "yes"})
    async with await WireClient.connect(server.port) as client:
        await client.register("123456")
        assert [peer.subject for peer in server.hub.peers()] == [None]
    for peer_id in ("ann", "1234567", "12345", "12345x"):
        error, closed = await refused_new(server.port, peer_id, None)
        assert (error["reason"], closed.code) == ("A token is needed.", 4401)
    error, _ = await refused_new(server.port, "123456", token(**EXPIRED))
    assert error["reason"] == "The token has expired.", "a wrong token is worse than none"
    answer = await credential(server, "123456", None)
    assert answer.status == 401, "no name without a subject gets a credential"
    assert counters(server)["anonymous"] == 2


async def test_other_ids_for_anonymous_clients(site: ReloadSite) -> None:
    changes = {"auth_jwt.allow_anonymous": "yes", "auth_jwt.anonymous_peer_ids": "guest-*, ?"}
    server = await site.start(BY_SECRET | changes)
    for peer_id in ("guest-ann", "x"):
        async with await WireClient.connect(server.port) as client:
            await client.register(peer_id)
    error, _ = await refused_new(server.port, "123456", None)
    assert error["reason"] == "A token is needed."


# --- time ---------------------------------------------------------------------------------------


async def test_connection_outlives_its_token(site: ReloadSite) -> None:
    site.write(BY_SECRET)
    wall = [time.time()]
    clock = Clock(now=time.monotonic, wall=lambda: wall[0])
    server = Server(*load(site.conf), clock=clock)
    try:
        await server.start()
        shown = token()
        async with await WireClient.connect(server.port, headers=by_header(shown)) as client:
            await client.register("ann")
            wall[0] += 3600 + 31
            assert (await refused(server.port, by_header(shown))).reason == "The token has expired."
            assert await client.settled() == []
            await client.send("leave", {})
            await client.settled()
            await client.register("ann")
    finally:
        await server.stop()


# --- start and check ----------------------------------------------------------------------------


async def test_faults_stop_the_server(site: ReloadSite) -> None:
    with pytest.raises(ConfigError) as error:
        await site.start(COMMON | {"auth_jwt.algorithms": "RS256", "auth_jwt.key_file": "missing"})
    (problem,) = error.value.problems
    assert "auth_jwt.key_file" in problem.where
    assert ", line " in problem.where
    assert problem.message.endswith("missing cannot be used: No such file or directory")


def context(**settings: Any) -> PluginContext:
    spec: dict[str, Any] = {
        "algorithms": ("HS256",),
        "secret": (SECRET,),
        "secret_file": "",
        "key_file": "",
    }
    spec |= {"jwks": "", "jwks_ca_file": "", "jwks_ttl_s": 600.0, "jwks_max_stale_s": 0.0}
    spec |= {"jwks_timeout_s": 1.0, "issuer": (), "audience": (), "leeway_s": 0.0}
    spec |= {"require": (), "max_token_bytes": 8192, "subject_claim": "sub"}
    spec |= {"peer_ids": ("{subject}",), "peer_ids_claim": "", "allow_anonymous": False}
    spec |= {"anonymous_peer_ids": ("*",), "close_at_expiry": False}
    return PluginContext("auth_jwt", spec | settings, Config(), plugin_logger("auth_jwt"))


async def test_doubts_are_told() -> None:
    found = await Plugin(context()).check()
    assert {each.partition(":")[0] for each in found} == {
        *("auth_jwt.issuer", "auth_jwt.audience", "auth_jwt.require")
    }
    assert all(isinstance(each, Doubt) for each in found)


async def test_start_alone_refuses_faults_too() -> None:
    plugin = Plugin(context(algorithms=("none",)))
    with pytest.raises(PluginError, match="algorithms: none means no signature"):
        plugin.start(None)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="it is not started"):
        await plugin.authenticate(AuthRequest(kind="new", token=token()))
    await plugin.stop()
    plugin.settings_changed(Config(plugin_settings={"auth_jwt": context().settings}))
    assert plugin.counters() == {}


WITHOUT_PYJWT = """
import sys
sys.modules["jwt"] = None  # what an import finds where nothing is installed
from tornado_webrtc.cli import main
main()
"""


@pytest.mark.parametrize("verb", [["check"], []])
def test_missing_library_is_named(site_conf: Path, verb: list[str]) -> None:
    command = [sys.executable, "-c", WITHOUT_PYJWT, *verb, "--conf", str(site_conf)]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=site_conf.parent, timeout=50, check=False
    )
    assert ended.returncode != 0
    assert "PyJWT is missing" in ended.stderr
    assert "pip install 'PyJWT[crypto]'" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


@pytest.fixture
def site_conf(site: ReloadSite) -> Path:
    site.write(BY_SECRET)
    return site.conf


# --- what is counted and logged -----------------------------------------------------------------


async def test_counters_and_log(site: ReloadSite, caplog: pytest.LogCaptureFixture) -> None:
    server = await site.start(BY_SECRET)
    caplog.set_level(logging.DEBUG)
    tokens = [token(), token(**EXPIRED), token(aud="chat"), "garbage.in.parts"]
    for shown in (*tokens, None, tokens[0]):
        await credential(server, "ann", shown)
        if shown is not None:
            async with await WireClient.connect(server.port, headers=by_subprotocol(shown)):
                continue
    assert counters(server) == {
        "accepted": 4,
        "refused.expired": 2,
        "refused.audience": 2,
        "refused.malformed": 2,
        "refused.missing": 1,
    }
    assert "refused.expired at rest from 127.0.0.1: " in caplog.text
    for shown in tokens:
        assert shown not in caplog.text
        assert shown.split(".")[-1] not in caplog.text
    for secret in (SECRET, OTHER_SECRET):
        assert secret not in caplog.text
