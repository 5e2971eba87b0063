/**
 * Which way a call's packets take: straight to the other side, or through a relay.
 */

/**
 * @typedef {object} Path
 * @property {"direct" | "relayed" | "unknown"} kind Whether either end uses a TURN server.
 * @property {string} words For the person.
 */

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
  if (!local || !remote) return { kind: "unknown", words: "" };
  const relayed = local.candidateType === "relay" || remote.candidateType === "relay";
  const transport = (local.relayProtocol ?? local.protocol ?? "").toUpperCase();
  const trip = Number.isFinite(pair.currentRoundTripTime) ? `${Math.round(pair.currentRoundTripTime * 1000)} ms` : "";
  const parts = [relayed ? "Relayed" : "Direct", transport, trip].filter(Boolean);
  return { kind: relayed ? "relayed" : "direct", words: parts.join(" · ") };
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
