/**
 * Who this tab is and how it wants to call.
 *
 * A link may fix a value (`?id=`, `?name=`, `?ws=`, `?relay=1`, `?transport=udp` or `tcp`;
 * docs/http.md lists them); otherwise the tab remembers its own in sessionStorage, so that a
 * reload keeps the id and two tabs never share one.
 */

const PREFIX = "tornado-webrtc.";

/** Longest id that the server accepts. */
const MAX_ID_LENGTH = 128;

/**
 * A new id in the manner of the older clients: six digits.
 *
 * @returns {string} Six digits, the first of them not 0.
 */
export function randomId() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return String(100000 + (number % 900000));
}

/**
 * A short description of this browser, which the other side's list shows.
 *
 * @returns {string} For example "Firefox on Android".
 */
export function describeBrowser() {
  const agent = navigator.userAgent;
  const browsers = [["Firefox", /Firefox\//], ["Edge", /Edg/], ["Opera", /OPR\//], ["Chrome", /Chrom/], ["Safari", /Safari\//]];
  const systems = [["Android", /Android/], ["iOS", /iPhone|iPad/], ["Windows", /Windows/], ["macOS", /Mac OS/], ["Linux", /Linux/]];
  const first = (table) => table.find(([, pattern]) => pattern.test(agent))?.[0];
  return [first(browsers) ?? "Browser", first(systems)].filter(Boolean).join(" on ");
}

/**
 * @param {string} text From the link, the storage or the page.
 * @returns {import("./relay.js").RelayTransport} "any" unless it is one of the others.
 */
function readTransport(text) {
  return text === "udp" || text === "tcp" ? text : "any";
}

/**
 * @typedef {object} Choices
 * @property {boolean} relayOnly Whether calls may use TURN servers only.
 * @property {import("./relay.js").RelayTransport} relayTransport How to reach those.
 * @property {boolean} ringTone Whether a call makes a sound.
 */

/** What a person can set, from the link or from an earlier visit of this tab. */
export class Settings {
  #query;

  #location;

  /**
   * @param {Location | URL} [place] Address of the page.
   */
  constructor(place = location) {
    this.#location = place;
    this.#query = new URLSearchParams(place.search);
    this.id = this.#initial("id").slice(0, MAX_ID_LENGTH) || randomId();
    this.name = this.#initial("name");
    this.relayOnly = this.#initial("relay") === "1";
    this.relayTransport = readTransport(this.#initial("transport"));
    this.ringTone = this.#read("ring") !== "0";
    this.#write("id", this.id);
  }

  /**
   * The name that others see.
   *
   * @returns {string} Never empty.
   */
  get displayName() {
    return this.name || "Guest";
  }

  /**
   * Where the signaling server listens: beside the page unless the link says otherwise.
   *
   * @returns {string} A ws: or wss: address.
   */
  get serverUrl() {
    const scheme = this.#location.protocol === "http:" ? "ws" : "wss";
    const own = `${scheme}://${this.#location.host}/ws`;
    const given = this.#query.get("ws");
    return new URL(given && /^wss?:\/\//.test(given) && URL.canParse(given) ? given : own).href;
  }

  /**
   * Name of the signaling server, when a link has pointed the page at another host.
   *
   * @returns {string} Empty if the page's own host is used.
   */
  get foreignHost() {
    const url = new URL(this.serverUrl);
    return url.hostname === this.#location.hostname ? "" : url.host;
  }

  /**
   * The link to give to somebody else: this page, without this tab's identity.
   *
   * @returns {string} An absolute address.
   */
  get inviteLink() {
    const url = new URL(this.#location.pathname, this.#location.origin);
    const server = this.#query.get("ws");
    if (server) url.searchParams.set("ws", server);
    return url.href;
  }

  /** Whether this tab was signed in before it was reloaded. */
  get wasSignedIn() {
    return this.#read("signed-in") === "1";
  }

  /**
   * Remember an identity for this tab.
   *
   * @param {{id: string, name: string}} identity What the person entered.
   */
  setIdentity({ id, name }) {
    this.id = id.slice(0, MAX_ID_LENGTH);
    this.name = name;
    this.#write("id", this.id);
    this.#write("name", name);
  }

  /**
   * Remember whether a reload should sign in by itself.
   *
   * @param {boolean} signedIn True after signing in.
   */
  setSignedIn(signedIn) {
    this.#write("signed-in", signedIn ? "1" : "0");
  }

  /**
   * Remember the choices of the settings sheet.
   *
   * @param {Choices} choices What is chosen there.
   */
  setChoices({ relayOnly, relayTransport, ringTone }) {
    this.relayOnly = relayOnly;
    this.relayTransport = readTransport(relayTransport);
    this.ringTone = ringTone;
    this.#write("relay", relayOnly ? "1" : "0");
    this.#write("transport", this.relayTransport);
    this.#write("ring", ringTone ? "1" : "0");
  }

  #initial(key) {
    return (this.#query.get(key) ?? this.#read(key) ?? "").trim();
  }

  #read(key) {
    try {
      return sessionStorage.getItem(PREFIX + key);
    } catch {
      return null; // storage is switched off in this browser: the tab simply forgets
    }
  }

  #write(key, value) {
    try {
      sessionStorage.setItem(PREFIX + key, value);
    } catch {
      // storage is switched off or full: the value lives as long as the page
    }
  }
}
