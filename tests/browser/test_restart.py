"""A path that breaks in the middle of a call, and the other one that the two pages find.

Both are relayed only. Ann's or Bob's datagrams to the TURN server go through a forwarder that cuts
off the sockets of that moment: so nothing helps but an ICE restart, which opens others.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Join
from tests.browser.cuttingproxy import CuttingProxy
from tests.browser.droppingproxy import DroppingProxy
from tests.browser.modulepage import module_page
from tests.browser.participant import Participant
from tests.browser.serverprocess import ServerAddress, running_server
from tests.browser.test_relay import connect
from tests.quietport import quiet_port

LOST = r"WebSocket connection to .* failed|net::ERR_"
RECONNECTING = "Connection lost \N{EN DASH} reconnecting…"
RELAYED = {"relay": "1", "transport": "udp"}
TURN = re.compile(r"turn:127\.0\.0\.1:(\d+)\?transport=udp")


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def behind(participant: Participant, running: ExitStack) -> list[CuttingProxy]:
    """Have a page reach the TURN server through a forwarder only, which the list gets."""
    proxies: list[CuttingProxy] = []

    def fulfill(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        [port] = set(TURN.findall(text))
        if not proxies:
            proxies.append(running.enter_context(CuttingProxy(int(port))))
        moved = text.replace(f":{port}?transport=udp", f":{proxies[0].port}?transport=udp")
        route.fulfill(response=answer, json=json.loads(moved))

    participant.page.route("**/api/turn?*", fulfill)
    return proxies


# What the call's state was at any time, however short.
WATCH_CALL = """() => {
  window.seen = [];
  const [call, state] = ["call", "call-state"].map((id) => document.getElementById(id));
  const look = () => seen.push([call.dataset.state, state.textContent]);
  new MutationObserver(look).observe(call, { subtree: true, childList: true, attributes: true });
}"""


def expect_interruption(person: Participant) -> None:
    """Wait until a page that was watched has said that its call's path broke."""
    said = ["interrupted", RECONNECTING]
    person.wait_until(lambda: said in person.page.evaluate("seen"), "an interruption")


def restarts(caller: Participant) -> list[int]:
    """Return the numbers of the restarts that a page has offered."""
    return [offer["restart"] for offer in caller.messages("offer") if "restart" in offer]


def relayed_call(
    join: Join, running: ExitStack, *, moving: str = "Ann"
) -> tuple[Participant, Participant, CuttingProxy]:
    """Let Ann call Bob; the path of one of them is watched and can be cut."""
    ann, bob = join("Ann", query=RELAYED), join("Bob", query=RELAYED)
    proxies = behind(ann if moving == "Ann" else bob, running)
    for each in (ann, bob):
        each.sign_in()
    connect(ann, bob)
    expect(ann.find("open-chat")).to_be_visible()
    for each in (ann, bob):
        each.page.evaluate(WATCH_CALL)
    return ann, bob, proxies[0]


@pytest.mark.parametrize("moving", ["Ann", "Bob"])
def test_a_call_finds_another_path_when_its_own_breaks(
    join: Join, running: ExitStack, moving: str
) -> None:
    ann, bob, proxy = relayed_call(join, running, moving=moving)
    assert proxy.cut()
    for each in (ann, bob):
        expect_interruption(each)
    for each in (ann, bob):
        each.expect_remote_picture()
        expect(each.find("call-state")).to_have_text("Connected")
    assert restarts(ann)[0] == 1
    assert bob.messages("offer") == []
    ann.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)
    bob.expect_notice("Ann ended the call.")


# The device comes into another network as soon as it has offered a restart for this one.
ONLINE_TWICE = """() => {
  const come = () => window.dispatchEvent(new Event("online"));
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    send.call(this, text);
    if (!("restart" in (JSON.parse(text).data ?? {}))) return;
    WebSocket.prototype.send = send;
    setTimeout(come);
  };
  come();
}"""


def answers(callee: Participant) -> list[int]:
    """Return the numbers of the restarts that a page has answered."""
    return [answer["restart"] for answer in callee.messages("answer") if "restart" in answer]


