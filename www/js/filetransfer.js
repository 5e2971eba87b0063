/**
 * Files from browser to browser, over a data channel of their own (label `file`, ordered, reliable).
 *
 * Several files may be under way at once, in both directions. What the other side sends is
 * checked: nothing of it makes this module throw, or grow beyond what somebody here accepted.
 *
 * On the wire, a text message is a JSON object with a `type` and the `id` of a transfer, which
 * whoever offers chooses: 16 hexadecimal digits in lower case, at random.
 *
 *   offer     {name, size, mime}   from the sender: size in bytes, mime may be empty
 *   accept    {}                   from the receiver: chunks may come
 *   reject    {reason?}            from the receiver: no
 *   end       {checksum?}          from the sender: that was all; SHA-256, hexadecimal
 *   received  {checksum?}          from the receiver: all has come, and this is its SHA-256
 *   cancel    {reason?}            from either, at any time: no more of this
 *
 * A binary message is a chunk: 8 bytes, the id, and then bytes of the file, in order. The id is
 * the only place in it, since the channel keeps the order. Who leaves a checksum out cannot be
 * verified: `done` says so. Unknown types, ids and members are ignored.
 */

import { safeName, safeType } from "./filename.js";
import { IncomingFile } from "./incomingfile.js";
import { OutgoingFile } from "./outgoingfile.js";

const ID_BYTES = 8;
const ID = /^[0-9a-f]{16}$/;
const CHECKSUM = /^[0-9a-f]{64}$/;

/** RFC 8831 section 6.6: senders "SHOULD limit the maximum message size to 16 KB". */
const DEFAULT_MESSAGE_BYTES = 16 * 1024;

/** Larger ones gain nothing, and hold up other channels of the connection. */
const MAX_MESSAGE_BYTES = 64 * 1024;

const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

/** No control message of an honest sender is longer. */
const MAX_CONTROL_LENGTH = 8 * 1024;

const MAX_UNDECIDED = 16;
const MAX_OFFERS_PER_MINUTE = 100;
const DEFAULT_MAX_FILE_BYTES = 4 * 1024 ** 3;
const PROGRESS_MS = 100;

/** Why a transfer came to nothing, in words. */
const REASONS = {
  cancelled: "You stopped it.",
  "peer-cancelled": "The other side stopped it.",
  "channel-closed": "The connection ended before the file was complete.",
  unreadable: "The file could not be read any more: it was moved, changed or deleted.",
  "too-large": "The file is larger than the other side takes.",
  busy: "Too many files are waiting for an answer. Try again when they have one.",
  "too-much-data": "More came than was offered.",
  incomplete: "Less came than was offered.",
  checksum: "What arrived is not what was sent: the checksums differ.",
  protocol: "Data came that nobody had accepted.",
  rejected: "The other side did not want it.",
};

/** Reasons that the other side may give; our own would be the wrong words for what it did. */
const REJECTIONS = ["rejected", "busy", "too-large"];
const CANCELLATIONS = ["peer-cancelled", "unreadable", "too-much-data", "incomplete", "checksum", "protocol"];

/**
 * @param {string} reason Of an event `failed` or `rejected`.
 * @returns {string} A sentence for people.
 */
export function failureWords(reason) {
  return Object.hasOwn(REASONS, reason) ? REASONS[reason] : "The transfer failed.";
}

/**
 * Sends and receives files over one data channel.
 *
 * Events, each with an `id` in its detail:
 *   `offered`   detail {id, name, size, type}: the other side has a file for us.
 *   `accepted`  detail {id}: the other side wants our file; it is being sent.
 *   `rejected`  detail {id, reason}: it does not.
 *   `progress`  detail {id, direction, transferred, size, bytesPerSecond}: direction is "up" or
 *               "down"; ten times a second at most, and when all is there.
 *   `done`      detail {id, direction, checksum, verified, blob}: blob only at the receiver.
 *   `failed`    detail {id, direction, reason}: a key for `failureWords`.
 */
export class FileTransfer extends EventTarget {
  #channel;
  #pieceBytes;
  #maxFileBytes;

  /** @type {Map<string, OutgoingFile | IncomingFile>} Transfers that are not over. */
  #files = new Map();

  #listeners = new AbortController();
  #waiting = [];
  #offers = { since: 0, count: 0 };

