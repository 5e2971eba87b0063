/**
 * Every sentence that explains what happened, in one place.
 *
 * A sentence says what was found and, where a person can do something about it, what to do.
 */

import { UNREACHABLE } from "./relay.js";

/** @returns {string} Why this page gets neither camera nor microphone. */
export function insecureWords() {
  return `This page came over plain HTTP from ${location.hostname}. Browsers hand out camera and microphone `
    + "only to pages that came over HTTPS, or from localhost. Open its https:// address to be seen and heard; here you can only watch and listen.";
}

/**
 * What has become of the token of a link that the server of this moment is not shown.
 *
 * @param {import("./settings.js").TokenFate} fate As the settings say.
 * @param {string} own Host of the page, which the token is for.
 * @param {string} chosen Host, or address, of the server of this moment.
 * @returns {string} A sentence with the remedy; empty if it needs none.
 */
export function tokenWords(fate, own, chosen) {
  const where = `it is for ${own}, but you sign in at ${chosen}`;
  const remedy = "clear “Server” in the settings";
  if (fate === "elsewhere") return `The token in the link is not used here: ${where}. To use it, ${remedy}.`;
  if (fate === "dropped") return `The token in the link was not kept: ${where}, with a token of its own. To use it, ${remedy}, then follow the link again.`;
  return "";
}

/**
 * Why camera and microphone could not be opened.
 *
 * @param {unknown} error What getUserMedia rejected with.
 * @returns {string} A sentence with the remedy.
 */
export function mediaWords(error) {
  if (!window.isSecureContext) return insecureWords();
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser was not allowed to use camera and microphone. Allow them beside the address bar, then try again.";
    case "NotFoundError":
      return "No camera and no microphone were found. Plug one in, then try again.";
    case "NotReadableError":
    case "AbortError":
      return "Camera or microphone did not start. Another program may be using it: close that, then try again.";
    default:
      return `Camera and microphone could not be opened (${error?.name ?? "unknown error"}).`;
  }
}

/**
 * Words for each way a call can end. `who` is the other side's name, `why` a sentence of detail.
 *
 * @type {Record<string, [tone: "info" | "problem", words: (who: string, why: string) => string]>}
 */
const ENDINGS = {
  "hung-up": ["info", (who) => `You ended the call with ${who}.`],
  "peer-hung-up": ["info", (who) => `${who} ended the call.`],
  "rejected": ["info", (who) => `You rejected the call from ${who}.`],
  "peer-rejected": ["info", (who) => `${who} did not take the call.`],
  "cancelled": ["info", (who) => `You cancelled the call to ${who}.`],
  "peer-cancelled": ["info", (who) => `You missed a call from ${who}.`],
  "no-media": ["info", (who) => `There was no call with ${who}, since neither camera nor microphone could be used.`],
  // "bye" says no more: it comes from a person who changed his mind, and from a browser that found no path
  "peer-gave-up": ["info", (who) => `${who} ended the call before it was connected; perhaps no network path was found.`],
  "no-answer": ["info", (who) => `${who} did not answer.`],
  "peer-left": ["info", (who) => `${who} has left, so the call is over.`],
  "removed": ["problem", (who) => `The operator removed you, so the call with ${who} is over.`],
  "peer-removed": ["info", (who) => `The operator removed ${who}, so the call is over.`],
  "call-ended": ["info", (who, why) => operatorWords(`The operator ended the call with ${who}`, why)],
  "not-found": ["problem", (who) => `${who} is not here: nobody is signed in with that id.`],
  "refused": ["problem", (who, why) => `The server did not put the call to ${who} through: ${why}`],
  "server-lost": ["problem", (who) => `The call with ${who} could not be set up, because the connection to the server was lost.`],
  "connection-lost": ["problem", (who) => `The connection to ${who} was lost.`],
  "no-path": ["problem", (who, why) => `No network path to ${who} was found.${why ? ` ${why}` : ""}`],
  "failed": ["problem", (who, why) => `The call with ${who} failed: ${why}`],
};

/**
 * Say how a call ended.
 *
 * @param {string} cause One of the keys above.
 * @param {string} who Name of the other side.
 * @param {string} [why] Detail.
 * @returns {{tone: "info" | "problem", words: string}} What to show.
 */
export function endingWords(cause, who, why = "") {
  const [tone, words] = ENDINGS[cause] ?? ENDINGS.failed;
  return { tone, words: words(who, why || (ENDINGS[cause] ? "" : cause)) };
}

/** What the server says for an operator who gave no reason. */
const NO_REASONS = new Set(["", "ended by the operator"]);

/** A reason as the server's own commands take it is shorter. */
const MAX_REASON_LENGTH = 200;

/** A sentence with the operator's reason behind it: text of somebody else, so it is not let grow. */
function operatorWords(sentence, reason) {
  const text = reason.slice(0, MAX_REASON_LENGTH).trim();
  return NO_REASONS.has(text) ? `${sentence}.` : `${sentence}: ${text}`;
}

/**
 * Say that the operator does not want this person here.
 *
 * @param {string} reason What the server said.
 * @param {boolean} banned Whether that is to last.
 * @returns {string} A sentence.
 */
export function removalWords(reason, banned) {
  return operatorWords(banned ? "The operator of this server has banned you" : "The operator removed you", reason);
}

/** @type {Record<string, string>} What a caller wants. */
export const INCOMING = {
  video: "wants a video call",
  audio: "wants an audio call",
  data: "wants to chat",
};

