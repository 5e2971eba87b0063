/**
 * Candidates that arrive before the offer they belong to.
 *
 * Clients may send candidates as soon as they have them; messages of different peers
 * and of plugins may overtake each other. They are kept for a short while, within bounds,
 * since anybody can send them, and apart from those of other senders: a stranger may name
 * any session, but the server vouches for `from`.
 */

const KEEP_MS = 30_000;
const MAX_SESSIONS = 16;
const MAX_PER_SESSION = 64;

/** Candidates by session and sender, oldest session first. */
export class EarlyCandidates {
  #sessions = new Map();

  /**
   * @param {string} sessionId Session that is not known yet.
   * @param {string} sender Who sent the candidate.
   * @param {RTCIceCandidateInit} candidate As it came.
   */
  keep(sessionId, sender, candidate) {
    this.#forgetOld();
    const key = keyOf(sessionId, sender);
    const entry = this.#sessions.get(key) ?? { sessionId, since: performance.now(), candidates: [] };
    this.#sessions.set(key, entry);
    if (entry.candidates.length < MAX_PER_SESSION) entry.candidates.push(candidate);
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value);
  }

  /**
   * Hand over what a sender sent for a session, and forget it.
   *
   * @param {string} sessionId Session that has begun.
   * @param {string} sender The other side of it.
   * @returns {RTCIceCandidateInit[]} In the order of arrival.
   */
  take(sessionId, sender) {
    this.#forgetOld();
    const key = keyOf(sessionId, sender);
    const candidates = this.#sessions.get(key)?.candidates ?? [];
    this.#sessions.delete(key);
    return candidates;
  }

  /**
   * Forget what came for a session, whoever sent it.
   *
   * @param {string} sessionId Session that has ended.
   */
  forget(sessionId) {
    for (const [key, entry] of this.#sessions) {
      if (entry.sessionId === sessionId) this.#sessions.delete(key);
    }
  }

  #forgetOld() {
    const limit = performance.now() - KEEP_MS;
    for (const [key, { since }] of this.#sessions) {
      if (since < limit) this.#sessions.delete(key);
    }
  }
}

/** Ids may hold any character, so no separator would do. */
function keyOf(sessionId, sender) {
  return JSON.stringify([sessionId, sender]);
}
