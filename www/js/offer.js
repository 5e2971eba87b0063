/**
 * What to do with an offer that has come in.
 */

/**
 * @typedef {object} Offer
 * @property {string} from Who calls.
 * @property {string} sessionId Name of the session.
 * @property {RTCSessionDescriptionInit} description The caller's description.
 * @property {"video" | "audio" | "data"} media What the caller wants; "data" is a text chat.
 */

/**
 * Read an offer as it came.
 *
 * @param {any} data Content of the message.
 * @returns {Offer | null} Null if something that is needed is missing.
 */
export function readOffer(data) {
  const { from, session_id: sessionId, description, media = "video" } = data;
  const texts = [from, sessionId, description?.sdp, description?.type, media];
  return texts.every((text) => typeof text === "string") ? { from, sessionId, description, media: readMedia(media) } : null;
}

/** Older clients say "data" for a text chat, and "video" for everything else. */
function readMedia(text) {
  return text === "audio" || text === "data" ? text : "video";
}

/**
 * Decide about an offer.
 *
 * @param {Offer} offer The offer.
 * @param {import("./call.js").Call | null} current The call that is going on.
 * @param {boolean} offered Whether the other side has our own offer, if we are calling.
 * @param {string} selfId Our id.
 * @returns {"ring" | "turn-away" | "ignore" | "restart" | "keep-ours" | "take-theirs"}
 *   "restart": the other side began the same call anew. "keep-ours", "take-theirs": both called each
 *   other at the same time; the call of the lower id stands, and both sides decide alike.
 */
export function judgeOffer(offer, current, offered, selfId) {
  if (!current) return "ring";
  if (current.sessionId === offer.sessionId) {
    // a name that belongs to a call with somebody else must not even be answered by `bye`
    return current.peer.id === offer.from ? "restart" : "ignore";
  }
  const calling = current.outgoing && (current.state === "preparing" || current.state === "ringing");
  if (!calling || current.peer.id !== offer.from) return "turn-away";
  return offered && selfId < offer.from ? "keep-ours" : "take-theirs";
}
