/**
 * Candidates that arrive before the offer they belong to.
 *
 * Clients may send candidates as soon as they have them; messages of different peers
 * and of plugins may overtake each other. They are kept for a short while, within bounds,
 * since anybody can send them.
 */

const KEEP_MS = 30_000;
const MAX_SESSIONS = 16;
const MAX_PER_SESSION = 64;

/** Candidates by session, oldest session first. */
export class EarlyCandidates {
  #sessions = new Map();

  /**
   * @param {string} sessionId Session that is not known yet.
   * @param {RTCIceCandidateInit} candidate As it came.
   */
  keep(sessionId, candidate) {
    this.#forgetOld();
    const entry = this.#sessions.get(sessionId) ?? { since: performance.now(), candidates: [] };
    this.#sessions.set(sessionId, entry);
    if (entry.candidates.length < MAX_PER_SESSION) entry.candidates.push(candidate);
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value);
  }

  /**
   * Hand over what came for a session, and forget it.
   *
   * @param {string} sessionId Session that has begun, or ended.
   * @returns {RTCIceCandidateInit[]} In the order of arrival.
   */
  take(sessionId) {
    this.#forgetOld();
    const candidates = this.#sessions.get(sessionId)?.candidates ?? [];
    this.#sessions.delete(sessionId);
    return candidates;
  }

  #forgetOld() {
    const limit = performance.now() - KEEP_MS;
    for (const [sessionId, { since }] of this.#sessions) {
      if (since < limit) this.#sessions.delete(sessionId);
    }
  }
}
