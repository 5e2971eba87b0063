/**
 * Asking the server which ICE servers it has, for the test page: every refusal in words.
 */

const TIMEOUT_MS = 8000;

/** What stands for who asks, where the server does not mind. */
const NOBODY = "ice-test";

/** Refusals by the code that the server gives (docs/http.md). */
const REFUSALS = {
  "not-authenticated": "The server tells its ICE servers only to those who show a token, and it did not get a valid one. Enter a token, and test again.",
  banned: "The server does not want this device or network (403). Only its operator can change that.",
  "not-a-peer": "The server tells its ICE servers only to those who are signed in. Sign in on the call page in another tab, enter the id of that tab here, and test again.",
  "name-not-allowed": "The token is for another id. Enter the id that it was made for, and test again.",
  "bad-username": "The server does not take this id. Enter another one, of at most 128 characters.",
  "plugin-failed": "The server cannot check tokens at the moment (503). Try again later, or tell its operator.",
};

const STATUSES = {
  401: REFUSALS["not-authenticated"],
  403: "The server does not allow this device or this id to ask for its ICE servers (403).",
  404: "This server has no list of ICE servers at /api/turn (404). Is it the right one?",
};

/** The server did not tell its ICE servers; `message` says why in plain words. */
export class AnswerError extends Error {}

/**
 * @param {{id: string, token: string}} asker Who asks; both may be empty.
 * @param {AbortSignal} signal Ends it early.
 * @returns {Promise<import("./icecheck.js").Server[]>} One entry for each URL.
 * @throws {AnswerError} If there is no answer, or none that can be used.
 */
export async function askServers({ id, token }, signal) {
  const response = await ask(id || NOBODY, token, signal);
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new AnswerError(refusalWords(response, answer));
  if (!Array.isArray(answer?.iceServers)) throw new AnswerError("The server's answer is not a list of ICE servers. Is there another server behind this address?");
  return answer.iceServers.flatMap(toServers);
}

async function ask(username, token, signal) {
  if (!/^[\x21-\x7e]*$/.test(token)) throw new AnswerError("What was entered has characters that no token has, perhaps a space. Copy the token again, and test again.");
  const query = new URLSearchParams({ service: "turn", username, format: "ice" });
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), TIMEOUT_MS);
  signal.addEventListener("abort", () => timeout.abort(), { once: true });
  try {
    return await fetch(`/api/turn?${query}`, { cache: "no-store", headers, signal: timeout.signal });
  } catch {
    throw new AnswerError(awayWords());
  } finally {
    clearTimeout(timer);
  }
}

function awayWords() {
  if (navigator.onLine === false) return "This device is offline: there is nothing to test until it has a network.";
  return `The server ${location.host} does not answer. It may be down, or a network in between may block it.`;
}

function refusalWords(response, answer) {
  const code = answer?.error?.code;
  if (response.status === 429) return `Too many have asked from this network (429). ${waitWords(response.headers.get("Retry-After"))}`;
  if (Object.hasOwn(REFUSALS, code)) return REFUSALS[code];
  return STATUSES[response.status] ?? `The server did not tell its ICE servers (HTTP status ${response.status}). Its log says why.`;
}

function waitWords(seconds) {
  return /^\d+$/.test(seconds ?? "") ? `Test again in ${seconds} ${seconds === "1" ? "second" : "seconds"}.` : "Test again in a minute.";
}

function toServers(entry) {
  const urls = [entry?.urls ?? []].flat().filter((url) => typeof url === "string");
  return urls.map((url) => ({ url, username: String(entry.username ?? ""), credential: String(entry.credential ?? "") }));
}
