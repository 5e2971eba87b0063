"""What the telephone does with offers that come within a call, or for one that it does not know."""

from tests.browser.conftest import Run

PHONE = """
  const sent = [];
  const send = (type, data) => sent.push([type, data]);
  const signaling = { online: true, check: () => {}, send };
  const settings = { id: "3", relayOnly: false, relayTransport: "udp" };
  const urls = ["turn:192.0.2.1:1?transport=udp", "turn:192.0.2.1:2?transport=tcp"];
  const offered = urls.map((url) => ({ urls: [url], username: "u", credential: "c" }));
  const ice = { get: async () => offered, forget: () => {}, problem: "" };
  const { CallMedia } = await import("/js/callmedia.js");
  const media = new CallMedia(settings);
  const parts = { signaling, settings, ice, media, nameOf: (id) => id, isHere: () => true };
  const phone = new Phone(parts);
  const other = new RTCPeerConnection();
  other.createDataChannel("chat");
  const description = (({ type, sdp }) => ({ type, sdp }))(await other.createOffer());
  const said = (type) => sent.filter(([each]) => each === type).map(([, content]) => content);
  const offer = (session, more) =>
    phone.receive("offer", { from: "5", session_id: session, media: "data", description, ...more });
  const until = async (met) => {
    for (let turn = 0; !met(); turn += 1) {
      if (turn > 2000) throw new Error("waited in vain");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
"""


def with_phone(script: str, scene: str = "") -> str:
    return f"async ({{ Phone }}) => {{ {PHONE} {{ {scene} {script} }} }}"


FLOOD = """
      const real = performance.now;
      let now = real.call(performance);
      performance.now = () => now;
      const phone = new Phone(parts);
      const flood = (times, more) => {
        const data = { media: "data", description, ...more };
        for (let turn = 0; turn < times; turn += 1) phone.receive("offer", data);
      };
"""


def test_restarts_of_calls_that_are_over_are_not_refused_in_a_flood(run: Run) -> None:
    script = """
      const counts = [];
      for (const seconds of [0, 0.999, 0.002, 60]) {
        now += seconds * 1000;
        sent.length = 0;
        flood(50, { from: "5", session_id: "5-3", restart: 7 });
        counts.push([said("answer").length, said("bye").length]);
      }
      flood(1, { from: "6", session_id: "6-3", restart: 8 });
      performance.now = real;
      return [counts, said("answer").at(-1)];
    """
    counts, last = run("phone", with_phone(script, FLOOD))
    assert counts == [[3, 3], [0, 0], [1, 1], [3, 3]]
    assert last == {"to": "6", "from": "3", "session_id": "6-3", "description": None, "restart": 8}


def test_who_calls_again_and_again_within_a_call_is_not_answered_each_time(run: Run) -> None:
    script = """
      const missed = [];
      phone.addEventListener("missed", ({ detail: { peer } }) => missed.push(peer.id));
      flood(1, { from: "5", session_id: "5-3" });
      const own = phone.current;
      const turnedAway = () => said("bye").splice(0).map(({ session_id: session }) => session);
      const found = [];
      for (const [seconds, from] of [[0, "7"], [0, "8"], [1.001, "7"]]) {
        now += seconds * 1000;
        sent.length = 0;
        flood(50, { from, session_id: `${from}-3` });
        found.push(turnedAway());
      }
      now += 60_000;
      sent.length = 0;
      for (let each = 100; each < 200; each += 1) {
        flood(9, { from: `${each}`, session_id: `${each}-3` });
      }
      found.push(turnedAway().length);
      performance.now = real;
      return [found, missed.length, phone.current === own];
    """
    found, missed, stays = run("phone", with_phone(script, FLOOD))
    assert found == [["7-3"] * 3, ["8-3"] * 3, ["7-3"], 20]
    assert missed == 3 + 3 + 1 + 20
    assert stays


def test_two_who_call_each_other_are_not_kept_busy_by_it(run: Run) -> None:
    script = """
      phone.dial("5", "audio");
      await until(() => phone.current.state === "ringing");
      sent.length = 0;
      flood(50, { from: "5", session_id: "5-3" });
      performance.now = real;
      phone.removed();
      return sent.map(([type, { session_id: session }]) => [type, session]);
    """
    assert run("phone", with_phone(script, FLOOD)) == [["bye", "5-3"]] * 3


RESTARTED = """
      await other.setLocalDescription(description);
      offer("5-3");
      phone.accept("none");
      await until(() => said("answer").length);
      await other.setRemoteDescription(said("answer")[0].description);
      const call = phone.current;
      Object.defineProperty(call, "restartable", { get: () => !call.over });
      sent.length = 0;
      const restart = async (number) => {
        other.restartIce();
        await other.setLocalDescription();
        const { type, sdp } = other.localDescription;
        offer("5-3", { description: { type, sdp }, restart: number });
        return /^a=ice-ufrag:(.*)$/m.exec(sdp)[1].trim();
      };
      const answered = () => said("answer").map(({ restart }) => restart);
"""


