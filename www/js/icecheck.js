/**
 * One ICE server looked over: where it is, whether it answers, and whether it relays.
 */

import { gather } from "./gather.js";
import { readUrl } from "./relay.js";
import { echo } from "./relayecho.js";

/** RFC 7064 section 3.1 and RFC 7065 section 3.1. */
const ICE_URL = /^(?:stuns?:|turns?:)(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?(?:\?transport=[a-z]+)?$/i;

/**
 * @typedef {object} Server
 * @property {string} url A `stun:`, `stuns:`, `turn:` or `turns:` URI.
 * @property {string} [username] For a TURN server.
 * @property {string} [credential] For a TURN server.
 * @property {boolean} [added] True if a person added it to the list.
 */

/**
 * @typedef {object} Check
 * @property {Server} server What was looked over.
 * @property {boolean} relays Whether it is a TURN server.
 * @property {import("./gather.js").Gathering | null} gathering What it gave; null if the browser
 *   does not take its URL.
 * @property {number | null} roundTripMs Through the relay to this page and back; null if nothing came.
 * @property {number} refusal The error code with which the server refused to relay after all; 0 if it did not.
 */

/**
 * @param {string} url An ICE server's URI.
 * @returns {boolean} Whether it is that of a TURN server.
 */
export function isTurn(url) {
  return /^turns?:/i.test(url);
}

/**
 * @param {string} url A TURN server's URI.
 * @returns {{transport: "udp" | "tcp" | "tls" | "dtls", host: string, port: string}} The way to it.
 */
export function wayTo(url) {
  const { host, transport } = readUrl(url);
  const colon = host.lastIndexOf(":");
  return { transport, host: host.slice(0, colon), port: host.slice(colon + 1) };
}

/**
 * What is wrong with a server that somebody wants to add.
 *
 * @param {Server} server As it was entered.
 * @returns {string} What was found and what to do; empty if it can be tested.
 */
export function serverProblem({ url, username, credential }) {
  if (!url) return "Enter the address of a server, for example turn:turn.example.org:3478?transport=udp.";
  if (!/^(?:stun|turn)s?:/i.test(url)) return `“${url}” does not begin with stun:, stuns:, turn: or turns:. Put the right one before the host name.`;
  if (!ICE_URL.test(url)) return `“${url}” is not the address of an ICE server: after ${url.split(":")[0]}: come a host, a port if need be, and no slashes.`;
  if (isTurn(url) && !(username && credential)) return "TURN servers ask for a user name and a password: enter both.";
  try {
    new RTCPeerConnection({ iceServers: [iceServer({ url, username, credential })] }).close();
    return "";
  } catch {
    return `This browser does not take “${url}”. Check the port, and whether it is ?transport=udp or ?transport=tcp.`;
  }
}

/**
 * Look a server over.
 *
 * @param {Server} server The server.
 * @param {AbortSignal} signal Ends it early.
 * @returns {Promise<Check>} What was found.
 */
export async function checkServer(server, signal) {
  const check = { server, relays: isTurn(server.url), gathering: null, roundTripMs: null, refusal: 0 };
  try {
    check.gathering = await gather(iceServer(server), signal);
  } catch {
    return check;
  }
  const relay = check.gathering.candidates.some(({ type }) => type === "relay");
  return relay ? { ...check, ...(await echo(iceServer(server), signal)) } : check;
}

/**
 * Work on all items, only so many at a time: each takes sockets, and room on a server.
 *
 * @template T
 * @param {T[]} items What to work on.
 * @param {number} limit How many at a time.
 * @param {(item: T) => Promise<void>} work What to do with each.
 */
export async function eachAtMost(items, limit, work) {
  const waiting = [...items];
  const worker = async () => {
    while (waiting.length) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

function iceServer({ url, username, credential }) {
  return isTurn(url) ? { urls: url, username, credential } : { urls: url };
}
