"""What others may send to the page: how much of it is read, and how much is kept."""

import json
from typing import Any

import pytest

from tests.browser.conftest import Run

CHAT = """async ({ Chat }, [steps, waited]) => {
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const [from, to] of [[one, other], [other, one]]) {
    from.onicecandidate = ({ candidate }) => candidate && to.addIceCandidate(candidate);
  }
  const raw = one.createDataChannel("chat");
  const arrived = new Promise((resolve) => {
    other.ondatachannel = ({ channel }) => resolve(channel);
  });
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  const chat = new Chat(await arrived);
  const seen = [];
  for (const type of ["ready", "text", "state", "flooded", "closed"]) {
    chat.addEventListener(type, ({ detail }) => seen.push([type, detail ?? null]));
  }
  const said = [];
  raw.onmessage = ({ data }) => said.push(JSON.parse(data));
  if (raw.readyState !== "open") await new Promise((resolve) => (raw.onopen = resolve));
  const before = chat.say("too early");
  for (const step of steps) raw.send(typeof step === "string" ? step : JSON.stringify(step));
  while (seen.length < waited) await new Promise((resolve) => setTimeout(resolve, 10));
  const alive = await chat.alive(0.5);
  one.close();
  other.close();
  return { seen, said, before, alive };
}"""


def test_a_chat_takes_no_harm_from_what_it_does_not_understand(run: Run) -> None:
    state = {"type": "state", "microphone": False, "camera": 1, "screen": "yes"}
    odd = ["{", "null", "[]", '"text"', {"type": "text"}, {"type": "text", "text": 1}, {"type": 7}]
    pings = [{"type": "ping", "number": 5}, {"type": "pong", "number": 5}]
    text = {"type": "text", "text": "x" * 5000}
    greetings = [{"type": "hello"}, {"type": "hello"}]
    outcome = run("chat", CHAT, [[*odd, *pings, *greetings, text, state, state], 3])
    assert outcome["before"] is False
    assert outcome["alive"] is False, "nobody answered"
    told = [message["type"] for message in outcome["said"]]
    assert told[-3:] == ["pong", "hello", "ping"], "its first greeting may be lost in the browser"
    switched = {"microphone": False, "camera": True, "screen": False}
    assert outcome["seen"] == [["ready", None], ["text", "x" * 4000], ["state", switched]]


@pytest.mark.parametrize("number", [None, "5", 1.5, 2.0**53, {"a": "x" * 100}, [1]])
def test_only_a_ping_with_a_whole_number_is_answered(run: Run, number: Any) -> None:
    pings = [{"type": "ping", "number": number}, {"type": "ping", "number": 7}]
    outcome = run("chat", CHAT, [[*pings, {"type": "hello"}], 1])
    pongs = [message for message in outcome["said"] if message["type"] == "pong"]
    assert pongs == [{"type": "pong", "number": 7}]


def test_a_flood_of_messages_is_bounded_and_told_once(run: Run) -> None:
    texts = [{"type": "text", "text": str(number)} for number in range(3000)]
    outcome = run("chat", CHAT, [[{"type": "hello"}, *texts, *texts], 101])
    shown = [detail for kind, detail in outcome["seen"] if kind == "text"]
    assert shown[:99] == [str(number) for number in range(99)]
    assert len(shown) < 1000
    assert [kind for kind, _ in outcome["seen"]].count("flooded") == 1


def test_a_message_that_no_honest_page_sends_is_not_even_parsed(run: Run) -> None:
    long = {"type": "text", "text": "x", "ballast": "y" * 30_000}
    outcome = run("chat", CHAT, [[{"type": "hello"}, long, {"type": "text", "text": "z"}], 2])
    assert outcome["seen"] == [["ready", None], ["text", "z"]]
    escaped = json.dumps({"type": "text", "text": "\N{SNOWMAN}" * 4000})
    outcome = run("chat", CHAT, [[{"type": "hello"}, escaped], 2])
    assert outcome["seen"][1] == ["text", "\N{SNOWMAN}" * 4000]


def test_who_does_not_read_is_not_answered(run: Run) -> None:
    script = """({ Chat }) => {
      const channel = Object.assign(new EventTarget(), { readyState: "open", sent: [] });
      channel.send = (text) => channel.sent.push(JSON.parse(text));
      new Chat(channel);
      for (const [number, bufferedAmount] of [[1, 0], [2, 20_000], [3, 100]]) {
        channel.bufferedAmount = bufferedAmount;
        const data = JSON.stringify({ type: "ping", number });
        channel.dispatchEvent(new MessageEvent("message", { data }));
      }
      return channel.sent.slice(1).map(({ number }) => number);
    }"""
    assert run("chat", script) == [1, 3]


