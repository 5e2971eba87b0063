/**
 * The dialog with the link, and its code for a phone's camera, that lets somebody call us.
 */

import { qrSvg } from "./qr.js";

const $ = (id) => document.getElementById(id);

/** Names and addresses of this very computer. */
const LOOPBACK = /^(?:.+\.)?localhost$|^127\.|^\[::1\]$/;

/** How long the button says that the link was copied. */
const COPIED_MS = 4000;

/** Shows invitations. */
export class InviteView {
  #timer = 0;

  constructor() {
    $("close-invite").addEventListener("click", () => $("invite").close());
    $("copy-link").addEventListener("click", () => this.#copy());
    $("invite-link").addEventListener("focus", () => $("invite-link").select());
    $("share-link").hidden = !navigator.share;
    $("share-link").addEventListener("click", () => share($("invite-link").value));
  }

  /**
   * @param {string} link What to hand out.
   */
  show(link) {
    $("invite-link").value = link;
    $("invite-local").hidden = !LOOPBACK.test(new URL(link).hostname);
    $("invite-code").replaceChildren(...codeOf(link));
    this.#say("Copy the link");
    $("invite").showModal();
    $("copy-link").focus();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText($("invite-link").value);
      this.#say("Copied");
    } catch {
      $("invite-link").focus(); // no permission, or plain HTTP: it is selected, so that Ctrl+C copies it
      this.#say("Copy the selected link yourself");
    }
  }

  #say(words) {
    clearTimeout(this.#timer);
    $("copy-words").textContent = words;
    this.#timer = setTimeout(() => ($("copy-words").textContent = "Copy the link"), COPIED_MS);
  }
}

/** A picture, or nothing: long names and rooms may be too much for a code. */
function codeOf(link) {
  try {
    return [qrSvg(link, { title: "The link as a code for a phone's camera" })];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.info("There is no code for this link:", error.message);
    return [];
  }
}

async function share(url) {
  try {
    await navigator.share({ url, title: "Call me" });
  } catch (error) {
    console.info("Not shared:", error.name); // the person changed his mind
  }
}