  /**
   * @param {RTCDataChannel} dataChannel An ordered, reliable channel that nobody else uses.
   * @param {object} [options] What this connection and this page can do.
   * @param {number} [options.maxMessageSize] `sctp.maxMessageSize` of the connection, once it is connected.
   * @param {number} [options.maxFileBytes] Larger files are refused without asking.
   */
  constructor(dataChannel, { maxMessageSize = DEFAULT_MESSAGE_BYTES, maxFileBytes = DEFAULT_MAX_FILE_BYTES } = {}) {
    super();
    this.#channel = dataChannel;
    this.#pieceBytes = Math.max(1, Math.min(maxMessageSize || MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES) - ID_BYTES);
    this.#maxFileBytes = maxFileBytes;
    dataChannel.binaryType = "arraybuffer";
    dataChannel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    const { signal } = this.#listeners;
    dataChannel.addEventListener("message", ({ data }) => this.#receive(data), { signal });
    dataChannel.addEventListener("bufferedamountlow", () => this.#wake(), { signal });
    dataChannel.addEventListener("close", () => this.#end(), { signal });
  }

  /**
   * Offer a file to the other side; it is read only when that accepts.
   *
   * @param {File} file What to offer.
   * @returns {string} The transfer's id.
   * @throws {DOMException} InvalidStateError, if the channel is not open.
   */
  offer(file) {
    if (this.#channel.readyState !== "open") {
      throw new DOMException(`The channel for files is ${this.#channel.readyState}: offer files while it is open.`, "InvalidStateError");
    }
    const id = randomId();
    this.#files.set(id, new OutgoingFile(id, file));
    this.#tell("offer", id, { name: safeName(file.name), size: file.size, mime: safeType(file.type) });
    return id;
  }

  /**
   * Take what was offered. Nothing happens if it is not on offer any more.
   *
   * @param {string} id Of an event `offered`.
   */
  accept(id) {
    const file = this.#files.get(id);
    if (!(file instanceof IncomingFile) || file.state !== "offered") return;
    file.open();
    this.#tell("accept", id);
  }

  /**
   * Turn an offer down. Nothing happens if it is not on offer any more.
   *
   * @param {string} id Of an event `offered`.
   */
  reject(id) {
    const file = this.#files.get(id);
    if (!(file instanceof IncomingFile) || file.state !== "offered") return;
    this.#forget(file);
    this.#tell("reject", id, { reason: "rejected" });
  }

  /**
   * Stop a transfer, in either direction. Nothing happens if it is over.
   *
   * @param {string} id Its id.
   */
  cancel(id) {
    const file = this.#files.get(id);
    if (file) this.#fail(file, "cancelled", "peer-cancelled");
  }

  /** Stop everything and close the channel. Not every browser tells a channel that its own side closed the connection: close this first. */
  close() {
    this.#end();
    this.#channel.close();
  }

  #end() {
    this.#listeners.abort();
    for (const file of [...this.#files.values()]) this.#fail(file, "channel-closed");
    this.#wake();
  }

  #receive(data) {
    if (data instanceof ArrayBuffer) this.#receiveChunk(new Uint8Array(data));
    else if (typeof data === "string" && data.length <= MAX_CONTROL_LENGTH) this.#receiveControl(parse(data));
  }

  #receiveControl(message) {
    if (!message) return;
    const { type, id } = message;
    const file = this.#files.get(id);
    if (type === "offer") this.#receiveOffer(message);
    else if (file && type === "cancel") this.#fail(file, reasonOf(message, CANCELLATIONS));
    else if (file instanceof OutgoingFile) this.#receiveAnswer(file, message);
    else if (file && type === "end") this.#receiveEnd(file, message);
  }

  #receiveOffer({ id, name, size, mime }) {
    if (this.#files.has(id) || !Number.isSafeInteger(size) || size < 0) return;
    const undecided = [...this.#files.values()].filter((file) => file instanceof IncomingFile && file.state === "offered");
    if (this.#isFlooded() || undecided.length >= MAX_UNDECIDED) this.#refuse(id, "busy");
    else if (size > this.#maxFileBytes) this.#refuse(id, "too-large");
    else {
      const type = safeType(mime);
      this.#files.set(id, new IncomingFile(id, size, type));
      this.#dispatch("offered", { id, name: safeName(name), size, type });
    }
  }

  /** Offers that are made and withdrawn again and again would never be too many at once. */
  #isFlooded() {
    const now = performance.now();
    if (now - this.#offers.since > 60_000) this.#offers = { since: now, count: 0 };
    this.#offers.count += 1;
    return this.#offers.count > MAX_OFFERS_PER_MINUTE;
  }

  #receiveAnswer(file, message) {
    const { type, id } = message;
    if (type === "accept" && file.state === "offered") {
      file.state = "sending";
      this.#dispatch("accepted", { id });
      this.#send(file);
    } else if (type === "reject" && file.state === "offered") {
      this.#forget(file);
      this.#dispatch("rejected", { id, reason: reasonOf(message, REJECTIONS) });
    } else if (type === "received" && file.state === "sent") {
      const checksum = checksumOf(message);
      if (checksum && checksum !== file.checksum) this.#fail(file, "checksum");
      else this.#done(file, { checksum: file.checksum, verified: checksum !== "" });
    }
  }

  async #send(file) {
    try {
      for await (const piece of file.pieces(this.#pieceBytes)) {
        await this.#room();
        if (file.state === "over") return;
        this.#channel.send(frame(file.id, piece));
        file.add(piece.length);
        this.#progress(file);
      }
    } catch {
      const reason = this.#channel.readyState === "open" ? "unreadable" : "channel-closed";
      if (file.state !== "over") this.#fail(file, reason, reason);
    }
    if (file.state === "over") return;
    file.state = "sent";
    this.#tell("end", file.id, { checksum: file.checksum });
  }

  /** Wait until the channel takes more; always at least a moment, so that several files take turns. */
  async #room() {
    while (this.#channel.readyState === "open" && this.#channel.bufferedAmount > HIGH_WATER_BYTES) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #receiveChunk(bytes) {
    const file = this.#files.get(hexadecimal(bytes.subarray(0, ID_BYTES)));
    if (!(file instanceof IncomingFile) || bytes.length === ID_BYTES) return; // of a transfer that is over here, and was not there yet
    if (file.state !== "receiving") this.#fail(file, "protocol", "protocol");
    else if (file.add(bytes.subarray(ID_BYTES))) this.#progress(file);
    else this.#fail(file, "too-much-data", "too-much-data");
  }

  #receiveEnd(file, message) {
    if (file.state !== "receiving") return this.#fail(file, "protocol", "protocol");
    if (file.transferred < file.size) return this.#fail(file, "incomplete", "incomplete");
    const claimed = checksumOf(message);
    const { blob, checksum } = file.finish();
    if (claimed && claimed !== checksum) return this.#fail(file, "checksum", "checksum");
    this.#tell("received", file.id, { checksum });
    return this.#done(file, { checksum, verified: claimed !== "", blob });
  }

  #progress({ id, direction, transferred, size, throughput }) {
    if (!throughput.isDue(PROGRESS_MS) && transferred < size) return;
    this.#dispatch("progress", { id, direction, transferred, size, bytesPerSecond: throughput.bytesPerSecond });
  }

  #done(file, outcome) {
    this.#forget(file);
    this.#dispatch("done", { id: file.id, direction: file.direction, ...outcome });
  }

  /** End a transfer; the other side is told if there is anything to tell it. */
  #fail(file, reason, told = "") {
    this.#forget(file);
    if (told) this.#tell("cancel", file.id, { reason: told });
    this.#dispatch("failed", { id: file.id, direction: file.direction, reason });
  }

