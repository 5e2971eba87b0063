"""What the operator ends is over, also between two pages that could go on, and the page says so."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect

from tests.browser.conftest import Join
from tests.browser.modulepage import module_page
from tests.browser.participant import Participant
from tests.browser.serverprocess import ServerAddress, running_server
from tests.quietport import quiet_port
from tornado_webrtc.admin.client import AdminClient
from tornado_webrtc.ban import BanList, encode

WAYS = pytest.mark.parametrize("query", [{}, {"relay": "1"}], ids=["direct", "relayed"])
LOST = r"WebSocket connection to .* failed|net::ERR_|status of 403"

Query = dict[str, str]


@dataclass
class Site:
    """A server and its operator."""

    address: ServerAddress
    operator: AdminClient

    def allocations(self) -> list[dict[str, Any]]:
        """What is relayed."""
        found: list[dict[str, Any]] = self.operator.get("allocations")["allocations"]
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("operated")
    with running_server(folder) as address:
        yield Site(address, AdminClient(admin_socket(folder)))


def admin_socket(folder: Path) -> Path:
    (found,) = folder.rglob("admin.sock")
    return found


def call_between(join: Join, url: str, query: Query) -> tuple[Participant, Participant]:
    """A call that needs the server no more: each page can ask the other."""
    ann, bob = (join(name, url=url, query=query).sign_in() for name in ("Ann", "Bob"))
    ann.call(bob)
    bob.accept()
    for each in (ann, bob):
        each.expect_remote_picture()
        expect(each.find("open-chat")).to_be_visible()
        assert each.read_call()["local"] == "relay" or not query
    return ann, bob


def expect_nothing_left(*people: Participant) -> None:
    """Expect that no connection between the pages is left, nor an open camera."""
    for each in people:
        expect(each.find("call")).to_be_hidden()
        states = each.page.evaluate("connections.map((each) => each.signalingState)")
        assert set(states) == {"closed"}
        assert not each.page.evaluate("document.getElementById('remote-video').srcObject?.active")


def expect_signed_out(person: Participant, words: str) -> None:
    expect(person.find("signin")).to_be_visible()
    expect(person.find("notice-words")).to_have_text(words)


@WAYS
def test_who_is_kicked_is_told_why_and_the_call_is_over(
    join: Join, site: Site, query: Query
) -> None:
    ann, bob = call_between(join, site.address.url, query)
    site.operator.end("peers", bob.id, reason="over for today")
    expect_signed_out(bob, "The operator removed you: over for today")
    expect(ann.find("notice-words")).to_have_text("The operator removed Bob, so the call is over.")
    ann.expect_list()
    expect_nothing_left(ann, bob)
    ann.wait_until(lambda: site.allocations() == [], "the end of the allocations")
    assert "over for today" not in json.dumps(ann.received)
    bob.press("Sign in")
    bob.wait_online()
    expect(bob.find("notice")).to_be_hidden()
    ann.expect_list(bob)


@WAYS
def test_who_is_banned_is_told_so_and_the_call_is_over(
    join: Join, site: Site, query: Query
) -> None:
    ann, bob = call_between(join, site.address.url, query)
    bob.expect_console("status of 403")
    ban = {"peer": bob.id, "reason": "<b>spam</b>"}
    ended = site.operator.request("POST", "/bans", ban)["ended"]
    assert ended["connections"] == 1
    assert ended["allocations"] >= len(query)
    expect_signed_out(bob, "The operator of this server has banned you: <b>spam</b>")
    expect(ann.find("notice-words")).to_have_text("The operator removed Bob, so the call is over.")
    ann.expect_list()
    expect_nothing_left(ann, bob)
    ann.wait_until(lambda: site.allocations() == [], "the end of the allocations")
    bob.press("Dismiss this message")
    bob.press("Sign in")
    expect_signed_out(bob, "The operator of this server has banned you: <b>spam</b>")


@WAYS
@pytest.mark.parametrize(("reason", "told"), [("too loud", ": too loud"), ("", ".")])
def test_a_call_that_the_operator_ends_is_over_for_both(
    join: Join, site: Site, query: Query, reason: str, told: str
) -> None:
    ann, bob = call_between(join, site.address.url, query)
    site.operator.end("sessions", f"{ann.id}-{bob.id}", reason=reason)
    for each, other in ((ann, bob), (bob, ann)):
        words = f"The operator ended the call with {other.name}{told}"
        expect(each.find("notice-words")).to_have_text(words)
        each.expect_list(other)
    expect_nothing_left(ann, bob)
    ann.wait_until(lambda: site.allocations() == [], "the end of the allocations")


def test_a_call_that_rings_is_ended_too(join: Join, site: Site) -> None:
    ann, bob = (join(name, url=site.address.url).sign_in() for name in ("Ann", "Bob"))
    ann.call(bob)
    bob.expect_ringing("Ann")
    site.operator.end("peers", ann.id)
    expect_signed_out(ann, "The operator removed you.")
    bob.expect_notice("The operator removed Ann, so the call is over.")
    bob.expect_list()


def test_the_other_side_may_obey_more_quickly(join: Join, site: Site) -> None:
    """Whoever notices first that the call is gone is told by the server why."""
    ann, bob = (join(name, url=site.address.url) for name in ("Ann", "Bob"))
    held: list[str] = []

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def down(message: str | bytes) -> None:
            if '"code":"peer-removed"' in str(message):
                held.append(str(message))
            elif not held:
                route.send(message)

        def up(message: str | bytes) -> None:
            server.send(message)
            if json.loads(message)["type"] == "bye":
                route.send(held[0])

        server.on_message(down)
        route.on_message(up)

    ann.page.route_web_socket("**/ws", between)
    for each in (ann, bob):
        each.page.reload()
        each.sign_in()
    ann.call(bob)
    bob.accept()
    ann.expect_remote_picture()
    expect(ann.find("open-chat")).to_be_visible()
    site.operator.end("peers", bob.id)
    ann.wait_until(lambda: bool(held), "the server's bye")
    expect(ann.find("notice-words")).to_have_text("The operator removed Bob, so the call is over.")


def test_who_was_banned_while_the_server_was_away(join: Join, tmp_path: Path) -> None:
    port = quiet_port()
    with running_server(tmp_path, port=port) as first:
        ann, bob = call_between(join, first.url, {})
        for each in (ann, bob):
            each.expect_console(LOST)
        state = admin_socket(tmp_path).parent
        os.kill(first.pid, signal.SIGTERM)
        for each in (ann, bob):
            expect(each.find("server-state")).to_have_attribute("data-state", "waiting")
    ann.expect_remote_picture()
    bans = BanList(time.time)
    bans.add("peer", bob.id, reason="spam")
    stored = state / "bans.json"
    stored.touch(mode=0o600)
    stored.write_bytes(encode(bans))
    with running_server(tmp_path, port=port):
        expect_signed_out(bob, "The operator of this server has banned you: spam")
        ann.wait_online()
        ann.expect_list()
        expect_nothing_left(ann, bob)
        for each in (ann, bob):
            each.leave()


@pytest.mark.parametrize(
    ("code", "online", "reason", "removed", "words"),
    [
        (4403, True, "over for today", True, r"The operator removed you: over for today$"),
        (4403, True, "", True, r"The operator removed you\.$"),
        (4403, True, "ended by the operator", True, r"The operator removed you\.$"),
        (4403, True, "banned: spam", True, r"The operator of this server has banned you: spam$"),
        (4403, False, "banned: spam", True, r"The operator of this server has banned you: spam$"),
        (4403, False, "you are banned", True, r"The operator of this server has banned you\.$"),
        (4403, False, "pages from this origin are not allowed", None, "The server does not allow"),
        (4403, False, "not banned: yet", None, "The server does not allow"),
        (4403, False, "", None, "The server does not allow this page, or this name, to sign in"),
        (4401, True, "banned: spam", None, "Your token has expired"),
        (4403, True, "x" * 999, True, "The operator removed you: x{200}$"),
    ],
)
def test_what_a_close_means(
    browser: Browser,
    site: Site,
    code: int,
    online: bool,
    reason: str,
    removed: bool | None,
    words: str,
) -> None:
    script = "({ closeAdvice }, args) => closeAdvice(...args)"
    with module_page(browser, site.address.url) as page:
        advice = page.run("refusal", script, [code, online, reason])
    assert (advice["retry"], advice.get("removed")) == ("never", removed)
    assert re.match(words, advice["words"])


@pytest.mark.parametrize(
    ("reason", "words"),
    [("banned: spam", "you: spam"), ("you are banned", "you."), (None, "you."), ({}, "you.")],
)
def test_what_a_refusal_of_the_banned_means(
    browser: Browser, site: Site, reason: object, words: str
) -> None:
    script = "({ refusalAdvice }, error) => refusalAdvice(error)"
    with module_page(browser, site.address.url) as page:
        advice = page.run("refusal", script, {"code": "banned", "reason": reason})
    assert advice["words"] == f"The operator of this server has banned {words}"
    assert (advice["retry"], advice["removed"]) == ("never", True)
