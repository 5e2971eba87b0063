/**
 * The connection to the signaling server: one WebSocket that is kept alive and reopened.
 *
 * Events:
 *   `state`    detail {state, words, retryIn?, unreachable?, ask?}; state is "connecting", "online",
 *              "waiting" (retryIn seconds until the next attempt; unreachable if the server has not
 *              answered at all since signing in), "refused" (ask: what is missing; removed if the
 *              operator made us go) or "signed-out".
 *   `message`  detail {type, data}; every message of the server except the heartbeat.
 */

import { closeAdvice, refusalAdvice, silenceWords, socketWords } from "./refusal.js";

const FIRST_DELAY_S = 1;
const LONGEST_DELAY_S = 30;

/** Online for less than this, the next failure still counts as part of the same trouble. */
const STABLE_AFTER_S = 5;

/** After so many failures in a row it may be more than a restart. */
const SUSPICIOUS_ATTEMPTS = 4;

/** How long it may take from the first packet to the first list of peers. */
const ENTRY_S = 15;

/** Silence after which the server is asked for a sign of life, and how long it has for it. */
const SILENCE_S = 15;
const PROBE_S = 10;

/** How long it has if there is reason to doubt. */
const QUICK_PROBE_S = 4;

/** Selected by servers that take tokens; a token rides beside it as the only header a page can set. */
const SUBPROTOCOL = "tornado-webrtc";

/** What may stand in that header (RFC 6455 section 4.1: "tokens" of RFC 2616); others go into `new`. */
const HEADER_TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/**
 * How long to wait before an attempt: doubling, with jitter, so that the clients of a restarted
 * server do not all come back in the same instant.
 *
 * @param {number} attempt 0 for the first attempt after a failure.
 * @param {() => number} [random] Source of the jitter, 0 to 1.
 * @returns {number} Seconds.
 */
export function backOff(attempt, random = Math.random) {
  const longest = Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** attempt);
  return longest * (0.5 + random() / 2);
}

/** A client of the server's WebSocket. */
export class Signaling extends EventTarget {
  #url = "";
  #identity = null;
  #token = "";
  #reached = false;
  #socket = null;
  #attempt = 0;
  #retryTimer = 0;
  #watchTimer = 0;
  #entryTimer = 0;
  #onlineSince = 0;
  #lastSeen = 0;
  #probedAt = 0;
  #probeS = PROBE_S;
  #refusal = null;

  constructor() {
    super();
    window.addEventListener("online", () => this.retryNow());
  }

  /** Whether the server has let us in. */
  get online() {
    return this.#onlineSince > 0;
  }

  /** @returns {number} Since when, as `performance.now()` says; 0: it has not. */
  get onlineSince() {
    return this.#onlineSince;
  }

  /** Whether it is connected to a server, or goes on trying to be. */
  get active() {
    return this.#identity !== null;
  }

  /**
   * Connect, and stay connected until `signOut` or a refusal.
   *
   * @param {string} url Address of the server.
   * @param {{id: string, name: string, user_agent: string, room?: string, password?: string}} identity
   *   What to sign in as.
   * @param {string} [token] What to show to a server that asks for it.
   */
  signIn(url, identity, token = "") {
    this.#drop();
    this.#url = url;
    this.#token = token;
    this.#reached = false;
    this.#identity = token && !HEADER_TOKEN.test(token) ? { ...identity, token } : identity;
    this.#attempt = 0;
    this.#connect();
  }

  /** Leave the server's list and close the connection. */
  signOut() {
    this.send("leave", {});
    this.#identity = null;
    this.#drop(1000);
    this.#announce("signed-out", "Not signed in");
  }

