"""What the telephone does with restarts, also with those of calls that it does not know."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import module_page
from tests.browser.serverprocess import ServerAddress

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(browser: Browser, server: ServerAddress) -> Iterator[Run]:
    """Return a function that runs a JavaScript function with a module as its first argument."""
    with module_page(browser, server.url) as opened:
        yield opened.run


PHONE = """
  const sent = [];
  const send = (type, data) => sent.push([type, data]);
  const signaling = { online: true, check: () => {}, send };
  const settings = { id: "3", relayOnly: false, relayTransport: "udp" };
  const urls = ["turn:192.0.2.1:1?transport=udp", "turn:192.0.2.1:2?transport=tcp"];
  const offered = urls.map((url) => ({ urls: [url], username: "u", credential: "c" }));
  const ice = { get: async () => offered, forget: () => {}, problem: "" };
  const phone = new Phone({ signaling, settings, ice, nameOf: (id) => id, isHere: () => true });
  const other = new RTCPeerConnection();
  other.createDataChannel("chat");
  const description = (({ type, sdp }) => ({ type, sdp }))(await other.createOffer());
  const offer = (session, more) =>
    phone.receive("offer", { from: "5", session_id: session, media: "data", description, ...more });
  const until = async (met) => {
    for (let turn = 0; !met(); turn += 1) {
      if (turn > 2000) throw new Error("waited in vain");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
"""


def with_phone(script: str) -> str:
    return f"async ({{ Phone }}) => {{ {PHONE} {script} }}"


def test_restarts_of_calls_that_are_over_are_refused_once_a_second(run: Run) -> None:
    script = """
      const real = performance.now;
      let now = 0;
      performance.now = () => now;
      try {
        for (const at of [0, 0, 999, 1000, 1500]) {
          now = at;
          offer("5-3", { restart: at });
        }
      } finally {
        performance.now = real;
      }
      return sent.map(([type, { restart }]) => [type, restart ?? null]);
    """
    refused = [["answer", 0], ["bye", None], ["answer", 1000], ["bye", None]]
    assert run("phone", with_phone(script)) == refused


def test_a_restart_that_is_never_answered_does_not_keep_the_next_call_from_one(run: Run) -> None:
    script = """
      for (const answering of [new Promise(() => {}), Promise.resolve(description)]) {
        offer("5-3");
        Object.defineProperty(phone.current, "restartable", { value: true });
        phone.current.answerRestart = () => answering;
        offer("5-3", { restart: 1 });
        await new Promise((resolve) => setTimeout(resolve, 0));
        phone.receive("bye", { session_id: "5-3", code: "call-ended" });
      }
      return sent.map(([type]) => type);
    """
    assert run("phone", with_phone(script)) == ["answer"]


def test_a_restart_reaches_turn_servers_as_the_call_did(run: Run) -> None:
    script = """
      offer("5-3");
      phone.accept("none");
      await until(() => sent.length || !phone.current);
      settings.relayTransport = "tcp";
      Object.defineProperty(phone.current, "restartable", { value: true });
      let found;
      phone.current.answerRestart = async (_, findServers) => {
        found = await findServers();
        return null;
      };
      offer("5-3", { restart: 1 });
      await until(() => found);
      phone.removed();
      return [found.flatMap(({ urls }) => urls), sent.map(([type]) => type).at(0)];
    """
    assert run("phone", with_phone(script)) == [["turn:192.0.2.1:1?transport=udp"], "answer"]


def test_the_offer_of_a_restart_is_applied_before_turn_servers_are_asked_for(run: Run) -> None:
    script = """async ({ Call }) => {
      const other = new RTCPeerConnection();
      other.createDataChannel("chat");
      await other.setLocalDescription();
      const peer = { id: "5", name: "5" };
      const { localDescription: offer } = other;
      const call = new Call({ sessionId: "5-3", peer, outgoing: false, media: "data", offer });
      call.open({ stream: new MediaStream(), note: "" }, [], false);
      await other.setRemoteDescription(await call.makeAnswer());
      other.restartIce();
      await other.setLocalDescription();
      let state;
      const answer = await call.answerRestart(other.localDescription, async () => {
        state = call.connection.signalingState;
        return [{ urls: "stun:127.0.0.1:9" }];
      });
      const servers = call.connection.getConfiguration().iceServers.length;
      await other.setRemoteDescription(answer);
      call.close();
      other.close();
      return [state, servers, answer.type];
    }"""
    assert run("call", script) == ["have-remote-offer", 1, "answer"]
