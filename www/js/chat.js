/**
 * The text channel of a call, and what the two pages tell each other beside it.
 *
 * Messages are JSON objects with a `type`:
 *   `hello`          {restart}, on both sides, when the channel opens, and once more when first
 *                    greeted: somebody is there who reads this; restart is true if it takes an offer
 *                    within a call for what restart.js says.
 *   `text`           {text}: what a person wrote.
 *   `state`          {microphone, camera, screen}: what the sender has switched on.
 *   `ping`, `pong`   {number}: whether the other side is still there, asked without the server.
 *
 * Older clients say no `hello`. With a `plain` channel, one that they opened for their own text
 * chat, everything is text as it is.
 *
 * What comes faster than people write is dropped unread, since every message costs this page some work.
 *
 * Events:
 *   `ready`    texts can be sent.
 *   `text`     detail: what the other side wrote.
 *   `state`    detail {microphone, camera, screen}: booleans, different from those before.
 *   `flooded`  for the first time, something was dropped.
 *   `closed`   nothing more will come.
 */

import { Bucket } from "./allowance.js";

const MAX_TEXT_LENGTH = 4000;

/** No honest message is longer: each character of a text may be escaped, as `\u1234`. */
const MAX_MESSAGE_LENGTH = 6 * MAX_TEXT_LENGTH + 1000;

/** Messages that are read at once, and how many more each second. */
const BURST = 100;
const MESSAGES_PER_S = 50;

/** With more than this still unsent, the other side does not read what it is answered. */
const MAX_UNSENT_BYTES = 16 * 1024;

/** Both ends of a text channel. */
export class Chat extends EventTarget {
  #channel;
  #plain;
  #pings = new Map();
  #number = 0;
  #allowance = new Bucket(BURST, MESSAGES_PER_S);
  #flooded = false;
  #state = "";

  /** Whether texts can be sent. */
  ready = false;

  /** Whether the other side knows what a restart is; older clients take it for another call. */
  restarts = false;

  /**
   * @param {RTCDataChannel} channel Open, or about to be.
   * @param {boolean} [plain] True if the other side knows nothing but text.
   */
  constructor(channel, plain = false) {
    super();
    this.#channel = channel;
    this.#plain = plain;
    channel.addEventListener("message", ({ data }) => this.#receive(data));
    channel.addEventListener("close", () => this.#closed());
    if (channel.readyState === "open") this.#opened();
    else channel.addEventListener("open", () => this.#opened());
  }

  /** Whether the channel is there, although perhaps nothing comes through at the moment. */
  get open() {
    return this.#channel.readyState === "open";
  }

  /**
   * @param {string} text What a person wrote.
   * @returns {boolean} False if it could not be sent.
   */
  say(text) {
    const short = text.slice(0, MAX_TEXT_LENGTH);
    return this.ready && (this.#plain ? this.#sendRaw(short) : this.#send("text", { text: short }));
  }

  /**
   * @param {{microphone: boolean, camera: boolean, screen: boolean}} state What we have switched on.
   */
  tell(state) {
    if (this.ready && !this.#plain) this.#send("state", state);
  }

  /**
   * Ask whether the other side is still there.
   *
   * @param {number} seconds How long it has for its answer.
   * @returns {Promise<boolean>} True if it answered.
   */
  alive(seconds) {
    if (!this.ready || this.#plain) return Promise.resolve(false);
    const number = (this.#number += 1);
    return new Promise((resolve) => {
      const settle = (answer) => {
        clearTimeout(timer);
        this.#pings.delete(number);
        resolve(answer);
      };
      const timer = setTimeout(settle, seconds * 1000, false);
      this.#pings.set(number, settle);
      if (!this.#send("ping", { number })) settle(false);
    });
  }

  #opened() {
    if (this.#plain) this.#ready();
    else this.#send("hello", { restart: true });
  }

  #greeted({ restart }) {
    if (this.ready) return;
    this.restarts = restart === true;
    // Ours may be lost if it was said as soon as the other side's channel came.
    this.#send("hello", { restart: true });
    this.#ready();
  }

  #ready() {
    if (this.ready) return;
    this.ready = true;
    this.dispatchEvent(new Event("ready"));
  }

  #closed() {
    this.ready = false;
    for (const settle of [...this.#pings.values()]) settle(false);
    this.dispatchEvent(new Event("closed"));
  }

  #receive(data) {
    if (!this.#allowance.take()) {
      if (!this.#flooded) this.#emit("flooded");
      this.#flooded = true;
      return;
    }
    if (typeof data !== "string") return;
    if (this.#plain) {
      this.#emit("text", data.slice(0, MAX_TEXT_LENGTH));
      return;
    }
    const message = data.length > MAX_MESSAGE_LENGTH ? {} : parse(data);
    if (message.type === "hello") this.#greeted(message);
    else if (message.type === "ping") this.#answer(message);
    else if (message.type === "pong") this.#pings.get(message.number)?.(true);
    else if (message.type === "text" && typeof message.text === "string") this.#emit("text", message.text.slice(0, MAX_TEXT_LENGTH));
    else if (message.type === "state") this.#follow(readState(message));
  }

  #answer({ number }) {
    if (Number.isSafeInteger(number) && this.#channel.bufferedAmount <= MAX_UNSENT_BYTES) this.#send("pong", { number });
  }

  #follow(state) {
    const before = this.#state;
    this.#state = JSON.stringify(state);
    if (this.#state !== before) this.#emit("state", state);
  }

  #send(type, content) {
    return this.#sendRaw(JSON.stringify({ type, ...content }));
  }

  #sendRaw(text) {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function readState({ microphone, camera, screen }) {
  return { microphone: microphone !== false, camera: camera !== false, screen: screen === true };
}

function parse(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {}; // not one of ours
  }
}