  /** Do not wait for the next attempt any longer. */
  retryNow() {
    if (this.#retryTimer) this.#connect();
  }

  /** Find out soon whether the server is still there: something has happened to the network. */
  check() {
    if (this.online) this.#probe(QUICK_PROBE_S);
  }

  /**
   * Send one message.
   *
   * @param {string} type Message type.
   * @param {object} data Its content.
   * @returns {boolean} False if there is no connection to send it on.
   */
  send(type, data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ type, data }));
    return true;
  }

  #connect() {
    this.#drop();
    this.#announce("connecting", "Connecting to the server…");
    const socket = this.#open();
    if (!socket) return;
    this.#socket = socket;
    this.#entryTimer = setTimeout(() => this.#closed(1006, { why: silenceWords(ENTRY_S, socket.readyState === WebSocket.OPEN) }), ENTRY_S * 1000);
    socket.onopen = () => {
      this.#reached = true;
      this.#heard();
      this.send("new", this.#identity);
      this.#watchTimer = setInterval(() => this.#watch(), 1000);
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = ({ code, reason }) => this.#closed(code, { reason });
  }

  /** A socket under way, or null: the browser takes neither every address, nor ws: on a page of https:. */
  #open() {
    const beside = this.#token && !this.#identity.token;
    try {
      return beside ? new WebSocket(this.#url, [SUBPROTOCOL, `bearer.${this.#token}`]) : new WebSocket(this.#url);
    } catch (error) {
      this.#giveUp(socketWords(error, this.#url));
      return null;
    }
  }

  #giveUp(words, { ask = "", removed = false } = {}) {
    this.#identity = null;
    this.#announce("refused", words, { ask, removed });
  }

  /** Forget the current socket; whatever it still says is not for us. */
  #drop(code) {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#entryTimer);
    clearInterval(this.#watchTimer);
    this.#retryTimer = 0;
    this.#onlineSince = 0;
    this.#refusal = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }

  #receive(text) {
    this.#heard();
    const message = parse(text);
    if (!message?.type) return; // `{}` is the heartbeat, which needs no reply
    if (message.type === "error" && message.data?.request === "new") {
      this.#refused(message.data);
      return;
    }
    if (message.type === "peers" && !this.online) {
      clearTimeout(this.#entryTimer);
      this.#onlineSince = performance.now();
      this.#announce("online", "Online");
    }
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  /** The server did not let us in. It closes the connection itself; one that does not is closed here. */
  #refused(error) {
    if (this.online) return; // a later change of the name was refused: the old entry stands
    this.#refusal = error;
    const socket = this.#socket;
    setTimeout(() => socket === this.#socket && this.#closed(4403), 1000);
  }

  #closed(code, { reason = "", why = "" } = {}) {
    const stable = this.online && performance.now() - this.#onlineSince > STABLE_AFTER_S * 1000;
    const refusal = this.#refusal && refusalAdvice(this.#refusal);
    const { retry, words, ...more } = refusal ?? closeAdvice(code, this.online, reason);
    this.#drop();
    if (retry === "never") {
      this.#giveUp(words, more);
      return;
    }
    if (stable) this.#attempt = 0;
    const delay = retry === "now" && this.#attempt === 0 ? 0.1 : backOff(this.#attempt);
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#connect(), delay * 1000);
    this.#announce("waiting", why || words, { retryIn: delay, unreachable: !this.#reached || this.#attempt >= SUSPICIOUS_ATTEMPTS });
  }

  #heard() {
    this.#lastSeen = performance.now();
    this.#probedAt = 0;
  }

  /** A connection that died without a word is found by asking: a living server echoes `keepalive`. */
  #watch() {
    const now = performance.now();
    if (this.#probedAt && now - this.#probedAt > this.#probeS * 1000) {
      this.#closed(1006);
    } else if (!this.#probedAt && now - this.#lastSeen > SILENCE_S * 1000) {
      this.#probe(PROBE_S);
    }
  }

  #probe(seconds) {
    this.#probedAt ||= performance.now();
    this.#probeS = seconds;
    this.send("keepalive", {});
  }

  #announce(state, words, more = {}) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, words, ...more } }));
  }
}

/**
 * Read one frame of the server.
 *
 * @param {unknown} text What came.
 * @returns {{type?: string, data?: any} | null} Null if it is not a JSON object.
 */
function parse(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
