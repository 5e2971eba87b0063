/**
 * Bringing a call back whose path broke, for example since a phone went from Wi-Fi to mobile.
 *
 * The two sides look for another path by an ICE restart (RFC 8445 section 9), for which they exchange
 * an offer and an answer over the signaling. Only the caller offers: so two offers never meet, and the
 * callee, who notices the silence as well, has only to be there. Encryption and channels go on as they were.
 *
 * Both messages have `restart`, the number of the attempt, and the `session_id` of the call. An answer
 * whose `description` is null says that there is no such call any more. Older clients would take the
 * offer for another call, so it is made only to who said in `hello` (chat.js) that it knows this.
 */

/** ICE mends short disturbances by itself. */
const PATIENCE_S = 3;

/** From an offer to the next attempt: the other side may still be on its way back to the server. */
const ATTEMPT_S = 6;

/** How long after us the other side may come back to a server that was away: signaling.js waits as long at most. */
const RETURN_S = 30;

/** When to give up. */
export const LIMIT_S = 40;

/** Brings back one call, as often as it takes. */
export class Restart {
  #call;
  #parts;
  #timer = 0;
  #limit = 0;

  /** Of the attempt that goes on: answers to earlier ones count for nothing. */
  number = 0;

  /**
   * @param {import("./call.js").Call} call What to bring back.
   * @param {object} parts What it works with.
   * @param {() => void} parts.check The call is interrupted: find out what else is not as it was.
   * @param {(number: number) => Promise<void>} parts.offer Send an offer of this number; done when it is sent.
   * @param {() => void} parts.giveUp It is in vain.
   */
  constructor(call, parts) {
    this.#call = call;
    this.#parts = parts;
    call.addEventListener("state", () => this.#follow());
  }

  /** Do not wait for the next attempt: the network or the server has just come back. */
  hurry() {
    if (this.#limit) this.#attempt();
  }

  #follow() {
    if (this.#call.state !== "interrupted" || !this.#call.restartable) {
      clearTimeout(this.#timer);
      clearTimeout(this.#limit);
      this.#limit = 0;
    } else if (!this.#limit) {
      this.#limit = setTimeout(this.#parts.giveUp, LIMIT_S * 1000);
      this.#timer = setTimeout(() => this.#attempt(), PATIENCE_S * 1000);
      this.#parts.check();
    }
  }

  async #attempt() {
    clearTimeout(this.#timer);
    if (!this.#call.outgoing) return;
    this.number += 1;
    const { number } = this;
    await this.#parts.offer(number);
    if (!this.#limit || number !== this.number) return; // the call is back, or another attempt goes on
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#attempt(), ATTEMPT_S * 1000);
  }
}

/**
 * Whether a description is of the same browser as another one: of another browser, which has taken
 * the id in the meantime, a restart must not be accepted.
 *
 * @param {string} before Description that the call began with.
 * @param {string} after Description of the restart.
 * @returns {boolean} True if every certificate named in it is known (RFC 8122 section 5).
 */
export function sameSide(before, after) {
  const known = new Set(fingerprints(before));
  const found = fingerprints(after);
  return found.length > 0 && found.every((fingerprint) => known.has(fingerprint));
}

/**
 * Whether the other side, of whom the server says that it is gone, may be about to come back: who hangs
 * up has not left, and who has crashed does not. After the server was away, both sides may.
 *
 * @param {import("./call.js").Call} call Between us and it.
 * @param {boolean} hopeful Whether something else tells that it is only the network.
 * @param {number} onlineSince When the server let us in; 0 while it is away.
 * @returns {boolean} False if nothing more can come of the call.
 */
export function mayComeBack(call, hopeful, onlineSince) {
  if (!call.restartable || !call.peerLeft) return false;
  const returning = onlineSince > call.connectedAt && performance.now() - onlineSince < RETURN_S * 1000;
  return hopeful || !onlineSince || returning;
}

/**
 * Have something done when this device is in another network.
 *
 * @param {() => void} react What.
 */
export function watchNetwork(react) {
  window.addEventListener("online", react);
  const { connection } = navigator; // not in every browser
  let type = connection?.type;
  connection?.addEventListener?.("change", () => {
    if (connection.type === type) return; // its estimates of the speed change all the time
    type = connection.type;
    react();
  });
}

function fingerprints(sdp) {
  return [...sdp.matchAll(/^a=fingerprint:(.*)$/gim)].map(([, value]) => value.trim().toLowerCase());
}
