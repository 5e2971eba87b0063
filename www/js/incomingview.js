/**
 * The sheet of a call that comes in. Whoever is typing at that moment neither takes nor rejects the
 * call by the next key, and goes on typing: letters still go where they were meant to go.
 */

import { showAvatar } from "./avatar.js";
import { erase, isErasure, isLetter, isTextField, write } from "./typing.js";
import { INCOMING } from "./words.js";

const $ = (id) => document.getElementById(id);

/** @type {Record<string, string>} The icon of what a caller wants. */
const ICONS = { video: "camera", audio: "phone", data: "chat" };

/** Shows who calls, and asks what to do. */
export class IncomingView {
  #wanted = false;

  /** @type {HTMLInputElement | null} The field that had the keyboard when the call came. */
  #field = null;

  /**
   * @param {object} intents What to do when the person asks for it.
   * @param {(wanted?: import("./callmedia.js").Wanted) => void} intents.accept Take the call.
   * @param {() => void} intents.hangUp Reject it.
   */
  constructor(intents) {
    $("accept").addEventListener("click", () => intents.accept());
    $("accept-audio").addEventListener("click", () => intents.accept("audio"));
    $("reject").addEventListener("click", intents.hangUp);
    this.#keep();
  }

  /**
   * @param {import("./call.js").Call} call Who calls, and what for.
   */
  introduce({ peer, media }) {
    showAvatar($("incoming-avatar"), peer);
    $("incoming-name").textContent = peer.name;
    $("incoming-id").textContent = `Id ${peer.id}`;
    $("incoming-words").textContent = INCOMING[media];
    $("accept-icon").setAttribute("href", `#icon-${ICONS[media]}`);
    $("accept-audio").hidden = media !== "video";
  }

  /**
   * Open or close the sheet. The keyboard goes to the sheet itself, and afterwards back to where it was.
   *
   * @param {boolean} open Whether a call is coming in.
   */
  show(open) {
    const sheet = $("incoming");
    this.#wanted = open;
    if (open === sheet.open) return;
    if (open) {
      const { activeElement: before } = document;
      this.#field = isTextField(before) ? before : null;
      sheet.showModal();
      sheet.focus();
    } else {
      this.#field = null;
      sheet.close();
      const { activeElement: before } = document;
      before.blur(); // Chromium gives the focus back, but after a click not the caret
      before.focus();
    }
  }

  /** Escape, and what a phone has instead, was meant for what is below the sheet. */
  #keep() {
    const sheet = $("incoming");
    sheet.addEventListener("keydown", (event) => this.#key(event));
    sheet.addEventListener("cancel", (event) => event.preventDefault());
    sheet.addEventListener("close", () => this.show(this.#wanted)); // some browsers insist
  }

  #key(event) {
    const typed = event.target === $("incoming") && this.#field;
    if (typed && isLetter(event)) write(typed, event.key);
    else if (typed && isErasure(event)) erase(typed);
    else if (event.key !== "Escape") return;
    event.preventDefault();
  }
}
