/**
 * The panel beside the picture of a call: chat and files, or how good the connection is.
 */

import { ChatView } from "./chatview.js";
import { QualityView } from "./qualityview.js";

const $ = (id) => document.getElementById(id);

/** How long a line about what came in stays in sight. */
const TOAST_MS = 6000;

/** What can be shown: title, and the button that opens it. */
const PANES = { chat: ["Chat and files", "open-chat"], quality: ["Call quality", "path-words"] };

/** Opens, closes and fills it. */
export class Panel {
  #chat = new ChatView((words) => this.#announce(words));
  #quality = new QualityView();
  #call = null;
  #open = "";
  #unread = 0;
  #timer = 0;

  constructor() {
    for (const [pane, [, opener]] of Object.entries(PANES)) $(opener).addEventListener("click", () => this.#toggle(pane));
    $("close-panel").addEventListener("click", () => this.#close());
    $("toast").addEventListener("click", () => this.#show("chat"));
    $("call").addEventListener("keydown", ({ key }) => key === "Escape" && this.#close());
    window.addEventListener("resize", () => this.#quality.resize());
    this.#takeDrops();
  }

  /**
   * Follow a call.
   *
   * @param {import("./call.js").Call | null} call Null: there is none.
   */
  follow(call) {
    if (call !== this.#call) {
      this.#show("");
      this.#count(0);
      this.#hideToast();
    }
    this.#call = call;
    this.#chat.follow(call);
    this.#quality.follow(call);
    const ready = Boolean(call?.chat?.ready && !call.over);
    if (ready && call.media === "data" && $("open-chat").hidden) this.#show("chat");
    $("open-chat").hidden = !ready && this.#open !== "chat";
  }

  #toggle(pane) {
    if (this.#open === pane) this.#close();
    else this.#show(pane);
  }

  #close() {
    const opener = PANES[this.#open]?.[1];
    this.#show("");
    if (opener && !$(opener).hidden) $(opener).focus();
  }

  #show(pane) {
    this.#open = pane;
    $("panel").hidden = !pane;
    $("call").dataset.panel = pane;
    for (const [name, [title, opener]] of Object.entries(PANES)) {
      $(name).hidden = name !== pane;
      $(opener).setAttribute("aria-expanded", String(name === pane));
      if (name === pane) $("panel-title").textContent = title;
    }
    if (pane === "quality") {
      this.#quality.resize();
      $("close-panel").focus();
    } else if (pane === "chat") {
      this.#count(0);
      this.#hideToast();
      $("chat-log").scrollTop = $("chat-log").scrollHeight;
      $("chat-text").focus();
    }
  }

  /** Somebody wrote or sent something: in the open chat it speaks for itself. */
  #announce(words) {
    $("chat-status").textContent = this.#open === "chat" ? "" : words;
    if (this.#open === "chat") return;
    this.#count(this.#unread + 1);
    $("toast").textContent = words;
    $("toast").hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#hideToast(), TOAST_MS);
  }

  #hideToast() {
    clearTimeout(this.#timer);
    $("toast").hidden = true;
  }

  #count(number) {
    this.#unread = number;
    $("unread").hidden = !number;
    $("unread").textContent = String(number);
    $("open-chat").setAttribute("aria-label", number ? `Chat and files, ${number} new` : "Chat and files");
  }

  #takeDrops() {
    const zone = $("drop-zone");
    const carriesFiles = (event) => this.#chat.takesFiles && event.dataTransfer?.types.includes("Files");
    $("call").addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      zone.hidden = false;
    });
    $("call").addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) zone.hidden = true;
    });
    $("call").addEventListener("drop", (event) => {
      zone.hidden = true;
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#show("chat");
      this.#chat.offer(event.dataTransfer.files);
    });
  }
}
