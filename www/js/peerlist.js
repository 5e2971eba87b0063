/**
 * The list of who is here.
 *
 * Rows are kept from one list to the next, so that keyboard focus and screen readers stay where
 * they are. Names come from other people: they are only ever set as text.
 */

import { showAvatar } from "./avatar.js";

/**
 * @typedef {object} Peer
 * @property {string} id Unique in its scope.
 * @property {string} name As its owner typed it.
 * @property {string} user_agent What it runs.
 */

/** The list on the page. */
export class PeerList {
  #list = document.getElementById("peers");
  #count = document.getElementById("people-count");
  #nobody = document.getElementById("nobody");
  #rows = new Map();
  #onCall;

  /**
   * @param {(id: string) => void} onCall Called with the id of a peer to call.
   */
  constructor(onCall) {
    this.#onCall = onCall;
  }

  /**
   * Show a list: ourselves first, the others in the server's order.
   *
   * @param {Peer[]} peers Everybody who is signed in.
   * @param {string} selfId Which of them we are.
   * @param {boolean} canCall False while no call can be made.
   */
  show(peers, selfId, canCall) {
    const sorted = [...peers].sort((a, b) => Number(b.id === selfId) - Number(a.id === selfId));
    const ids = new Set(sorted.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    sorted.forEach((peer, index) => this.#place(this.#row(peer, peer.id === selfId, canCall), index));
    const others = sorted.filter(({ id }) => id !== selfId).length;
    this.#count.textContent = String(ids.size);
    this.#list.hidden = ids.size === 0;
    this.#nobody.hidden = others > 0;
  }

  /**
   * Put the keyboard focus on the call button of a peer.
   *
   * @param {string} id Whose.
   * @returns {boolean} False if there is no such button.
   */
  focus(id) {
    const button = this.#rows.get(id)?.querySelector("button");
    button?.focus();
    return Boolean(button);
  }

  #row(peer, self, canCall) {
    const row = this.#rows.get(peer.id) ?? this.#newRow(peer.id, self);
    this.#rows.set(peer.id, row);
    showAvatar(row.querySelector(".avatar"), peer);
    row.querySelector(".peer-name").textContent = peer.name || "Guest";
    row.querySelector(".peer-agent").textContent = peer.user_agent;
    const button = row.querySelector("button");
    if (button) {
      button.disabled = !canCall;
      button.setAttribute("aria-label", `Call ${peer.name || "Guest"}, id ${peer.id}`);
    }
    return row;
  }

  #place(row, index) {
    if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
  }

  #newRow(id, self) {
    const row = element("li", "peer");
    row.dataset.peerId = id;
    row.dataset.self = String(self);
    const text = element("div", "peer-text");
    const first = element("p", "peer-first");
    first.append(element("bdi", "peer-name"));
    if (self) first.append(element("span", "chip", "You"));
    const second = element("p", "peer-second");
    second.append(element("bdi", "peer-id", id), element("span", "peer-agent"));
    text.append(first, second);
    const avatar = element("span", "avatar");
    avatar.setAttribute("aria-hidden", "true");
    row.append(avatar, text);
    if (!self) row.append(this.#callButton(id));
    return row;
  }

  #callButton(id) {
    const button = element("button", "icon-button call");
    button.type = "button";
    button.title = "Call";
    button.append(icon("camera"));
    button.addEventListener("click", () => this.#onCall(id));
    return button;
  }
}

/**
 * @param {string} tag Element name.
 * @param {string} className Its class.
 * @param {string} [text] Its text.
 * @returns {HTMLElement} A new element.
 */
function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/**
 * @param {string} name Name of a symbol in index.html, without "icon-".
 * @returns {SVGElement} A new icon.
 */
function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}
