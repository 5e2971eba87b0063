/**
 * Whether a TURN server really relays: a data channel from this page through it, and back to this page.
 */

import { UNREACHABLE } from "./relay.js";

const PATIENCE_MS = 15_000;
const ROUNDS = 10;

/**
 * @typedef {object} Echo
 * @property {number | null} roundTripMs Median time there and back; null if nothing came through.
 * @property {number} refusal The error code with which the server refused a relay to either end; 0
 *   if it did not, or was not reached.
 */

/**
 * Send something through a relay and back. Both ends are here, and both use the relay only, so
 * each message goes to the server twice on its way there, and twice on its way back.
 *
 * @param {RTCIceServer} server A TURN server, with one URL.
 * @param {AbortSignal} signal Ends it early.
 * @param {number} [patienceMs] Longest wait.
 * @returns {Promise<Echo>} What came back.
 */
export async function echo(server, signal, patienceMs = PATIENCE_MS) {
  const configuration = { iceServers: [server], iceTransportPolicy: "relay" };
  const ends = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
  const result = { roundTripMs: null, refusal: 0 };
  for (const end of ends) {
    end.addEventListener("icecandidateerror", ({ errorCode }) => {
      if (errorCode !== UNREACHABLE) result.refusal = errorCode;
    });
  }
  try {
    result.roundTripMs = await Promise.race([measure(ends), aborted(signal, patienceMs), ...ends.map(fruitless)]);
  } catch {
    // an end was closed under way, or does not take the other's description: nothing came through
  } finally {
    for (const end of ends) end.close();
  }
  return result;
}

async function measure(ends) {
  const [near, far] = ends;
  ends.forEach((end, index) => {
    end.addEventListener("icecandidate", ({ candidate }) => {
      ends[1 - index].addIceCandidate(candidate).catch(() => {}); // closed in the meantime
    });
  });
  far.addEventListener("datachannel", ({ channel }) => {
    channel.addEventListener("message", ({ data }) => channel.send(data));
  });
  const channel = near.createDataChannel("echo");
  const open = new Promise((resolve) => channel.addEventListener("open", resolve));
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  await open;
  const times = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await timeOf(channel, round));
  return times.sort((one, other) => one - other)[ROUNDS / 2];
}

async function timeOf(channel, round) {
  const back = new Promise((resolve) => channel.addEventListener("message", resolve, { once: true }));
  const started = performance.now();
  channel.send(String(round));
  await back;
  return performance.now() - started;
}

/** An end that gets no relayed address need not be waited for. */
function fruitless(end) {
  let found = false;
  end.addEventListener("icecandidate", ({ candidate }) => (found ||= Boolean(candidate?.candidate)));
  return new Promise((resolve) => {
    end.addEventListener("icegatheringstatechange", () => end.iceGatheringState === "complete" && !found && resolve(null));
  });
}

function aborted(signal, patienceMs) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    setTimeout(() => resolve(null), patienceMs);
    signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