def test_who_comes_into_another_network_twice_within_a_second_waits_no_longer_for_it(
    join: Join, running: ExitStack
) -> None:
    ann, bob, proxy = relayed_call(join, running)
    proxy.cut()
    expect_interruption(ann)
    ann.page.evaluate(ONLINE_TWICE)
    ann.wait_until(lambda: len(restarts(ann)) > 1, "two restarts")
    newest = restarts(ann)[1]
    ann.wait_until(lambda: newest in answers(bob) or len(restarts(ann)) > 2, "an answer")
    assert newest in answers(bob)
    for each in (ann, bob):
        each.expect_remote_picture()


def test_a_call_outlives_a_network_together_with_the_way_to_the_server(
    join: Join, running: ExitStack, server: ServerAddress
) -> None:
    wall = running.enter_context(DroppingProxy(server.port))
    ann = join("Ann", url=f"{server.scheme}://127.0.0.1:{wall.port}/", query=RELAYED)
    bob = join("Bob", query=RELAYED)
    proxies = behind(ann, running)
    for each in (ann, bob):
        each.sign_in()
    ann.expect_console(LOST)
    connect(ann, bob)
    expect(ann.find("open-chat")).to_be_visible()
    wall.freeze()
    proxies[0].cut()
    expect(ann.find("server-state")).not_to_have_attribute("data-state", "online")
    before = len(bob.received)
    wall.restore()
    bob.wait_until(
        lambda: "leave" in [message["type"] for message in bob.received[before:]], "Ann's return"
    )
    for each in (ann, bob):
        each.expect_remote_picture()
    ann.hang_up()
    ann.expect_list(bob)
    bob.expect_list(ann)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_relayed_call_outlives_the_server_that_relays_it(
    join: Join, tmp_path: Path, end: signal.Signals
) -> None:
    port = quiet_port()
    with running_server(tmp_path, port=port) as first:
        ann, bob = (join(name, url=first.url, query=RELAYED).sign_in() for name in ("Ann", "Bob"))
        connect(ann, bob)
        for each in (ann, bob):
            each.expect_console(LOST)
            expect(each.find("open-chat")).to_be_visible()
        os.kill(first.pid, end)
        for each in (ann, bob):
            expect(each.find("server-state")).to_have_attribute("data-state", "waiting")
    with running_server(tmp_path, port=port):
        for each in (ann, bob):
            each.wait_online()
        ann.wait_until(lambda: bool(restarts(ann)), "a restart")
        for each in (ann, bob):
            each.expect_remote_picture()
        bob.hang_up()
        ann.expect_notice("Bob ended the call.")
        for each in (ann, bob):
            each.leave()


@pytest.mark.parametrize("whose", ["the caller", "the callee"])
def test_who_hangs_up_while_the_path_is_broken_is_not_waited_for(
    join: Join, running: ExitStack, whose: str
) -> None:
    ann, bob, proxy = relayed_call(join, running)
    ends, stays = (ann, bob) if whose == "the caller" else (bob, ann)
    proxy.cut()
    for each in (ann, bob):
        expect_interruption(each)
    ends.hang_up()
    stays.expect_notice(f"{ends.name} ended the call.")


def test_a_restart_of_a_call_that_is_over_does_not_ring(join: Join, server: ServerAddress) -> None:
    ann, bob = join("Ann").sign_in(), join("Bob").sign_in()
    bob.page.evaluate(
        """([url, to]) => new Promise((resolve) => {
          window.answers = [];
          const socket = new WebSocket(url);
          const send = (type, data) => socket.send(JSON.stringify({ type, data }));
          const offer = { type: "offer", sdp: "v=0" };
          const call = { to, from: "9", session_id: `9-${to}` };
          socket.onopen = () => {
            send("new", { id: "9" });
            send("offer", { ...call, media: "video", description: offer, restart: 7 });
          };
          socket.onmessage = ({ data }) => {
            const { type, data: content } = JSON.parse(data);
            if (type === "answer" || type === "bye") window.answers.push([type, content]);
            if (type === "bye") resolve();
          };
        })""",
        [f"{server.url.replace('http', 'ws', 1)}ws", ann.id],
    )
    session = {"session_id": f"9-{ann.id}"}
    answer = session | {"to": "9", "from": ann.id, "description": None, "restart": 7}
    bye = session | {"to": "9"}
    assert bob.page.evaluate("answers") == [["answer", answer], ["bye", bye]]
    expect(ann.find("incoming")).to_be_hidden()
    expect(ann.find("call")).to_be_hidden()


