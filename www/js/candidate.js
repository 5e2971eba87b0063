/**
 * Candidates of the other side, as they come over the signaling.
 */

/** Those of browsers have some 200 characters; a server forwards 64 kB. */
const MAX_LINE_LENGTH = 1024;
const MAX_MID_LENGTH = 64;

/**
 * Read a candidate as it came.
 *
 * @param {any} data Content of the message.
 * @returns {RTCIceCandidateInit | null} What `addIceCandidate` needs and nothing else; null if it is none.
 */
export function readCandidate(data) {
  const { candidate, sdpMid = null, sdpMLineIndex = null } = Object(data);
  const fits = typeof candidate === "string" && candidate.length <= MAX_LINE_LENGTH
    && (sdpMid === null || (typeof sdpMid === "string" && sdpMid.length <= MAX_MID_LENGTH))
    && (sdpMLineIndex === null || Number.isSafeInteger(sdpMLineIndex));
  return fits ? { candidate, sdpMid, sdpMLineIndex } : null;
}
