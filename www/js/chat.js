/**
 * The text channel of a call, and what the two pages tell each other beside it.
 *
 * Messages are JSON objects with a `type`:
 *   `hello`          on both sides, when the channel opens: somebody is there who reads this.
 *   `text`           {text}: what a person wrote.
 *   `state`          {microphone, camera, screen}: what the sender has switched on.
 *   `ping`, `pong`   {number}: whether the other side is still there, asked without the server.
 *
 * Older clients say no `hello`. With a `plain` channel, one that they opened for their own text
 * chat, everything is text as it is.
 *
 * Events:
 *   `ready`   texts can be sent.
 *   `text`    detail: what the other side wrote.
 *   `state`   detail {microphone, camera, screen}: booleans.
 *   `closed`  nothing more will come.
 */

const MAX_TEXT_LENGTH = 4000;

/** Both ends of a text channel. */
export class Chat extends EventTarget {
  #channel;
  #plain;
  #pings = new Map();
  #number = 0;

  /** Whether texts can be sent. */
  ready = false;

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
    else this.#send("hello", {});
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
    if (typeof data !== "string") return;
    if (this.#plain) {
      this.#emit("text", data.slice(0, MAX_TEXT_LENGTH));
      return;
    }
    const message = parse(data);
    if (message.type === "hello") this.#ready();
    else if (message.type === "ping") this.#send("pong", { number: message.number });
    else if (message.type === "pong") this.#pings.get(message.number)?.(true);
    else if (message.type === "text" && typeof message.text === "string") this.#emit("text", message.text.slice(0, MAX_TEXT_LENGTH));
    else if (message.type === "state") this.#emit("state", readState(message));
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
