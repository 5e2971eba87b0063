/**
 * A file that is received: collected, counted and hashed as it comes.
 */

import { blobType } from "./filename.js";
import { Sha256 } from "./sha256.js";
import { Throughput } from "./throughput.js";

/** So much is kept in memory; what is in a Blob may go to the disk, as the browser likes. */
const FOLD_BYTES = 4 * 1024 * 1024;

/** One file on its way in. */
export class IncomingFile {
  direction = "down";
  transferred = 0;
  throughput = new Throughput();

  /** @type {"offered" | "receiving" | "over"} */
  state = "offered";

  #type;
  #blobs = [];
  #buffer = null;
  #filled = 0;
  #hash = new Sha256();

  /**
   * @param {string} id Of the transfer: 16 hexadecimal digits.
   * @param {number} size In bytes, as it was offered.
   * @param {string} type MIME type, as it was offered.
   */
  constructor(id, size, type) {
    this.id = id;
    this.size = size;
    this.#type = type;
  }

  /** Begin: bytes may come now. */
  open() {
    this.state = "receiving";
    this.throughput = new Throughput();
    this.#buffer = new Uint8Array(Math.min(FOLD_BYTES, this.size));
  }

  /**
   * Keep some bytes. They are copied into a buffer, so that a million tiny pieces cost no more
   * memory than a few large ones.
   *
   * @param {Uint8Array} bytes The next ones.
   * @returns {boolean} False if they are more than was offered; they are not kept then.
   */
  add(bytes) {
    if (this.transferred + bytes.length > this.size) return false;
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.subarray(at, at + this.#buffer.length - this.#filled);
      this.#buffer.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === this.#buffer.length) this.#fold();
    }
    this.transferred += bytes.length;
    this.throughput.add(bytes.length);
    return true;
  }

  /**
   * Finish, when all has come.
   *
   * @returns {{blob: Blob, checksum: string}} The file, and its SHA-256 in hexadecimal digits.
   */
  finish() {
    this.#fold();
    const blob = new Blob(this.#blobs, { type: blobType(this.#type) });
    const checksum = this.#hash.hex();
    this.drop();
    return { blob, checksum };
  }

  /** Let go of what has come. */
  drop() {
    this.state = "over";
    this.#blobs = [];
    this.#buffer = null;
  }

  #fold() {
    if (this.#filled) this.#blobs.push(new Blob([this.#buffer.subarray(0, this.#filled)]));
    this.#filled = 0;
  }
}