def test_of_restarts_that_come_at_once_the_newest_is_answered_soon(run: Run) -> None:
    script = """
      const began = performance.now();
      for (let number = 1; number < 20; number += 1) await restart(number);
      await until(() => answered().length === 2);
      const gap = performance.now() - began;
      await other.setRemoteDescription(said("answer")[1].description);
      await restart(20);
      await until(() => answered().length === 3);
      phone.removed();
      other.close();
      return [answered(), gap, performance.now() - began];
    """
    answered, second_ms, third_ms = run("phone", with_phone(script, RESTARTED))
    assert answered == [1, 19, 20]
    assert second_ms >= 990, "one a second"
    assert third_ms >= 1980


def test_candidates_of_a_restart_that_waits_are_not_used_for_the_one_before(run: Run) -> None:
    script = """
      const used = [];
      const { connection } = call;
      const [describe, add] = [connection.setRemoteDescription, connection.addIceCandidate];
      connection.setRemoteDescription = (description) => {
        used.push(/^a=ice-ufrag:(.*)$/m.exec(description.sdp)[1].trim());
        return describe.call(connection, description);
      };
      connection.addIceCandidate = (candidate) => {
        used.push(candidate.candidate);
        return add.call(connection, candidate);
      };
      const tell = (name) => {
        const line = `candidate:1 1 udp 1 127.0.0.1 9 typ host ufrag ${name}`;
        const candidate = { candidate: line, sdpMid: "0" };
        phone.receive("candidate", { from: "5", session_id: "5-3", candidate });
        return line;
      };
      const first = await restart(1);
      const expected = [first, tell(first)];
      const second = await restart(2);
      const candidate = tell(second);
      expected.push(second, candidate);
      await until(() => used.length === 4);
      await until(() => answered().length === 2);
      expected.push(tell(second));
      await until(() => used.length === 5);
      phone.removed();
      other.close();
      return [used, expected];
    """
    used, expected = run("phone", with_phone(script, RESTARTED))
    assert used == expected


WAITING = """
      await restart(1);
      await until(() => answered().length === 1);
      const used = [];
      const add = call.connection.addIceCandidate;
      call.connection.addIceCandidate = (candidate) => {
        used.push(candidate.candidate);
        return add.call(call.connection, candidate);
      };
      const tell = (port) => {
        const line = `candidate:1 1 udp 1 127.0.0.1 ${port} typ host`;
        const candidate = { candidate: line, sdpMid: "0" };
        phone.receive("candidate", { from: "5", session_id: "5-3", candidate });
        return line;
      };
"""


def test_candidates_of_a_restart_that_is_skipped_are_never_used(run: Run) -> None:
    script = f"""
      {WAITING}
      await restart(2);
      tell(2);
      await restart(3);
      const expected = [tell(3)];
      await until(() => answered().length === 2);
      phone.removed();
      other.close();
      return [used, expected, answered()];
    """
    used, expected, answered = run("phone", with_phone(script, RESTARTED))
    assert used == expected
    assert answered == [1, 3]


def test_candidates_of_somebody_elses_restart_are_never_used(run: Run) -> None:
    script = f"""
      {WAITING}
      const stranger = new RTCPeerConnection();
      stranger.createDataChannel("chat");
      const {{ type, sdp }} = await stranger.createOffer();
      const taken = call.answerRestart.bind(call);
      let refused = false;
      call.answerRestart = async (...offered) => {{
        const answer = await taken(...offered);
        refused ||= answer === null;
        return answer;
      }};
      offer("5-3", {{ description: {{ type, sdp }}, restart: 2 }});
      tell(2);
      await until(() => refused);
      await restart(3);
      const expected = [tell(3)];
      await until(() => answered().length === 2);
      phone.removed();
      for (const each of [other, stranger]) each.close();
      return [used, expected];
    """
    used, expected = run("phone", with_phone(script, RESTARTED))
    assert used == expected


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


BYE = """
      offer("5-3");
      const call = phone.current;
      Object.defineProperty(call, "restartable", { get: () => !call.over });
      let asked = 0;
      const alive = () => new Promise((resolve) => setTimeout(resolve, 20, (asked += 1) > 9));
      const chat = { ready: true, alive };
      Object.assign(call, { state: "connected", connectedAt: performance.now(), chat });
      const ended = [];
      phone.addEventListener("ended", ({ detail: { cause } }) => ended.push(cause));
      phone.receive("bye", { session_id: "5-3" });
"""


def test_a_bye_of_a_server_that_stops_ends_no_call(run: Run) -> None:
    script = """
      signaling.onlineSince = 0;
      phone.serverLost();
      await until(() => asked > 9);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return [ended, asked, phone.current === call];
    """
    assert run("phone", with_phone(script, BYE)) == [[], 10, True]


def test_a_bye_of_a_server_that_goes_on_ends_a_call_whose_other_side_does_not_answer(
    run: Run,
) -> None:
    script = """
      await until(() => ended.length);
      return [ended, asked];
    """
    assert run("phone", with_phone(script, BYE)) == [["peer-hung-up"], 1]
