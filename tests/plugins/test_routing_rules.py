"""Who may call whom, in a real server: alone, and together with rooms and tokens."""

import re
from typing import Any

import pytest

from tests.conftest import ExpectLog
from tests.plugins.rooms.conftest import site
from tests.plugins.rooms.site import PluginSite, seen
from tests.wire import WireClient, call, error, until
from tornado_webrtc.errors import ConfigError, PluginError
from tornado_webrtc.implementation import faults
from tornado_webrtc.pluginmanager import PluginManager
from tornado_webrtc.plugins import routing_rules
from tornado_webrtc.server import Server, load

__all__ = ["site"]

RULES = "[routing_rules]\nrules = {}\nreason = Not you.\n"
SUPPORT = RULES.format("allow support-* -> *, deny * -> support-*")


def test_plugin_is_sound() -> None:
    assert faults(routing_rules) == []
    assert routing_rules.REQUIRED
    assert not hasattr(routing_rules, "ENABLED_BY_DEFAULT")


def candidate(sender: WireClient, to: WireClient, session_id: str) -> dict[str, Any]:
    return {
        "to": to.id,
        "from": sender.id,
        "session_id": session_id,
        "candidate": {"sdpMLineIndex": 0, "sdpMid": "0", "candidate": "candidate:1"},
    }


async def offer(caller: WireClient, callee: WireClient) -> list[dict[str, Any]]:
    """Call as a legacy client does, candidates at once; returns all that comes back."""
    session_id = f"{caller.id}-{callee.id}"
    description = {"sdp": "v=0\r\n", "type": "offer"}
    data = {"to": callee.id, "from": caller.id, "session_id": session_id, "media": "video"}
    await caller.send("offer", data | {"description": description})
    await caller.send("candidate", candidate(caller, callee, session_id))
    return await caller.settled()


async def test_denied_caller_leaves_its_call_screen(
    site: PluginSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "tornado_webrtc.plugins.routing_rules")
    await site.start(SUPPORT)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    answers = await offer(ann, support)
    assert answers == [
        error("offer", "Not you.", "call-not-allowed"),
        {"type": "bye", "data": {"session_id": "ann-support-1", "to": "ann"}},
        error("candidate", "Not you.", "call-not-allowed"),
    ]
    assert await support.settled() == []
    counted = {"calls.denied": 1, "messages.denied": 1}
    assert site.counters("routing_rules") == counted
    why = "'ann' may not call 'support-1': denied by rules, entry 2: deny * -> support-*"
    assert [record.getMessage() for record in caplog.records] == [why] * 2


async def test_who_is_called_may_answer(site: PluginSite) -> None:
    """Everything of the call goes both ways, a second offer of the callee's included."""
    await site.start(SUPPORT)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    session_id = await call(support, ann)
    again = {"to": "support-1", "from": "ann", "session_id": session_id, "description": {}}
    for kind in ("offer", "answer", "candidate"):
        await ann.send(kind, again)
        assert await support.read_type(kind) == again
    assert site.counters("routing_rules") == {"calls.allowed": 1}
    assert (await offer(ann, support))[0]["data"]["code"] == "call-not-allowed"
    assert await support.settled() == []


async def test_messages_of_no_call(site: PluginSite) -> None:
    await site.start(SUPPORT)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    for session_id in ("ann-support-1", "support-1-ann", "x"):
        for kind in ("answer", "candidate"):
            await ann.send(kind, candidate(ann, support, session_id))
            assert await ann.settled() == [error(kind, "Not you.", "call-not-allowed")]
    assert await support.settled() == []
    await support.send("candidate", candidate(support, ann, "support-1-ann"))
    await ann.read_type("candidate")


async def test_what_comes_late_is_dropped_without_a_word(site: PluginSite) -> None:
    """Candidates of the callee that were on their way when the call ended."""
    await site.start(SUPPORT)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    session_id = await call(support, ann)
    await support.send("bye", {"session_id": session_id})
    await ann.read_type("bye")
    await ann.send("candidate", candidate(ann, support, session_id))
    assert await ann.settled() == []
    assert [each["type"] for each in await support.settled()] == ["bye"]