  #forget(file) {
    this.#files.delete(file.id);
    file.state = "over";
    if (file instanceof IncomingFile) file.drop();
  }

  /** Say no without keeping anything, and without piling up answers for who does not read them. */
  #refuse(id, reason) {
    if (this.#channel.bufferedAmount < LOW_WATER_BYTES) this.#tell("reject", id, { reason });
  }

  #tell(type, id, more = {}) {
    if (this.#channel.readyState !== "open") return;
    try {
      this.#channel.send(JSON.stringify({ type, id, ...more }));
    } catch {
      this.#channel.close(); // its buffer is full: nothing that follows would arrive either
    }
  }

  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function parse(text) {
  try {
    const message = JSON.parse(text);
    return ID.test(message?.id) && typeof message.id === "string" ? message : null;
  } catch {
    return null;
  }
}

/** The first of the reasons that may be given stands for all others. */
function reasonOf({ reason }, allowed) {
  return allowed.includes(reason) ? reason : allowed[0];
}

function checksumOf({ checksum }) {
  return typeof checksum === "string" && CHECKSUM.test(checksum) ? checksum : "";
}

function randomId() {
  return hexadecimal(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
}

function hexadecimal(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function frame(id, piece) {
  const message = new Uint8Array(ID_BYTES + piece.length);
  for (let index = 0; index < ID_BYTES; index += 1) message[index] = Number.parseInt(id.slice(2 * index, 2 * index + 2), 16);
  message.set(piece, ID_BYTES);
  return message;
}
