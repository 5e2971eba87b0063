/**
 * Why the server closed a connection or refused to let us in, and what a person can do about it.
 */

import { removalWords } from "./words.js";

/**
 * @typedef {"id" | "token" | "password" | "room" | ""} Question What the sign-in form has to ask for.
 *
 * @typedef {object} Advice
 * @property {"never" | "now" | "later"} retry When to connect again.
 * @property {string} words What to tell the person.
 * @property {Question} [ask] What another attempt needs.
 * @property {boolean} [removed] Whether the operator wants this person to be gone: a call ends then, too.
 */

/** @type {Map<number, Advice>} What the server means by its close codes. */
const CLOSE_CODES = new Map([
  [1001, { retry: "later", words: "The server is shutting down." }],
  [1012, { retry: "later", words: "The server is restarting." }],
  [1013, { retry: "later", words: "The server is full at the moment." }],
  [4001, { retry: "never", words: "You signed in with this id somewhere else, so this page was signed out." }],
  [4008, { retry: "now", words: "This connection was too slow for the server." }],
  [4401, { retry: "never", ask: "token", words: "This server lets in only those who show a token. Enter the one that its operator gave you." }],
  [4403, { retry: "never", words: "The server does not allow this page, or this name, to sign in. Try another name, or ask its operator." }],
  [4408, { retry: "now", words: "Signing in took too long." }],
  [4409, { retry: "never", ask: "id", words: "This id is already in use." }],
  [4429, { retry: "later", words: "The server says: too many connections or messages from here." }],
  [4500, { retry: "later", words: "The server had an internal error." }],
]);

/** @type {Advice} What it means by 4401 once it has let us in. */
const EXPIRED = { retry: "never", ask: "token", words: "Your token has expired, so this page was signed out. Enter a newer one." };

/**
 * What it means by the codes of an `error` about `new`. Of a room the server itself says best what
 * is the matter; the words here stand for it if it does not.
 *
 * @type {Record<string, {ask: Question, words: string, advice?: string}>}
 */
const REFUSALS = {
  "id-in-use": { ask: "id", words: "This id is already in use." },
  "id-not-allowed": { ask: "id", words: "Your token is not for this id. Enter the id that it was made for." },
  "not-authenticated": { ask: "token", words: "The server did not accept your token, or you gave it none. Enter a valid one." },
  "room-password": { ask: "password", words: "This room has another password.", advice: "Enter the password of the room, or leave it empty if it has none." },
  "room-full": { ask: "room", words: "This room is full.", advice: "Wait until somebody has left, or choose another room." },
  "room-unknown": { ask: "room", words: "There is no such room.", advice: "Choose another one." },
  "room-name": { ask: "room", words: "No room can have this name.", advice: "Choose another one." },
  "room-needed": { ask: "room", words: "This server has rooms only.", advice: "Enter the name of the one that you want to join." },
};

/**
 * What to do about a closed connection.
 *
 * @param {number} code WebSocket close code.
 * @param {boolean} wasOnline Whether the server had let us in before.
 * @param {string} [reason] What the server said beside the code.
 * @returns {Advice} Advice for the connection and words for the person.
 */
export function closeAdvice(code, wasOnline, reason = "") {
  if (code === 4401 && wasOnline) return EXPIRED;
  if (code === 4403 && (wasOnline || BAN.test(reason))) return removalAdvice(reason, BAN.test(reason));
  const words = wasOnline ? "The connection to the server was lost." : "The server cannot be reached.";
  return CLOSE_CODES.get(code) ?? { retry: "later", words };
}

/** How the server begins the reason of a ban. */
const BAN = /^(banned: |you are banned$)/;

function removalAdvice(reason, banned) {
  return { retry: "never", removed: true, words: removalWords(reason.replace(BAN, ""), banned) };
}

/**
 * What to do about a refused `new`.
 *
 * @param {{code?: string, reason?: string}} error The server's `error`.
 * @returns {Advice} Words and what to ask for.
 */
export function refusalAdvice({ code, reason }) {
  if (code === "banned") return removalAdvice(typeof reason === "string" ? reason : "", true);
  const { ask, words, advice } = REFUSALS[code] ?? { ask: "", words: `The server refused: ${reason ?? "it did not say why"}` };
  return { retry: "never", ask, words: advice ? `${reason || words} ${advice}` : words };
}

/**
 * Why the browser does not even try to connect.
 *
 * @param {Error} error What `new WebSocket` threw.
 * @param {string} url Address of the server.
 * @returns {string} A sentence with the remedy.
 */
export function socketWords(error, url) {
  const remedy = "Choose another server in the settings.";
  if (error.name !== "SecurityError") return `The browser cannot connect to ${url}: ${error.message} ${remedy}`;
  return `This page came over HTTPS, so the browser does not let it connect to ${url} without TLS. If that server has TLS, write wss:// instead of ws://. ${remedy}`;
}

/**
 * Why waiting for a server came to its end.
 *
 * @param {number} seconds How long that was.
 * @param {boolean} connected Whether it took the connection.
 * @returns {string} A sentence.
 */
export function silenceWords(seconds, connected) {
  if (connected) return `The server took the connection, but did not let us in within ${seconds} s.`;
  return `The server did not answer within ${seconds} s.`;
}

/**
 * What may be in the way of a server that does not answer at all.
 *
 * @param {string} url Address of its WebSocket.
 * @param {string} pageHost Host and port that the page came from.
 * @returns {{words: string, link: {href: string, words: string}}} What to tell, and where to look.
 */
export function unreachableAdvice(url, pageHost) {
  const server = new URL(url);
  const href = `${server.protocol === "wss:" ? "https" : "http"}://${server.host}/`;
  const link = { href, words: `Open ${server.host}` };
  if (navigator.onLine === false) return { words: "This device is offline. The page signs in by itself when the network is back.", link };
  const certificate = server.protocol === "wss:"
    ? " If its certificate is self-made or has changed, open its address once and accept it there."
    : "";
  const whose = server.host === pageHost ? "The server cannot be reached." : `The server ${server.host} cannot be reached.`;
  return { words: `${whose} It may be down, or a network in between may block it.${certificate} The page goes on trying.`, link };
}