ALLOWED = """({ Allowance }, steps) => {
  const real = performance.now;
  let now = 0;
  performance.now = () => now;
  try {
    const allowance = new Allowance();
    return steps.map(([at, senders]) => {
      now = at * 1000;
      return senders.map((sender) => Number(allowance.take(sender))).join("");
    });
  } finally {
    performance.now = real;
  }
}"""


@pytest.mark.parametrize(
    ("steps", "answered"),
    [
        ([(0, "aaaaa")], ["11100"]),
        ([(0, "aaaab"), (0.9, "aab"), (1.1, "aab"), (9, "aaaa")], ["11101", "001", "101", "1110"]),
        ([(0, "abcdefghijklmnopqrstuvwxyz"), (1, "abcdefg")], ["1" * 20 + "0" * 6, "1111100"]),
    ],
)
def test_what_strangers_may_ask_for(
    run: Run, steps: list[tuple[float, str]], answered: list[str]
) -> None:
    assert run("allowance", ALLOWED, [[at, list(senders)] for at, senders in steps]) == answered


def test_what_is_known_of_strangers_is_bounded(run: Run) -> None:
    crowd = [f"{number}" for number in range(64)]
    steps = [(0, ["a"] * 4), (100, [*crowd[:63], "a"]), (101, crowd), (102, ["a"] * 3)]
    answers = run("allowance", ALLOWED, steps)
    assert answers[0] == "1110"
    assert answers[3] == "111", "forgotten: the crowd came after it"


def test_early_candidates_are_kept_in_order_and_within_bounds(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      for (let sender = 0; sender < 100; sender += 1) early.keep("s", `a${sender}`, sender);
      for (let number = 0; number < 100; number += 1) early.keep("s", "a99", number);
      for (let session = 0; session < 100; session += 1) early.keep(`s${session}`, "a98", session);
      const alike = ["a83", "a84", "a99", "a99"].map((sender) => early.take("s", sender));
      return [...alike, early.take("s62", "a98"), early.take("s63", "a98")];
    }"""
    gone, oldest, many, again, last, surplus = run("earlycandidates", script)
    assert (gone, oldest) == ([], [84]), "sixteen senders"
    assert (many, again) == ([99, *range(63)], [])
    assert (last, surplus) == ([62], []), "64 candidates of a sender, whatever the session"


def test_a_description_that_is_long_and_empty_does_not_stop_the_page(run: Run) -> None:
    script = """({ sameSide }, spaces) => {
      const sdp = `a=fingerprint:sha-256${" ".repeat(spaces)}AA:01 \\t\\r\\n`;
      const started = performance.now();
      return [sameSide(sdp, sdp), performance.now() - started];
    }"""
    same, lasted_ms = run("restart", script, 30_000)
    assert same
    assert lasted_ms < 1000, "seconds, if each space is a new start"


CANDIDATE = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (CANDIDATE, CANDIDATE | {"sdpMLineIndex": None}),
        (
            CANDIDATE | {"sdpMLineIndex": 0, "ballast": "x" * 60_000},
            CANDIDATE | {"sdpMLineIndex": 0},
        ),
        (CANDIDATE | {"candidate": "x" * 1025}, None),
        (CANDIDATE | {"sdpMid": "x" * 65}, None),
        (CANDIDATE | {"sdpMid": {}}, None),
        (CANDIDATE | {"sdpMLineIndex": [1]}, None),
        ({"candidate": 7}, None),
        (None, None),
    ],
)
def test_of_a_candidate_only_what_is_needed_is_kept(run: Run, data: Any, read: Any) -> None:
    assert run("candidate", "({ readCandidate }, data) => readCandidate(data)", data) == read


def test_early_candidates_of_one_sender_are_not_used_for_another(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      early.keep("s", "a", 1);
      early.keep("s", "b", 2);
      early.keep("t", "b", 3);
      const taken = [early.take("s", "a"), early.take("s", "c")];
      early.forget("s");
      return [...taken, early.take("s", "b"), early.take("t", "b")];
    }"""
    assert run("earlycandidates", script) == [[1], [], [], [3]]


def test_old_early_candidates_are_forgotten(run: Run) -> None:
    script = """({ EarlyCandidates }) => {
      const early = new EarlyCandidates();
      const real = performance.now;
      early.keep("s", "a", 1);
      performance.now = () => real.call(performance) + 31_000;
      try { return early.take("s", "a"); } finally { performance.now = real; }
    }"""
    assert run("earlycandidates", script) == []
