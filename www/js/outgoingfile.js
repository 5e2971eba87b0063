/**
 * A file that is sent: read piece by piece, and hashed on the way.
 */

import { Sha256 } from "./sha256.js";
import { Throughput } from "./throughput.js";

/** So much of the file is in memory at a time. */
const READ_BYTES = 1024 * 1024;

/** One file on its way out. */
export class OutgoingFile {
  direction = "up";
  transferred = 0;
  throughput = new Throughput();

  /** @type {"offered" | "sending" | "sent" | "over"} */
  state = "offered";

  /** Its SHA-256 in hexadecimal digits; empty before all of it was read. */
  checksum = "";

  #file;
  #hash = new Sha256();

  /**
   * @param {string} id Of the transfer: 16 hexadecimal digits.
   * @param {Blob} file What to send.
   */
  constructor(id, file) {
    this.id = id;
    this.size = file.size;
    this.#file = file;
  }

  /**
   * Read the file once, from beginning to end.
   *
   * @param {number} maxBytes Longest piece.
   * @yields {Uint8Array} The next piece.
   * @throws {DOMException} If the file is gone, or not what it was.
   */
  async *pieces(maxBytes) {
    this.throughput = new Throughput(); // the time that the other side took to decide does not count
    for (let start = 0; start < this.size; start += READ_BYTES) {
      const part = new Uint8Array(await this.#file.slice(start, start + READ_BYTES).arrayBuffer());
      if (part.length !== Math.min(READ_BYTES, this.size - start)) throw new DOMException("The file has changed.", "NotReadableError");
      this.#hash.update(part);
      for (let at = 0; at < part.length; at += maxBytes) yield part.subarray(at, at + maxBytes);
    }
    this.checksum = this.#hash.hex();
  }

  /**
   * @param {number} bytes That have been sent.
   */
  add(bytes) {
    this.transferred += bytes;
    this.throughput.add(bytes);
  }
}