@pytest.mark.parametrize("data", [None, [], "x", {}, {"to": "support-1"}, {"to": 7}])
async def test_odd_data(site: PluginSite, data: Any) -> None:
    await site.start(SUPPORT)
    ann, support = await site.join("ann"), await site.join("support-1")
    await seen(ann, "ann", "support-1")
    for kind in ("offer", "answer", "candidate"):
        await ann.send(kind, data)
        assert [each["data"]["code"] for each in await ann.settled()] == ["bad-message"]
    assert await support.settled() == []


async def test_peer_that_changed_its_connection(site: PluginSite) -> None:
    await site.start(SUPPORT)
    ann, dead = await site.join("ann"), await site.join("support-1")
    support = await site.join("support-1")
    assert (await dead.read_until_closed()).code == 4001
    await ann.settled()
    await ann.send("candidate", candidate(ann, support, "x"))
    assert [each["data"]["code"] for each in await ann.settled()] == ["call-not-allowed"]
    plugin: Any = dict(site.server.plugins._pluggy.list_name_plugin())["routing_rules"]
    assert len(plugin._peers) == 2
    for client in (ann, support):
        await client.drop()
    await until(lambda: not plugin._peers)


async def test_file_and_default(site: PluginSite) -> None:
    sections = "[routing_rules]\nfile = rules\ndefault = deny\n"
    await site.start(sections, rules="# among friends\nallow ip:127.0.0.1 a* -> b*\n")
    ann, ben = await site.join("ann"), await site.join("ben")
    await seen(ann, "ann", "ben")
    answers = await offer(ben, ann)
    assert error("offer", "You may not call this peer.", "call-not-allowed") in answers
    assert await ann.settled() == []
    await call(ann, ben)


async def test_reload_breaks_no_call(site: PluginSite) -> None:
    sections = "[routing_rules]\nfile = rules\n"
    await site.start(sections, rules="deny x -> y")
    ann, ben = await site.join("ann"), await site.join("ben")
    await seen(ann, "ann", "ben")
    session_id = await call(ann, ben)
    report = await site.reload(sections, rules="deny * -> *")
    assert (report.applied, report.needs_restart) == (("routing_rules.file",), ())
    for sender, target in ((ann, ben), (ben, ann)):
        for kind in ("offer", "answer", "candidate"):
            await sender.send(kind, candidate(sender, target, session_id))
            assert await target.read_type(kind) == candidate(sender, target, session_id)
    await ben.send("bye", {"session_id": session_id})
    await ann.read_type("bye")
    await ben.read_type("bye")
    assert (await offer(ann, ben))[0]["data"]["code"] == "call-not-allowed"
    report = await site.reload(RULES.format("allow ann -> *, deny * -> *"))
    changed = {f"routing_rules.{key}" for key in ("rules", "file", "reason")}
    assert {*report.applied} == changed
    await call(ann, ben)


