/**
 * Who this tab is and how it wants to call.
 *
 * A link may fix a value (docs/demo-client.md lists the parameters). What is chosen is kept in
 * localStorage; who a tab is, its id and name, in its sessionStorage, so that a reload keeps the id
 * and two tabs never share one. Secrets are kept in sessionStorage only, together with the server
 * they were entered for: no other one is ever shown them.
 */

import { Store } from "./store.js";

/** Longest id, and longest name of a room, that servers accept. */
const MAX_ID_LENGTH = 128;

/** Longest name that the page lets anybody enter. */
const MAX_NAME_LENGTH = 60;

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
 * Read the address of a server as a person types it.
 *
 * @param {string} text `wss://HOST:8086/ws`, or less: `HOST:8086`, `https://HOST:8086`.
 * @returns {string} A ws: or wss: address; empty if it is none.
 */
export function readServerUrl(text) {
  const trimmed = text.trim();
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed.replace(/^http/i, "ws") : `wss://${trimmed}`;
  if (!trimmed || /\s/.test(trimmed) || !/^wss?:\/\//i.test(full)) return "";
  const url = parsed(full);
  if (!url) return "";
  url.hash = "";
  if (url.pathname === "/") url.pathname = "/ws";
  return url.href;
}

/** An address, or null if it is none; URL.canParse is too new for some browsers. */
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
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
 * @property {string} camera Id of the preferred camera; empty: the browser's choice.
 * @property {string} microphone Id of the preferred microphone.
 * @property {string} speaker Id of the preferred loudspeaker.
 */

/**
 * @typedef {"" | "taken" | "elsewhere" | "dropped"} TokenFate What has become of the token of a link:
 *   empty: there is none, or it was known; "taken": the server of this moment is shown it from now on;
 *   "elsewhere": it is kept for the page's own server, which is not that of this moment; "dropped": it
 *   would have been, but the server of this moment has a token.
 */

/** What a person can set, from the link or from an earlier visit. */
export class Settings {
  #query;
  #location;
  #server;
  #lasting = new Store(() => localStorage);
  #tab = new Store(() => sessionStorage);

  /**
   * @param {Location | URL} [place] Address of the page.
   */
  constructor(place = location) {
    this.#location = place;
    this.#query = new URLSearchParams(place.search);
    const linked = this.#query.get("ws");
    this.#server = linked === null ? this.#lasting.read("server") ?? "" : /^wss?:\/\//.test(linked) ? readServerUrl(linked) : "";
    this.id = (this.#query.get("id") ?? this.#tab.read("id") ?? "").trim().slice(0, MAX_ID_LENGTH) || randomId();
    this.name = (this.#query.get("name") ?? this.#tab.read("name") ?? this.#lasting.read("name") ?? "").trim();
    this.room = this.#initial("room").slice(0, MAX_ID_LENGTH);
    // a link may ask for privacy, never take it away
    this.relayOnly = this.#query.get("relay") === "1" || this.#lasting.read("relay") === "1";
    this.relayTransport = readTransport(this.#initial("transport"));
    this.ringTone = this.#lasting.read("ring") !== "0";
    this.camera = this.#lasting.read("camera") ?? "";
    this.microphone = this.#lasting.read("microphone") ?? "";
    this.speaker = this.#lasting.read("speaker") ?? "";
    this.#tab.write("id", this.id);
    this.linkedToken = this.takeToken(place.hash);
  }

  /**
   * Keep the token of a link. It is for the server that the link names, or else for the page's own;
   * one that was chosen earlier is not shown it, and keeps its own.
   *
   * @param {string} hash The part of the link that begins with `#`.
   * @returns {TokenFate} What has become of it.
   */
  takeToken(hash) {
    const token = new URLSearchParams(hash.slice(1)).get("token")?.trim();
    if (!token) return "";
    const before = this.token;
    const server = this.linkedServer ? this.serverUrl : this.#ownServerUrl;
    if (server !== this.serverUrl && before) return "dropped"; // there is room for one
    this.#keepToken(server, token);
    if (server !== this.serverUrl) return "elsewhere";
    return token === before ? "" : "taken";
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
   * Whom the link asks to call, once signed in.
   *
   * @returns {string} An id; empty if the link is no invitation.
   */
  get invitedBy() {
    return (this.#query.get("call") ?? "").trim().slice(0, MAX_ID_LENGTH);
  }

  /** @returns {string} What whoever made the invitation is called, as the link says; empty if it does not. */
  get invitedByName() {
    return (this.#query.get("call_name") ?? "").trim().slice(0, MAX_NAME_LENGTH);
  }

  /**
   * Where the signaling server listens: beside the page unless the link or the person says otherwise.
   *
   * @returns {string} A ws: or wss: address.
   */
  get serverUrl() {
    return this.#server || this.#ownServerUrl;
  }

  /** @returns {string} The server's address if it is not beside the page, else empty. */
  get customServer() {
    return this.serverUrl === this.#ownServerUrl ? "" : this.serverUrl;
  }

  get #ownServerUrl() {
    const scheme = this.#location.protocol === "http:" ? "ws" : "wss";
    return `${scheme}://${this.#location.host}/ws`;
  }

  /**
   * Where that server tells its TURN servers.
   *
   * @returns {string} An http: or https: address.
   */
  get turnUrl() {
    return new URL("api/turn", this.serverUrl.replace(/^ws/, "http")).href;
  }

  /**
   * Name of the signaling server, when the page is pointed at another host.
   *
   * @returns {string} Empty if the page's own host is used.
   */
  get foreignHost() {
    const url = new URL(this.serverUrl);
    return url.hostname === this.#location.hostname ? "" : url.host;
  }

  /** Whether the link chose the server: then somebody else did, and the person should know. */
  get linkedServer() {
    return this.#query.has("ws");
  }

  /**
   * The link to give to somebody else: it opens this page and calls us.
   *
   * @returns {string} An absolute address without secrets.
   */
  get inviteLink() {
    const url = new URL(this.#location.pathname, this.#location.origin);
    url.searchParams.set("call", this.id);
    if (this.name) url.searchParams.set("call_name", this.name);
    if (this.room) url.searchParams.set("room", this.room);
    if (this.customServer) url.searchParams.set("ws", this.serverUrl);
    return url.href;
  }

  /** Whether this tab was signed in at this server before it was reloaded. */
  get wasSignedIn() {
    return this.#tab.read("signed-in") === this.serverUrl;
  }

  /** The invitation of the link was followed: a reload shall not follow it again. */
  forgetInvitation() {
    for (const key of ["call", "call_name"]) this.#query.delete(key);
  }

  /** @returns {string} The token for this server; empty if there is none. */
  get token() {
    return this.#readSecret("token", this.serverUrl);
  }

  set token(value) {
    this.#keepToken(this.serverUrl, value);
  }

  #keepToken(server, token) {
    this.#tab.write("token", JSON.stringify([server, token.trim()]));
  }

  /** @returns {string} The password of this room on this server; empty if there is none. */
  get password() {
    return this.#readSecret("password", this.#roomKey);
  }

  set password(value) {
    this.#tab.write("password", JSON.stringify([this.#roomKey, value]));
  }

  get #roomKey() {
    return `${this.room} ${this.serverUrl}`;
  }

  /**
   * Remember an identity for this tab; the name is also offered to the next one.
   *
   * @param {{id: string, name: string}} identity What the person entered.
   */
  setIdentity({ id, name }) {
    this.id = id.slice(0, MAX_ID_LENGTH);
    this.name = name;
    this.#tab.write("id", this.id);
    this.#tab.write("name", name);
    this.#lasting.write("name", name);
  }

  /**
   * Remember where to sign in. It goes before what the link says from now on.
   *
   * @param {{server: string, room: string}} place As typed; an empty or unreadable server is the page's own.
   */
  setPlace({ server, room }) {
    const chosen = readServerUrl(server);
    const follows = this.linkedServer && chosen === this.customServer; // the link chose it, not the person
    this.#server = chosen;
    this.room = room.trim().slice(0, MAX_ID_LENGTH);
    this.#query.delete("room");
    if (!follows) {
      this.#query.delete("ws");
      this.#lasting.write("server", chosen);
    }
    this.#lasting.write("room", this.room);
  }

  /**
   * The address of the page as it should read now: without the token, and without what was overruled.
   *
   * @returns {string} An absolute address.
   */
  get pageUrl() {
    const url = new URL(this.#location.pathname, this.#location.origin);
    url.search = this.#query;
    return url.href;
  }

  /**
   * Remember whether a reload should sign in by itself.
   *
   * @param {boolean} signedIn True after signing in.
   */
  setSignedIn(signedIn) {
    this.#tab.write("signed-in", signedIn ? this.serverUrl : "");
  }

  /**
   * Remember the choices of the settings dialog.
   *
   * @param {Choices} choices What is chosen there.
   */
  setChoices({ relayOnly, relayTransport, ringTone, camera, microphone, speaker }) {
    Object.assign(this, { relayOnly, ringTone, camera, microphone, speaker, relayTransport: readTransport(relayTransport) });
    this.#lasting.write("relay", relayOnly ? "1" : "0");
    this.#lasting.write("transport", this.relayTransport);
    this.#lasting.write("ring", ringTone ? "1" : "0");
    this.#lasting.write("camera", camera);
    this.#lasting.write("microphone", microphone);
    this.#lasting.write("speaker", speaker);
  }

  #initial(key) {
    return (this.#query.get(key) ?? this.#lasting.read(key) ?? "").trim();
  }

  #readSecret(key, place) {
    try {
      const [owner, value] = JSON.parse(this.#tab.read(key) ?? "[]");
      return owner === place && typeof value === "string" ? value : "";
    } catch {
      return ""; // not written by this page
    }
  }
}