ATTEMPTS = """async ({ Restart }, { outgoing, restartable, seconds, hurries, lasts }) => {
  const timers = new Map();
  const real = [setTimeout, clearTimeout];
  let now = 0;
  window.setTimeout = (todo, ms) => timers.set(timers.size + 1, [now + ms / 1000, todo]).size;
  window.clearTimeout = (timer) => timers.set(timer, [Infinity]);
  const seen = [];
  const call = Object.assign(new EventTarget(), { state: "connected", outgoing, restartable });
  const restart = new Restart(call, {
    check: () => seen.push([now, "check"]),
    offer: async (number) => {
      seen.push([now, number]);
      if (lasts) await new Promise((resolve) => window.setTimeout(resolve, lasts * 1000));
    },
    giveUp: () => seen.push([now, "give up"]),
  });
  const become = (state) => {
    call.state = state;
    call.dispatchEvent(new Event("state"));
  };
  restart.hurry();
  become("interrupted");
  for (now = 0; now < seconds; now += 1) {
    if (hurries === now) restart.hurry();
    for (const [timer, [at, todo]] of timers) {
      if (at > now) continue;
      timers.set(timer, [Infinity]);
      todo();
    }
    for (let turn = 0; turn < 9; turn += 1) await null; // an offer is waited for
    become(call.state);
  }
  become("connected");
  for (const [at, todo] of timers.values()) if (at < Infinity) todo();
  for (let turn = 0; turn < 9; turn += 1) await null;
  for (const [at, todo] of timers.values()) if (at < Infinity) todo();
  restart.hurry();
  [window.setTimeout, window.clearTimeout] = real;
  return seen;
}"""


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        ({"outgoing": True}, [[0, "check"], [3, 1], [9, 2], [15, 3]]),
        ({"outgoing": True, "hurries": 1}, [[0, "check"], [1, 1], [7, 2], [13, 3], [19, 4]]),
        ({"outgoing": True, "lasts": 4}, [[0, "check"], [3, 1], [13, 2]]),
        ({"outgoing": True, "lasts": 4, "hurries": 5}, [[0, "check"], [3, 1], [5, 2], [15, 3]]),
        ({"outgoing": False}, [[0, "check"]]),
        ({"outgoing": False, "seconds": 50}, [[0, "check"], [40, "give up"]]),
        ({"outgoing": True, "restartable": False, "seconds": 50}, []),
    ],
)
def test_when_a_restart_is_attempted(
    browser: Browser, server: ServerAddress, case: dict[str, Any], seen: list[list[Any]]
) -> None:
    usual = {"restartable": True, "seconds": 20, "hurries": None, "lasts": 0}
    with module_page(browser, server.url) as page:
        assert page.run("restart", ATTEMPTS, usual | case) == seen


PRINTS = "v=0\r\na=fingerprint:sha-256 AA:01\r\nm=audio\r\na=fingerprint:sha-256 AA:02\r\n"


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (PRINTS, True),
        ("a=fingerprint:SHA-256 aa:02\n", True),
        (PRINTS + "a=fingerprint:sha-256 AA:03\r\n", False),
        ("v=0\r\n", False),
    ],
)
def test_a_restart_is_taken_from_the_same_browser_only(
    browser: Browser, server: ServerAddress, after: str, same: bool
) -> None:
    script = "({ sameSide }, [before, after]) => sameSide(before, after)"
    with module_page(browser, server.url) as page:
        assert page.run("restart", script, [PRINTS, after]) is same


@pytest.mark.parametrize(("greeting", "restarts"), [({"restart": True}, True), ({}, False)])
def test_only_who_says_that_it_knows_restarts_is_sent_one(
    browser: Browser, server: ServerAddress, greeting: dict[str, bool], restarts: bool
) -> None:
    script = """({ Chat }, greeting) => {
      const channel = Object.assign(new EventTarget(), { readyState: "open", sent: [] });
      channel.send = (text) => channel.sent.push(JSON.parse(text));
      const chat = new Chat(channel);
      const data = JSON.stringify({ type: "hello", ...greeting });
      channel.dispatchEvent(new MessageEvent("message", { data }));
      return [chat.restarts, channel.sent];
    }"""
    with module_page(browser, server.url) as page:
        told = page.run("chat", script, greeting)
    assert told == [restarts, 2 * [{"type": "hello", "restart": True}]]
