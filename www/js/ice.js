/**
 * ICE servers: which STUN and TURN servers a call may use, asked from `GET /api/turn`.
 *
 * A server without TURN, or one that cannot be asked, is no reason not to call: many
 * calls find a direct path, so every failure means "go on without".
 */

const TIMEOUT_MS = 4000;

/** Credentials are used for this part of their life only, so that a call never starts with stale ones. */
const FRESH_PART = 0.5;

/** The server's answer, remembered while its credentials are fresh. */
export class IceServers {
  #settings;
  #servers = [];
  #key = "";
  #freshUntil = 0;

  /** @type {{key: string, answer: Promise<RTCIceServer[]>} | null} A question that is under way. */
  #asking = null;

  /**
   * @param {import("./settings.js").Settings} settings Where to ask, as whom, and with which token.
   */
  constructor(settings) {
    this.#settings = settings;
  }

  /** Why the server could not be asked the last time; empty if it could. */
  problem = "";

  /**
   * @returns {Promise<RTCIceServer[]>} The servers to use; empty if there are none.
   */
  async get() {
    const { turnUrl, id, token } = this.#settings;
    const key = JSON.stringify([turnUrl, id, token]);
    if (key === this.#key && performance.now() < this.#freshUntil) return this.#servers;
    if (key !== this.#asking?.key) this.#ask(key, ask(turnUrl, id, token));
    return this.#asking.answer;
  }

  /** Ask again the next time: what the server said before, or is about to say, is not true any more. */
  forget() {
    this.#freshUntil = 0;
    this.#asking = null;
  }

  #ask(key, asked) {
    const asking = { key, answer: asked.then((answer) => this.#keep(asking, answer), (error) => this.#fail(asking, error)) };
    this.#asking = asking;
  }

  #keep(asking, { servers, ttl }) {
    if (asking !== this.#asking) return servers; // a later question is the one to remember
    this.#asking = null;
    this.#servers = servers;
    this.#key = asking.key;
    this.#freshUntil = performance.now() + ttl * 1000 * FRESH_PART;
    this.problem = "";
    return servers;
  }

  #fail(asking, { message }) {
    console.info("No ICE servers from the server, going on without:", message);
    if (asking === this.#asking) this.#asking = null;
    this.problem = message;
    return [];
  }
}

/**
 * @param {string} url Where to ask.
 * @param {string} username Id to ask for.
 * @param {string} token What to show; empty if there is none.
 * @returns {Promise<{servers: RTCIceServer[], ttl: number}>} The checked answer.
 */
async function ask(url, username, token) {
  const query = new URLSearchParams({ service: "turn", username, format: "ice" });
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(`${url}?${query}`, { cache: "no-store", headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  const answer = await response.json();
  const servers = Array.isArray(answer?.iceServers) ? answer.iceServers.filter(isUsable) : [];
  return { servers, ttl: Number(answer?.ttl) || 0 };
}

/**
 * Whether RTCPeerConnection takes an entry: one bad one, and there would be no call at all.
 *
 * @param {any} server One entry of `iceServers`.
 * @returns {boolean} False for an entry to leave out.
 */
export function isUsable(server) {
  const urls = [server?.urls].flat();
  const turn = urls.some((url) => /^turns?:/.test(url));
  // some browsers take a TURN server without credential, and then cannot use it
  if (!urls.every((url) => /^(stun|turn)s?:./.test(url)) || (turn && !(server.username && server.credential))) return false;
  try {
    new RTCPeerConnection({ iceServers: [server] }).close();
    return true;
  } catch (error) {
    console.info("A STUN or TURN server is left out:", error.message);
    return false;
  }
}