async def test_reload_with_a_bad_rule_changes_nothing(
    site: PluginSite, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over, all stays as it is:\n.*line 2: ")
    sections = "[routing_rules]\nfile = rules\n"
    await site.start(sections, rules="deny ann -> ben\n")
    with pytest.raises(ConfigError, match=r"rules, line 2: it begins with 'allwo'"):
        await site.reload(sections, rules="\nallwo ann -> ben\n")
    ann, ben = await site.join("ann"), await site.join("ben")
    await seen(ann, "ann", "ben")
    assert (await offer(ann, ben))[0]["data"]["code"] == "call-not-allowed"


async def test_server_does_not_start_with_a_bad_rule(site: PluginSite) -> None:
    site.write(RULES.format("allow a -> b, deny usr:x -> b, deny"))
    server = Server(*load(site.conf))
    with pytest.raises(ConfigError) as raised:
        await server.start()
    await server.stop()
    first, second = map(str, raised.value.problems)
    place = rf"{site.conf}, line \d+, routing_rules.rules: rules"
    assert re.match(f"{place}, entry 2: usr: is not known", first)
    assert re.match(f"{place}, entry 3: one ->", second)


async def test_file_that_goes_bad_unseen(site: PluginSite, expect_log: ExpectLog) -> None:
    """Between `check` and what comes of it somebody may write the file."""
    expect_log("plugin routing_rules: settings_changed failed: .*line 1: it begins with 'x'")
    server = await site.start("[routing_rules]\nfile = rules\n", rules="deny ann -> *")
    (site.folder / "rules").write_text("x")
    server.hooks.notify("settings_changed", old=server.config, new=server.config)
    ann, ben = await site.join("ann"), await site.join("ben")
    await seen(ann, "ann", "ben")
    assert (await offer(ann, ben))[0]["data"]["code"] == "call-not-allowed"
    expect_log("plugin routing_rules: start failed: .*line 1: it begins with 'x'")
    config, found = load(site.conf)
    with pytest.raises(PluginError, match="line 1: it begins with 'x'"):
        await PluginManager(found, config, ()).start(server)


async def test_file_that_was_written_half_allows_nothing(
    site: PluginSite, expect_log: ExpectLog
) -> None:
    expect_log("the configuration is not taken over, all stays as it is")
    await site.start("[routing_rules]\nfile = rules\n", rules="deny ann -> *")
    with pytest.raises(ConfigError, match=r"routing_rules.file: .*rules holds no rule"):
        await site.reload("[routing_rules]\nfile = rules\n", rules="")
    ann, ben = await site.join("ann"), await site.join("ben")
    await seen(ann, "ann", "ben")
    assert (await offer(ann, ben))[0]["data"]["code"] == "call-not-allowed"


async def test_doubts_are_warnings(site: PluginSite, expect_log: ExpectLog) -> None:
    expect_log("rules, entry 1, fits every call")
    await site.start(RULES.format("allow * -> *, deny a -> b"))


# --- together with others -----------------------------------------------------------------

TOGETHER = """
required = auth_token
[auth_token]
file = tokens
[rooms]
file = rooms
lobby = no
[routing_rules]
rules = deny room:desk user:guest -> *, deny user:guest -> user:boss, allow * -> *
"""
TOKENS = "".join(
    f"{name} {name}-token-0123456789 {patterns}\n"
    for name, patterns in (("boss", "boss b-*"), ("guest", "g-*"), ("clerk", "c-*"))
)


async def test_with_rooms_and_tokens(site: PluginSite) -> None:
    """Who is decided by the token, where by the room, what by the rules."""
    await site.start(TOGETHER, tokens=TOKENS, rooms='desk password="sesame"\nhall\n')

    async def join(peer_id: str, name: str, room: str, **fields: str) -> WireClient:
        return await site.join(peer_id, room, token=f"{name}-token-0123456789", **fields)

    desk = {"room": "desk", "password": "sesame"}
    guest, clerk = await join("g-1", "guest", **desk), await join("c-1", "clerk", **desk)
    hall_guest, hall_boss = await join("g-1", "guest", "hall"), await join("b-1", "boss", "hall")
    hall_clerk = await join("c-1", "clerk", "hall")
    await seen(guest, "g-1", "c-1")
    await seen(hall_guest, "g-1", "b-1", "c-1")
    await seen(hall_boss, "g-1", "b-1", "c-1")
    assert (await offer(guest, clerk))[0]["data"]["code"] == "call-not-allowed"
    assert (await offer(hall_guest, hall_boss))[0]["data"]["code"] == "call-not-allowed"
    assert (await offer(hall_guest, guest))[0]["data"]["code"] == "bad-message"  # itself, here
    await call(clerk, guest)
    await call(hall_guest, hall_clerk)
    await call(hall_boss, hall_guest)
    assert site.counters("routing_rules")["calls.denied"] == 2


async def test_token_comes_before_the_password(site: PluginSite) -> None:
    """A guess at a password needs a token, and a wrong id costs no place."""
    await site.start(TOGETHER, tokens=TOKENS, rooms='desk max_peers=1 password="sesame"\n')
    client = await site.connect("desk")
    await client.send("new", {"id": "x", "password": "sesame"})
    assert (await client.read())["data"]["code"] == "not-authenticated"
    assert (await client.read_until_closed()).code == 4401
    token = "clerk-token-0123456789"
    assert await site.refused("g-1", "desk", token=token, password="sesame") == "id-not-allowed"
    assert await site.refused("c-1", token=token) == "room-needed"
    await site.join("c-1", "desk", token=token, password="sesame")
    again = await site.join("c-1", "desk", token=token, password="sesame")  # the same person
    assert await site.refused("c-2", "desk", token=token, password="sesame") == "room-full"
    counted = {"joined": 2, "refused.room-needed": 1, "refused.room-full": 1}
    assert site.counters("rooms") == counted
    await again.drop()
    await until(lambda: not list(site.server.hub.peers()))
    await site.join("c-2", "desk", token=token, password="sesame")
