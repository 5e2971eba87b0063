/**
 * What the browser keeps for this page. Where it keeps nothing, since storage is switched off or
 * full, a value lives as long as the page.
 */

const PREFIX = "tornado-webrtc.";

/** A storage of the browser, and what it did not take. */
export class Store {
  #storage;
  #refused = new Map();

  /**
   * @param {() => Storage} storage Gets the storage; that itself may be forbidden.
   */
  constructor(storage) {
    this.#storage = storage;
  }

  /**
   * @param {string} key Name of a value.
   * @returns {string | null} What was written last; null: nothing.
   */
  read(key) {
    if (this.#refused.has(key)) return this.#refused.get(key);
    try {
      return this.#storage().getItem(PREFIX + key);
    } catch {
      return null;
    }
  }

  /**
   * @param {string} key Name of a value.
   * @param {string} value What to keep.
   */
  write(key, value) {
    try {
      this.#storage().setItem(PREFIX + key, value);
      this.#refused.delete(key);
    } catch {
      this.#refused.set(key, value);
    }
  }
}
