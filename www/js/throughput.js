/**
 * How fast a transfer goes.
 */

const PERIOD_MS = 500;

/** How much of the rate is that of the last period. */
const NEWEST_PART = 0.4;

/** A smoothed rate, and when it is time to tell of it. */
export class Throughput {
  #since = performance.now();
  #bytes = 0;
  #rate = NaN;
  #toldAt = -Infinity;

  /**
   * @param {number} bytes That have just been moved.
   */
  add(bytes) {
    this.#bytes += bytes;
    const passed = performance.now() - this.#since;
    if (passed < PERIOD_MS) return;
    const newest = (this.#bytes * 1000) / passed;
    this.#rate = Number.isNaN(this.#rate) ? newest : NEWEST_PART * newest + (1 - NEWEST_PART) * this.#rate;
    this.#since += passed;
    this.#bytes = 0;
  }

  /** @returns {number} Bytes in a second; in the first half second, of what there was of it. */
  get bytesPerSecond() {
    if (!Number.isNaN(this.#rate)) return Math.round(this.#rate);
    const passed = performance.now() - this.#since;
    return passed > 0 ? Math.round((this.#bytes * 1000) / passed) : 0;
  }

  /**
   * @param {number} everyMs Not more often than this.
   * @returns {boolean} Whether it is time to tell somebody.
   */
  isDue(everyMs) {
    const now = performance.now();
    if (now - this.#toldAt < everyMs) return false;
    this.#toldAt = now;
    return true;
  }
}
