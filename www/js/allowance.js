/**
 * How often something may be done that others ask for: token buckets.
 */

/** What everybody together may ask for at once, and each second. */
const BURST = 20;
const PER_S = 5;

/** What each sender may. */
const SENDER_BURST = 3;
const SENDER_PER_S = 1;

/** Buckets of senders that are kept; who sent something longest ago is forgotten first. */
const MAX_SENDERS = 64;

/** So much at once, and so much more each second. */
export class Bucket {
  #burst;
  #perS;
  #credit;
  #creditedAt = performance.now();

  /**
   * @param {number} burst How often at once.
   * @param {number} perS How many times more each second.
   */
  constructor(burst, perS) {
    this.#burst = this.#credit = burst;
    this.#perS = perS;
  }

  /** @returns {boolean} Whether it may be done once more now. */
  take() {
    const now = performance.now();
    this.#credit = Math.min(this.#burst, this.#credit + ((now - this.#creditedAt) / 1000) * this.#perS);
    this.#creditedAt = now;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}

/**
 * How often strangers are answered. One who floods is not, and alone does not keep the others from
 * it: the server vouches for `from`. Several together can, while it lasts; whoever else calls then
 * hears nothing, and it rings there until nobody has answered.
 */
export class Allowance {
  #all = new Bucket(BURST, PER_S);

  /** @type {Map<string, Bucket>} By sender, who sent something last being last. */
  #senders = new Map();

  /**
   * @param {string} sender Who asks for an answer.
   * @returns {boolean} Whether to give one.
   */
  take(sender) {
    const own = this.#senders.get(sender) ?? new Bucket(SENDER_BURST, SENDER_PER_S);
    this.#senders.delete(sender);
    this.#senders.set(sender, own);
    if (this.#senders.size > MAX_SENDERS) this.#senders.delete(this.#senders.keys().next().value);
    return own.take() && this.#all.take();
  }
}
