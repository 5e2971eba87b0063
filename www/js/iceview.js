/**
 * What the ICE test page shows: servers and what was found, and the verdict over all.
 */

import { button, element } from "./element.js";
import { hostAndPort } from "./gather.js";
import { errorWords, milliseconds } from "./iceverdict.js";

/** What the types of candidates are, for who does not know them by name; what the server gave comes first, the device's own last. */
const TYPES = {
  relay: "an address of the relay",
  srflx: "your address as the server sees it",
  prflx: "your address as the other side sees it",
  host: "",
};

/**
 * Show the verdict over all servers.
 *
 * @param {import("./iceverdict.js").Verdict} verdict The verdict.
 */
export function showOverall({ tone, short, long, advice }) {
  const card = byId("overall");
  card.dataset.tone = tone;
  card.hidden = false;
  byId("overall-short").textContent = short;
  byId("overall-long").textContent = long;
  byId("overall-advice").textContent = advice;
}

/** One server in the list. */
export class ServerCard {
  #state = element("span", "ice-state");
  #body = element("div", "ice-body");

  /**
   * @param {import("./icecheck.js").Server} server What it is about.
   * @param {() => void} remove Takes an added server out of the list.
   */
  constructor(server, remove) {
    this.node = element("li", "card ice-server");
    const head = element("div", "ice-server-head");
    head.append(element("h3", "", server.url), this.#state);
    if (server.added) {
      const press = button("button quiet small ice-remove", "Remove", remove);
      press.setAttribute("aria-label", `Remove ${server.url}`);
      head.append(press);
    }
    this.node.append(head, this.#body);
    this.#setState("idle", "not tested yet");
  }

  /** The test has begun. */
  showBusy() {
    this.#setState("busy", "testing …");
    this.#body.replaceChildren();
  }

  /** The test was ended before it was done. */
  showStopped() {
    this.#setState("idle", "stopped");
    this.#body.replaceChildren();
  }

  /**
   * @param {import("./icecheck.js").Check} check What was found.
   * @param {import("./iceverdict.js").Verdict} verdict What it means.
   */
  showResult({ gathering }, { tone, short, long, advice }) {
    this.#setState(tone, short);
    const parts = [element("p", "", long)];
    if (advice) parts.push(element("p", "ice-advice", advice));
    if (gathering?.candidates.length || gathering?.errors.length) parts.push(foundDetails(gathering));
    this.#body.replaceChildren(...parts);
  }

  #setState(tone, words) {
    this.#state.dataset.tone = tone;
    this.#state.textContent = words;
  }
}

function foundDetails({ candidates, errors }) {
  const details = element("details", "ice-more");
  const counted = [count(candidates.length, "candidate"), errors.length ? count(errors.length, "error") : ""];
  const list = element("ul", "ice-found");
  const order = Object.keys(TYPES);
  const sorted = candidates.toSorted((one, other) => order.indexOf(one.type) - order.indexOf(other.type));
  list.append(...errors.map(errorItem), ...sorted.map(candidateItem));
  details.append(element("summary", "", counted.filter(Boolean).join(", ")), list);
  return details;
}

function candidateItem({ type, protocol, address, port, related, afterMs }) {
  const item = element("li", "");
  const kind = element("span", "kind", `${type} ${protocol}`);
  const behind = [TYPES[type], related && `reached from ${related}`].filter(Boolean).join(", ");
  item.append(kind, element("span", "", hostAndPort(address, port)), element("span", "after", milliseconds(afterMs)), element("span", "behind", behind));
  return item;
}

function errorItem({ code, text }) {
  const item = element("li", "");
  item.append(element("span", "kind", `error ${code}`), element("span", "error", `It ${errorWords(code)}${text ? ` (${text.replace(/\.$/, "")})` : ""}.`));
  return item;
}

function count(number, what) {
  return `${number || "no"} ${what}${number === 1 ? "" : "s"}`;
}

/**
 * @param {string} id Of an element of the page.
 * @returns {HTMLElement} That.
 */
export function byId(id) {
  return document.getElementById(id);
}
