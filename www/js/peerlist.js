/**
 * The list of who is here.
 *
 * Rows are kept from one list to the next, so that keyboard focus and screen readers stay where
 * they are. Names come from other people: they are only ever set as text.
 */

import { showAvatar } from "./avatar.js";
import { button, element, icon } from "./element.js";

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
   * @param {(id: string, media: "video" | "audio") => void} onCall Called with the id of a peer to call.
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
    this.#count.textContent = others ? `you and ${others} ${others === 1 ? "other" : "others"}` : "";
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
    const call = this.#rows.get(id)?.querySelector("button:last-of-type");
    call?.focus();
    return Boolean(call);
  }

  #row(peer, self, canCall) {
    const row = this.#rows.get(peer.id) ?? this.#newRow(peer.id, self);
    this.#rows.set(peer.id, row);
    showAvatar(row.querySelector(".avatar"), peer);
    row.querySelector(".peer-name").textContent = peer.name || "Guest";
    row.querySelector(".peer-agent").textContent = peer.user_agent;
    for (const call of row.querySelectorAll("button")) {
      call.disabled = !canCall;
      call.setAttribute("aria-label", `${call.title} with ${peer.name || "Guest"}, id ${peer.id}`);
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
    if (!self) row.append(this.#callButton(id, "audio"), this.#callButton(id, "video"));
    return row;
  }

  #callButton(id, media) {
    const call = button("icon-button call", "", () => this.#onCall(id, media));
    call.title = media === "video" ? "Video call" : "Audio call";
    call.append(icon(media === "video" ? "camera" : "phone"));
    return call;
  }
}
