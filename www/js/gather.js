/**
 * What one ICE server gives a browser: candidates, or errors.
 */

/** Browsers give up on a silent STUN server after 9.5 s; some wait much longer for a TURN server. */
const PATIENCE_MS = 12_000;

/** Some error texts come from the server. */
const MAX_TEXT = 120;

/** When a server has given one address, others that it will give are not far. */
const GRACE_MS = 1000;

/**
 * @typedef {object} Found
 * @property {string} type `host`, `srflx`, `prflx` or `relay`.
 * @property {string} protocol `udp` or `tcp`.
 * @property {string} address An address, or the name that a browser puts in place of it.
 * @property {number | null} port The port.
 * @property {string} related The address and port behind it; empty if it is not told.
 * @property {number} afterMs When it was found, from the beginning.
 */

/**
 * @typedef {object} Gathering
 * @property {Found[]} candidates In the order in which they came.
 * @property {{code: number, text: string}[]} errors Each code once.
 * @property {number | null} firstMs When the first address came that the server gave; null if none did.
 * @property {boolean} complete Whether there was nothing more to wait for.
 */

/**
 * Ask one server alone.
 *
 * @param {RTCIceServer} server The server, with one URL.
 * @param {AbortSignal} signal Ends it early.
 * @param {number} [patienceMs] Longest wait.
 * @returns {Promise<Gathering>} What is known when it is done, or was ended.
 * @throws {DOMException} If the browser does not take the server at all.
 */
export async function gather(server, signal, patienceMs = PATIENCE_MS) {
  const connection = new RTCPeerConnection({ iceServers: [server] });
  const result = { candidates: [], errors: [], firstMs: null, complete: false };
  const started = performance.now();
  const found = new Promise((resolve) => {
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) note(result, candidate, performance.now() - started);
      if (result.firstMs !== null) resolve();
    });
  });
  connection.addEventListener("icecandidateerror", ({ errorCode, errorText }) => {
    if (!result.errors.some(({ code }) => code === errorCode)) result.errors.push({ code: errorCode, text: (errorText ?? "").slice(0, MAX_TEXT) });
  });
  try {
    connection.createDataChannel("ice");
    await connection.setLocalDescription();
    result.complete = await isComplete(connection, found, signal, patienceMs);
    return result;
  } finally {
    connection.close();
  }
}

function note(result, candidate, afterMs) {
  const { type, protocol, address, port, tcpType, relatedAddress, relatedPort } = readCandidate(candidate);
  if (tcpType === "active") return; // it only goes out: its port is a placeholder (RFC 6544 section 4.5)
  const related = relatedAddress && !isHidden(relatedAddress) ? hostAndPort(relatedAddress, relatedPort) : "";
  const known = result.candidates.some((each) => each.type === type && each.protocol === protocol && each.address === address && each.port === port);
  if (known) return;
  result.candidates.push({ type, protocol, address, port, related, afterMs });
  if (type !== "host") result.firstMs ??= afterMs;
}

/** Older browsers hand out the line alone (RFC 8839 section 5.1). */
function readCandidate(candidate) {
  if (candidate.type) return candidate;
  const [, , protocol, , address, port, , type] = candidate.candidate.split(" ");
  const [, relatedAddress, relatedPort] = / raddr (\S+) rport (\d+)/.exec(candidate.candidate) ?? [];
  const [, tcpType] = / tcptype (\S+)/.exec(candidate.candidate) ?? [];
  return { type, protocol: protocol.toLowerCase(), address, port: Number(port), tcpType, relatedAddress, relatedPort };
}

/** What browsers put where they do not tell. */
function isHidden(address) {
  return address === "0.0.0.0" || address === "::";
}

/**
 * @param {string} address IPv4, IPv6 or a name.
 * @param {number | string | null} port The port.
 * @returns {string} As it stands in a URL.
 */
export function hostAndPort(address, port) {
  const bare = address.replace(/^\[|\]$/g, ""); // some browsers put IPv6 addresses in brackets themselves
  return `${bare.includes(":") ? `[${bare}]` : bare}:${port ?? "?"}`;
}

/** A device has addresses from which no server is ever reached, and browsers try those to the end. */
function isComplete(connection, found, signal, patienceMs) {
  return new Promise((resolve) => {
    found.then(() => setTimeout(() => resolve(true), GRACE_MS));
    const look = () => connection.iceGatheringState === "complete" && resolve(true);
    connection.addEventListener("icegatheringstatechange", look);
    signal.addEventListener("abort", () => resolve(false), { once: true });
    setTimeout(() => resolve(false), patienceMs);
    if (signal.aborted) resolve(false);
    look();
  });
}