/** @type {Record<string, string>} The state line of a call that is going on. */
export const CALL_STATES = {
  preparing: "Starting camera and microphone…",
  ringing: "Ringing…",
  connecting: "Connecting…",
  connected: "Connected",
  interrupted: "Connection lost – reconnecting…",
  ending: "Ending the call…",
};

/** @type {Record<string, string>} How a TURN server is reached. */
const TRANSPORTS = { udp: "UDP", tcp: "TCP", tls: "TLS", dtls: "DTLS" };

/** What a TURN server means by its error codes (RFC 8656 section 19). */
const TURN_ERRORS = new Map([
  [401, "did not accept this page's credential. Call again: the page will ask for a new one"],
  [403, "does not allow it"],
  [486, "gives you no more room: its limit for one user or address is reached"],
  [508, "is full at the moment"],
]);

/**
 * Why TURN servers did not help a call that found no path.
 *
 * @param {import("./relay.js").RelayTrouble} trouble What has become of them.
 * @param {boolean} relayOnly Whether the call could use nothing else.
 * @returns {string} A few sentences; empty if there is nothing to say.
 */
export function relayWords({ found, errors }, relayOnly) {
  const only = relayOnly ? "“Relay only” is switched on, " : "";
  if (found) return only && `${only}and the TURN server found no way to the other side.`;
  const refusal = errors.find(({ code }) => code !== UNREACHABLE);
  if (refusal) return `${only ? `${only}but the` : "The"} TURN server at ${refusal.host} ${refusalWords(refusal.code)}.`;
  if (!errors.length) return ""; // there is none to talk about
  const places = errors.map(({ host, transport }) => `${host} over ${TRANSPORTS[transport]}`).join(", ");
  return `${only ? `${only}but no` : "No"} TURN server answered (${places}). It may be down, or a firewall may be in the way.`;
}

function refusalWords(code) {
  return TURN_ERRORS.get(code) ?? `refused (error ${code})`;
}

/**
 * Why a call that may only be relayed cannot even begin.
 *
 * @param {import("./relay.js").RelayTransport} transport How TURN servers may be reached.
 * @param {string} problem Why the server could not be asked for them; empty if it could.
 * @returns {string} A sentence with the remedy.
 */
export function noRelayWords(transport, problem) {
  if (problem) return `“Relay only” is switched on, but the server could not be asked for its TURN servers (${problem}).`;
  const over = transport === "any" ? "" : ` over ${transport.toUpperCase()}, the only way that your settings allow`;
  return `“Relay only” is switched on, but this server offers no TURN server${over}.`;
}

/**
 * Say which way a call takes.
 *
 * @param {import("./path.js").Path} path The path.
 * @returns {{short: string, long: string}} A badge, and what it means.
 */
export function pathWords({ kind, relay, tripMs }) {
  if (kind === "unknown") return { short: "", long: "" };
  const trip = Number.isFinite(tripMs) ? ` · ${Math.round(tripMs)} ms` : "";
  if (kind === "direct") return { short: `Direct${trip}`, long: "Sound and picture go straight from browser to browser." };
  const over = TRANSPORTS[relay] ?? relay;
  const whose = relay ? `a TURN server, which this browser reaches over ${over}` : "the TURN server of the other side";
  return {
    short: `Relayed${over && `, TURN over ${over}`}${trip}`,
    long: `Sound and picture go through ${whose}. It passes them on, but cannot see or hear them: only the two browsers can.`,
  };
}

const KILO = 1000;

/**
 * @param {number} bytes A size.
 * @returns {string} For example "12.3 MB".
 */
export function sizeWords(bytes) {
  return scaled(bytes, ["bytes", "kB", "MB", "GB", "TB"]);
}

/**
 * @param {number} bytesPerSecond A speed.
 * @returns {string} For example "3.1 MB/s".
 */
export function rateWords(bytesPerSecond) {
  return scaled(bytesPerSecond, ["bytes/s", "kB/s", "MB/s", "GB/s"]);
}

/**
 * @param {number} bitsPerSecond A bitrate.
 * @returns {string} For example "1.2 Mbit/s".
 */
export function bitrateWords(bitsPerSecond) {
  return scaled(bitsPerSecond, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);
}

function scaled(value, units) {
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  const number = value / KILO ** step;
  return `${number.toFixed(step && number < 100 ? 1 : 0)} ${units[step]}`;
}

/** What candidates of each type (RFC 8445 section 4) are. */
const CANDIDATES = { host: "own address", srflx: "address behind the router", prflx: "address behind a router", relay: "TURN server" };

/**
 * Of a TURN server only the way to it is of interest: between relays everything goes over UDP
 * (RFC 8656 section 3.1). How the other side reaches its own is not known here.
 *
 * @param {import("./quality.js").PathEnd | undefined} end One end of the path in use.
 * @param {boolean} [isRemote] Whether it is that of the other side.
 * @returns {string} For example "TURN server, reached over TCP (192.0.2.1)".
 */
export function candidateWords(end, isRemote = false) {
  if (!end?.type) return "–";
  const over = TRANSPORTS[end.relayProtocol || end.protocol] ?? end.protocol;
  const way = end.type !== "relay" ? over && ` over ${over}` : end.relayProtocol && !isRemote && `, reached over ${over}`;
  return `${CANDIDATES[end.type] ?? end.type}${way || ""}${end.address ? ` (${end.address})` : ""}`;
}
