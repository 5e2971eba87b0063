/**
 * Which way a call's packets take: straight to the other side, or through a relay.
 */

/**
 * @typedef {object} Path
 * @property {"direct" | "relayed" | "unknown"} kind Whether either end uses a TURN server.
 * @property {"" | "udp" | "tcp" | "tls"} relay How our own TURN server is reached; empty if only
 *   the other side uses one, or nobody does.
 * @property {number} tripMs Round-trip time in milliseconds; NaN if it is not known.
 */

/** @type {Path} */
const UNKNOWN = { kind: "unknown", relay: "", tripMs: NaN };

/**
 * Look at the candidate pair in use.
 *
 * @param {RTCPeerConnection} connection A connected one.
 * @returns {Promise<Path>} The path of this moment.
 */
export async function readPath(connection) {
  const stats = await connection.getStats();
  const pair = selectedPair(stats);
  const local = stats.get(pair?.localCandidateId);
  const remote = stats.get(pair?.remoteCandidateId);
  if (!local || !remote) return UNKNOWN;
  const own = local.candidateType === "relay";
  return {
    kind: own || remote.candidateType === "relay" ? "relayed" : "direct",
    relay: own ? local.relayProtocol ?? "" : "",
    tripMs: pair.currentRoundTripTime * 1000,
  };
}

/**
 * The pair that carries the media: named by the transport, or, where that is not told, marked itself.
 *
 * @param {RTCStatsReport} stats Everything the connection knows.
 * @returns {any} The pair's entry, or undefined.
 */
function selectedPair(stats) {
  const entries = [...stats.values()];
  const transport = entries.find((entry) => entry.type === "transport" && entry.selectedCandidatePairId);
  if (transport) return stats.get(transport.selectedCandidatePairId);
  return entries.find((entry) => entry.type === "candidate-pair" && (entry.selected || (entry.nominated && entry.state === "succeeded")));
}
