"""A running server: its key set rotates, fails, comes back; its settings change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from tests.plugins.auth_jwt.issuer import OTHER_SECRET, SECRET, Publisher, jwk, key_set, public_pem
from tests.plugins.auth_jwt.site import (
    BY_SECRET,
    by_header,
    by_url,
    counters,
    credential,
    refused,
    token,
)
from tests.reloading import ReloadSite, site
from tests.web.rawhttp import fetch
from tests.wire import WireClient, until
from tornado_webrtc.config import Config
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.hooks import AuthRequest, Refused
from tornado_webrtc.plugins.auth_jwt import remote_keys

__all__ = ["site"]

ExpectLog = Callable[[str], None]


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with Publisher() as made:
        made.publish(jwk("P-256", "a"))
        yield made


# --- key sets at a URL --------------------------------------------------------------------------


async def test_keys_rotate(
    site: ReloadSite, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_keys, "REFETCH_S", 0.0)
    server = await site.start(by_url(publisher))
    await site.connect()
    old, new = (token("ann", "ES256", kid=kid, number=number) for number, kid in enumerate("ab"))
    assert (await credential(server, "ann", old)).status == 200
    seen = publisher.requests
    assert (await credential(server, "ann", old)).status == 200
    assert publisher.requests == seen
    publisher.publish(jwk("P-256", "b", 1))
    assert (await credential(server, "ann", new)).status == 200
    answer = await credential(server, "ann", old)
    assert answer.json["error"]["reason"] == "The key of the token is not known."
    assert counters(server)["jwks.fetches"] == publisher.requests - 1, "one was for `check`"


async def test_burst_of_clients_shares_a_fetch(site: ReloadSite, publisher: Publisher) -> None:
    publisher.released.clear()
    starting = asyncio.create_task(site.start(by_url(publisher) | {"auth_jwt.jwks_timeout_s": "4"}))
    await until(lambda: publisher.requests == 1)
    publisher.released.set()
    server = await starting
    publisher.released.clear()
    shown = token("ann", "ES256", kid="a")
    waiting = [asyncio.create_task(credential(server, "ann", shown)) for _ in range(20)]
    await until(lambda: publisher.requests == 2)
    assert (await fetch(server.port, "/healthz")).status == 200, "nothing is blocked"
    publisher.released.set()
    assert {(await each).status for each in waiting} == {200}
    assert publisher.requests == 2


async def test_server_starts_while_the_source_is_down(
    site: ReloadSite,
    publisher: Publisher,
    expect_log: ExpectLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect_log(r"auth_jwt.jwks: http://127.0.0.1:\d+/keys cannot be used: the answer is HTTP 503")
    expect_log("cannot be used: the answer is HTTP 503, not 200; no token is accepted$")
    expect_log("plugin auth_jwt: authenticate failed: there is no key set: ")
    publisher.status = 503
    server = await site.start(by_url(publisher))
    shown = token("ann", "ES256", kid="a")
    await until(lambda: counters(server).get("jwks.failures") == 1)
    answer = await credential(server, "ann", shown)
    assert (answer.status, answer.json["error"]["code"]) == (503, "plugin-failed")
    closed = await refused(server.port, by_header(shown))
    assert (closed.code, closed.reason) == (4500, "Authentication does not work at the moment.")
    publisher.status = 200
    monkeypatch.setattr(remote_keys, "REFETCH_S", 0.0)
    assert (await credential(server, "ann", shown)).status == 200
    assert counters(server)["refused.no-keys"] == 2


async def test_server_stops_while_a_fetch_is_under_way(
    site: ReloadSite, publisher: Publisher, expect_log: ExpectLog
) -> None:
    expect_log("there is no whole answer within 1 s")
    publisher.released.clear()
    server = await site.start(by_url(publisher) | {"auth_jwt.jwks_timeout_s": "1"})
    await until(lambda: publisher.requests == 2)
    await server.stop()
    assert [each for each in asyncio.all_tasks() if "auth_jwt" in each.get_name()] == []


# --- reload -------------------------------------------------------------------------------------


async def test_reload_takes_over_claims(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    client = await WireClient.connect(server.port, headers=by_header(token()))
    async with client:
        await client.register("ann")
        report = await site.reload({"auth_jwt.audience": "chat"})
        assert report.applied == ("auth_jwt.audience",)
        assert (await credential(server, "ann", token())).status == 401
        assert (await credential(server, "ann", token(aud="chat"))).status == 200
        assert await client.settled() == [], "who is signed in stays"


async def test_reload_rotates_secrets(site: ReloadSite) -> None:
    server = await site.start(BY_SECRET)
    old, new = token(), token(secret=OTHER_SECRET)
    await site.reload({"auth_jwt.secret": f"{OTHER_SECRET}, {SECRET}"})
    assert (await credential(server, "ann", old)).status == 200
    assert (await credential(server, "ann", new)).status == 200
    await site.reload({"auth_jwt.secret": OTHER_SECRET})
    assert (await credential(server, "ann", old)).status == 401
    assert (await credential(server, "ann", new)).status == 200


async def test_reload_goes_to_another_source_and_back(
    site: ReloadSite, publisher: Publisher
) -> None:
    server = await site.start(BY_SECRET)
    by_key = {"auth_jwt.algorithms": "ES256", "auth_jwt.secret": "", "auth_jwt.jwks": publisher.url}
    await site.reload(by_key)
    assert (await credential(server, "ann", token())).status == 401
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 200
    seen = publisher.requests
    await site.reload({"auth_jwt.leeway_s": "5"})
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 200
    assert publisher.requests == seen + 1, "`check` looks; the keys stay"
    (site.folder / "keys.json").write_bytes(key_set(jwk("P-256", "b", 1)))
    await site.reload({"auth_jwt.jwks": "keys.json"})
    assert (await credential(server, "ann", token("ann", "ES256", number=1))).status == 200
    (site.folder / "keys.pem").write_text(public_pem("P-256"))
    await site.reload({"auth_jwt.jwks": "", "auth_jwt.key_file": "keys.pem"})
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 200
    fetches = counters(server)["jwks.fetches"]
    await site.reload({"auth_jwt.key_file": "", "auth_jwt.jwks": publisher.url})
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 200
    assert counters(server)["jwks.fetches"] == fetches + 1, "what was counted stays counted"


async def test_server_stops_while_the_source_before_is_being_closed(
    site: ReloadSite, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await site.start(by_url(publisher) | {"auth_jwt.jwks_timeout_s": "4"})
    shown = token("ann", "ES256", kid="a")
    assert (await credential(server, "ann", shown)).status == 200
    monkeypatch.setattr(remote_keys, "REFETCH_S", 0.0)
    seen = publisher.requests
    publisher.released.clear()
    request = AuthRequest(kind="new", token=token("ann", "ES256", kid="b"))
    asking = asyncio.create_task(server.hooks.lookup("authenticate", request=request))
    await until(lambda: publisher.requests == seen + 1)
    await site.reload(BY_SECRET | {"auth_jwt.jwks": ""})
    stopping = asyncio.create_task(server.stop())
    await until(lambda: server.plugins.names == ("auth_jwt",))
    assert not stopping.done()
    publisher.released.set()
    await stopping
    assert await asking == Refused("The key of the token is not known.")
    assert [each for each in asyncio.all_tasks() if "auth_jwt" in each.get_name()] == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"auth_jwt.algorithms": "HS256, none"}, "algorithms: none means no signature"),
        ({"auth_jwt.algorithms": "HS256, RS256"}, "algorithms: HS… goes with secrets"),
        ({"auth_jwt.secret": "short"}, "secret: secret 1 has 5 bytes, but HS256 needs"),
        ({"auth_jwt.secret_file": "missing"}, "secret_file: .*missing cannot be used: No such"),
        ({"auth_jwt.jwks": "http://id.example.org/"}, "jwks: "),
        ({"auth_jwt.algorithms": ""}, "algorithms: "),
    ],
)
async def test_bad_reload_changes_nothing(
    site: ReloadSite, changes: Mapping[str, str], fault: str, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over, all stays as it is")
    server = await site.start(BY_SECRET)
    with pytest.raises(ConfigError, match=f"auth_jwt.{fault}"):
        await site.reload(changes)
    assert (await credential(server, "ann", token())).status == 200


async def test_source_that_is_down_does_not_stop_a_reload(
    site: ReloadSite, publisher: Publisher, expect_log: ExpectLog
) -> None:
    expect_log("auth_jwt.jwks: .* cannot be used: the answer is HTTP 503")
    server = await site.start(by_url(publisher))
    shown = token("ann", "ES256")
    assert (await credential(server, "ann", shown)).status == 200
    publisher.status = 503
    report = await site.reload({"auth_jwt.leeway_s": "5"})
    assert report.applied == ("auth_jwt.leeway_s",)
    assert any("HTTP 503" in each for each in report.warnings)
    assert (await credential(server, "ann", shown)).status == 200


async def test_longer_time_for_the_set_while_the_source_is_down(
    site: ReloadSite, publisher: Publisher, expect_log: ExpectLog
) -> None:
    """That is when an operator wants it: a reload must not lose the set."""
    expect_log("auth_jwt.jwks: .* cannot be used: the answer is HTTP 503")
    server = await site.start(by_url(publisher))
    shown = token("ann", "ES256")
    assert (await credential(server, "ann", shown)).status == 200
    publisher.status = 503
    report = await site.reload({"auth_jwt.jwks_max_stale_s": "2592000"})
    assert report.applied == ("auth_jwt.jwks_max_stale_s",)
    assert (await credential(server, "ann", shown)).status == 200
    assert counters(server)["jwks.fetches"] == 1, "nor is it fetched anew"


async def test_set_is_not_handed_over_to_other_algorithms(
    site: ReloadSite, publisher: Publisher, expect_log: ExpectLog
) -> None:
    expect_log("it is for ES256, and algorithms has none of them")
    server = await site.start(by_url(publisher))
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 200
    publisher.publish(jwk("P-256", "a"), jwk("P-384", "b"))
    await site.reload({"auth_jwt.algorithms": "ES384"})
    assert (await credential(server, "ann", token("ann", "ES384"))).status == 200
    assert (await credential(server, "ann", token("ann", "ES256"))).status == 401


async def test_settings_that_slip_past_check_change_nothing(
    site: ReloadSite, expect_log: ExpectLog
) -> None:
    expect_log("the new settings cannot be used; the ones before hold")
    server = await site.start(BY_SECRET)
    own = {**server.config.plugin_settings["auth_jwt"], "secret": ("short",)}
    new = Config(plugin_settings={"auth_jwt": own})
    server.hooks.notify("settings_changed", old=server.config, new=new)
    assert (await credential(server, "ann", token())).status == 200
