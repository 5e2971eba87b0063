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
  #servers = [];
  #username = "";
  #freshUntil = 0;

  /** Why the server could not be asked the last time; empty if it could. */
  problem = "";

  /**
   * @param {string} username Id to ask for.
   * @returns {Promise<RTCIceServer[]>} The servers to use; empty if there are none.
   */
  async get(username) {
    if (username === this.#username && performance.now() < this.#freshUntil) return this.#servers;
    try {
      const answer = await ask(username);
      this.#servers = answer.servers;
      this.#username = username;
      this.#freshUntil = performance.now() + answer.ttl * 1000 * FRESH_PART;
      this.problem = "";
      return this.#servers;
    } catch (error) {
      console.info("No ICE servers from /api/turn, going on without:", error.message);
      this.problem = error.message;
      return [];
    }
  }

  /** Ask again the next time: what the server said before is not true any more. */
  forget() {
    this.#freshUntil = 0;
  }
}

/**
 * @param {string} username Id to ask for.
 * @returns {Promise<{servers: RTCIceServer[], ttl: number}>} The checked answer.
 */
async function ask(username) {
  const query = new URLSearchParams({ service: "turn", username, format: "ice" });
  const response = await fetch(`/api/turn?${query}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  const answer = await response.json();
  const servers = Array.isArray(answer?.iceServers) ? answer.iceServers.filter(isUsable) : [];
  return { servers, ttl: Number(answer?.ttl) || 0 };
}

/**
 * Whether RTCPeerConnection would take an entry: it throws on the first bad one.
 *
 * @param {any} server One entry of `iceServers`.
 * @returns {boolean} False for an entry to leave out.
 */
function isUsable(server) {
  const urls = [server?.urls].flat();
  const turn = urls.some((url) => /^turns?:/.test(url));
  return urls.length > 0 && urls.every((url) => /^(stun|turn)s?:./.test(url)) && (!turn || Boolean(server.username && server.credential));
}
