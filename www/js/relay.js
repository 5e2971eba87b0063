/**
 * The TURN servers of a call: which ones it may use, and what has become of them.
 */

/** What `icecandidateerror` says of a server that was not reached at all. */
export const UNREACHABLE = 701;

/** Browsers wait 40 s for a server that does not answer; one that does needs two round trips. */
const ANSWER_S = 10;

const DEFAULT_PORTS = { udp: 3478, tcp: 3478, tls: 5349, dtls: 5349 };

/**
 * @typedef {"any" | "udp" | "tcp"} RelayTransport How a TURN server may be reached.
 */

/**
 * @typedef {object} RelayError
 * @property {string} host Host and port of a TURN server that does not relay for the call.
 * @property {"udp" | "tcp" | "tls" | "dtls"} transport The way to it.
 * @property {number} code Its error code, or `UNREACHABLE`.
 */

/**
 * @typedef {object} RelayTrouble
 * @property {boolean} found Whether any TURN server relays for the call.
 * @property {RelayError[]} errors Those that do not; empty if one does.
 */

/**
 * Leave out TURN servers that would be reached another way than the person wants.
 *
 * @param {RTCIceServer[]} servers STUN and TURN servers.
 * @param {RelayTransport} transport The way to them; over TLS counts as TCP.
 * @returns {RTCIceServer[]} Entries that still name a server.
 */
export function restrict(servers, transport) {
  if (transport === "any") return servers;
  return servers
    .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => fits(url, transport)) }))
    .filter(({ urls }) => urls.length > 0);
}

/**
 * @param {RTCIceServer[]} servers STUN and TURN servers.
 * @returns {boolean} Whether one of them relays.
 */
export function hasRelay(servers) {
  return servers.some(({ urls }) => [urls].flat().some(isTurn));
}

/**
 * Read the address of a TURN server.
 *
 * @param {string} url A `turn:` or `turns:` URI (RFC 7065).
 * @returns {{host: string, transport: "udp" | "tcp" | "tls" | "dtls"}} Host and port, and the way
 *   to it: UDP is the default of `turn:`, TLS that of `turns:`.
 */
export function readUrl(url) {
  const [, secure, host, query] = /^turn(s?):([^?]*)\??(.*)$/.exec(url) ?? [];
  const given = new URLSearchParams(query).get("transport") ?? (secure ? "tcp" : "udp");
  const transport = secure ? { tcp: "tls", udp: "dtls" }[given] : given;
  return { host: /:\d+$/.test(host) ? host : `${host}:${DEFAULT_PORTS[transport]}`, transport };
}

/** Notes what becomes of the TURN servers of one connection. */
export class RelayWatch {
  #connection;
  #onNone;
  #timer = 0;
  #found = false;
  #errors = new Map();

  /**
   * @param {RTCPeerConnection} connection One that has not begun yet.
   * @param {RTCIceServer[]} servers Its STUN and TURN servers.
   * @param {() => void} onNone Called when none relays, or has answered in time.
   */
  constructor(connection, servers, onNone) {
    this.#connection = connection;
    this.#onNone = onNone;
    for (const url of servers.flatMap(({ urls }) => urls).filter(isTurn)) this.#failed(url, UNREACHABLE);
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (/ typ relay\b/.test(candidate?.candidate)) this.#found = true;
    });
    connection.addEventListener("icecandidateerror", ({ url, errorCode }) => {
      if (isTurn(url)) this.#failed(url, errorCode);
    });
    connection.addEventListener("icegatheringstatechange", () => this.#follow());
  }

  /** @returns {RelayTrouble} What is known by now. */
  get trouble() {
    return { found: this.#found, errors: this.#found ? [] : [...this.#errors.values()] };
  }

  /** Do not watch any longer. */
  stop() {
    clearTimeout(this.#timer);
    this.#onNone = () => {};
  }

  #follow() {
    clearTimeout(this.#timer);
    const seconds = this.#connection.iceGatheringState === "complete" ? 0 : ANSWER_S;
    this.#timer = setTimeout(() => this.#found || this.#onNone(), seconds * 1000);
  }

  /** A server is tried from every address of this machine, so it fails several times: a refusal says most. */
  #failed(url, code) {
    const error = { ...readUrl(url), code };
    const key = `${error.host} ${error.transport}`;
    if (code !== UNREACHABLE || !this.#errors.has(key)) this.#errors.set(key, error);
  }
}

function isTurn(url) {
  return /^turns?:/.test(url);
}

function fits(url, wanted) {
  if (!isTurn(url)) return true;
  const { transport } = readUrl(url);
  return wanted === "tcp" ? transport === "tcp" || transport === "tls" : transport === "udp" || transport === "dtls";
}
