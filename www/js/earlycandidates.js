/**
 * Candidates that arrive before the offer they belong to.
 *
 * Clients may send candidates as soon as they have them; messages of different peers
 * and of plugins may overtake each other. They are kept for a short while, within bounds,
 * since anybody can send them, and apart from those of other senders: a stranger may name
 * any session, but the server vouches for `from`.
 */

const KEEP_MS = 30_000;

/** With the bounds of candidate.js, and 257 characters of a session id, this is 1.4 million characters at most. */
const MAX_SENDERS = 16;
const MAX_PER_SENDER = 64;

/** Candidates by sender, who sent something first being first. */
export class EarlyCandidates {
  /** @type {Map<string, {sessionId: string, since: number, candidate: RTCIceCandidateInit}[]>} */
  #senders = new Map();

  /**
   * @param {string} sessionId Session that is not known yet.
   * @param {string} sender Who sent the candidate.
   * @param {RTCIceCandidateInit} candidate As `readCandidate` returned it.
   */
  keep(sessionId, sender, candidate) {
    const since = performance.now();
    this.#retain((entry) => entry.since >= since - KEEP_MS);
    const entries = this.#senders.get(sender) ?? [];
    this.#senders.set(sender, entries);
    if (entries.length < MAX_PER_SENDER) entries.push({ sessionId, since, candidate });
    if (this.#senders.size > MAX_SENDERS) this.#senders.delete(this.#senders.keys().next().value);
  }

  /**
   * Hand over what a sender sent for a session, and forget it.
   *
   * @param {string} sessionId Session that has begun.
   * @param {string} sender The other side of it.
   * @returns {RTCIceCandidateInit[]} In the order of arrival.
   */
  take(sessionId, sender) {
    const limit = performance.now() - KEEP_MS;
    const isWanted = (entry) => entry.sessionId === sessionId && entry.since >= limit;
    const taken = (this.#senders.get(sender) ?? []).filter(isWanted).map(({ candidate }) => candidate);
    this.#retain((entry, from) => entry.since >= limit && !(from === sender && entry.sessionId === sessionId));
    return taken;
  }

  /**
   * Forget what came for a session, whoever sent it.
   *
   * @param {string} sessionId Session that has ended.
   */
  forget(sessionId) {
    this.#retain((entry) => entry.sessionId !== sessionId);
  }

  #retain(isKept) {
    for (const [sender, entries] of this.#senders) {
      const kept = entries.filter((entry) => isKept(entry, sender));
      if (kept.length) this.#senders.set(sender, kept);
      else this.#senders.delete(sender);
    }
  }
}
