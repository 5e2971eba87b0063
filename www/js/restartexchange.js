/**
 * The messages of restarts (restart.js) within one call: the caller's offers, the callee's answers.
 */

import { restrict } from "./relay.js";
import { Restart } from "./restart.js";

/** From one answer to the next: each of them costs much, so a flood of offers must not get more. */
const ANSWER_GAP_MS = 1000;

/** Sends, answers and takes what brings one call back. */
export class RestartExchange {
  #call;
  #parts;
  #restart;

  /** @type {{description: RTCSessionDescriptionInit, number: unknown} | null} The newest offer that waits for an answer. */
  #waiting = null;

  /** Whether an offer is being answered, or was less than the gap ago. */
  #answering = false;

  /** Whether the server's `bye` after a refused offer is still to come. */
  #echoDue = false;

  /**
   * @param {import("./call.js").Call} call What to bring back.
   * @param {object} parts What it works with.
   * @param {import("./signaling.js").Signaling} parts.signaling Whether the server is there.
   * @param {import("./ice.js").IceServers} parts.ice STUN and TURN servers.
   * @param {(type: "offer" | "answer", content: object) => void} parts.send Send to the other side.
   * @param {() => void} parts.giveUp It is in vain.
   * @param {() => void} parts.gone The other side knows nothing of this call any more.
   */
  constructor(call, parts) {
    this.#call = call;
    this.#parts = parts;
    this.#restart = new Restart(call, {
      check: () => {
        parts.signaling.check();
        parts.ice.forget(); // the path may have broken since another server relays now
      },
      offer: (number) => this.#offer(number),
      giveUp: parts.giveUp,
    });
  }

  /** Do not wait for the next attempt: the network or the server has just come back. */
  hurry() {
    this.#restart.hurry();
  }

  /**
   * The caller looks for another path. Of offers that come more quickly than they are answered only
   * the newest counts, as for the caller itself: it waits for its turn, together with its candidates.
   *
   * @param {RTCSessionDescriptionInit} description Its offer.
   * @param {unknown} number What to answer with.
   */
  async offered(description, number) {
    this.#waiting = { description, number };
    if (this.#answering) {
      this.#call.holdCandidates();
      return;
    }
    this.#answering = true;
    while (this.#waiting && this.#call.restartable) {
      await this.#answer();
      await new Promise((resolve) => setTimeout(resolve, ANSWER_GAP_MS));
    }
    this.#answering = false;
  }

  /**
   * The callee has answered; what belongs to an earlier attempt counts for nothing.
   *
   * @param {RTCSessionDescriptionInit | null} description Its answer; null: there is no such call any more.
   * @param {unknown} number Which offer it is an answer to.
   */
  async answered(description, number) {
    if (!this.#call.outgoing || number !== this.#restart.number || !this.#call.restartable) return;
    this.#echoDue = false;
    if (description === null) this.#parts.gone();
    else if (typeof description?.sdp === "string") await quietly(() => this.#call.acceptRestart(description));
  }

  /** The server refused an offer, and will say `bye` for it. */
  refused() {
    this.#echoDue = true;
  }

  /** @returns {boolean} Whether a `bye` that has come is that one: it says nothing about the other side. */
  takeEcho() {
    const due = this.#echoDue;
    this.#echoDue = false;
    return due;
  }

  async #offer(number) {
    const { signaling, send } = this.#parts;
    if (!signaling.online) return;
    this.#echoDue = false;
    await quietly(async () => {
      const servers = await this.#servers();
      if (this.#call.over || number !== this.#restart.number || !signaling.online) return;
      const description = await this.#call.makeRestart(servers);
      if (!this.#call.over) send("offer", { description, media: this.#call.media, restart: number });
    });
  }

  async #answer() {
    const { description, number } = this.#waiting;
    this.#waiting = null;
    await quietly(async () => {
      const answer = await this.#call.answerRestart(description, () => this.#servers());
      if (answer && !this.#call.over) this.#parts.send("answer", { description: answer, restart: number });
    });
  }

  async #servers() {
    return restrict(await this.#parts.ice.get(), this.#call.relayTransport);
  }
}

/** An attempt that fails is followed by another one. */
async function quietly(steps) {
  try {
    await steps();
  } catch (error) {
    console.info("No other path could be looked for:", error.name);
  }
}
