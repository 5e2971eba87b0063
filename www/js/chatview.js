/**
 * What two people in a call write and send to each other.
 */

import { button, element, icon } from "./element.js";
import { failureWords } from "./filetransfer.js";
import { rateWords, sizeWords } from "./words.js";

const $ = (id) => document.getElementById(id);

/** Older entries go when there are more; not those of files about which something can still be done. */
const MAX_ENTRIES = 500;

/** Messages and files of the call that goes on. */
export class ChatView {
  #call = null;
  #files = new Map();
  #seen = () => false;
  #onNews;

  /**
   * @param {(words: string) => void} onNews Called with a line about what has come in.
   */
  constructor(onNews) {
    this.#onNews = onNews;
    $("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    $("attach").addEventListener("click", () => $("file-input").click());
    $("file-input").addEventListener("change", () => {
      this.offer($("file-input").files);
      $("file-input").value = "";
    });
  }

  /**
   * Follow a call; the entries of the one before go.
   *
   * @param {import("./call.js").Call | null} call Null: there is none.
   */
  follow(call) {
    if (call !== this.#call) this.#clear();
    this.#call = call;
    const { chat, files } = call ?? {};
    this.#listen(chat, { text: (text) => this.#heard(text), closed: () => this.#closed(), ready: () => this.#update() });
    this.#listen(files, {
      offered: (offer) => this.#offered(offer),
      accepted: ({ id }) => this.#files.get(id)?.say("Sending…"),
      rejected: ({ id, reason }) => this.#over(id, failureWords(reason)),
      progress: (progress) => this.#files.get(progress.id)?.progress(progress),
      done: (outcome) => this.#done(outcome),
      failed: ({ id, reason }) => this.#over(id, failureWords(reason)),
    });
    this.#update();
  }

  /** Whether the other side takes files. */
  get takesFiles() {
    return Boolean(this.#call?.files && this.#call.chat?.ready);
  }

  /**
   * Offer files to the other side.
   *
   * @param {Iterable<File>} list Which.
   */
  offer(list) {
    if (!this.takesFiles) return;
    for (const file of list) {
      const id = this.#call.files.offer(file);
      const entry = this.#addFile(id, { name: file.name, size: file.size }, true);
      entry.say(`${sizeWords(file.size)} · waiting for an answer`);
    }
  }

  #listen(source, handlers) {
    if (!source || source.isFollowed) return;
    source.isFollowed = true;
    const call = this.#call;
    for (const [type, handle] of Object.entries(handlers)) {
      source.addEventListener(type, ({ detail }) => call === this.#call && handle(detail));
    }
  }

  #update() {
    const ready = Boolean(this.#call?.chat?.ready);
    $("chat-send").disabled = !ready; // not the field: whoever is typing there must not lose the keyboard
    $("attach").hidden = !this.takesFiles;
  }

  /** The call may go on: what is typed now goes nowhere. */
  #closed() {
    this.#update();
    if (!this.#call.over) $("chat-status").textContent = $("chat-text").placeholder = "The chat has ended.";
  }

  #say() {
    const text = $("chat-text").value.trim();
    if (!text || !this.#call?.chat?.say(text)) return;
    this.#addText(text, true);
    $("chat-text").value = "";
  }

  #heard(text) {
    this.#addText(text, false);
    this.#onNews(`${this.#call.peer.name}: ${text}`);
  }

  #offered({ id, name, size }) {
    const entry = this.#addFile(id, { name, size }, false);
    const files = this.#call.files;
    entry.say(sizeWords(size));
    entry.ask(
      () => {
        entry.busy("Starting…");
        files.accept(id);
      },
      () => {
        this.#over(id, "You did not take it.");
        files.reject(id);
      },
    );
    this.#onNews(`${this.#call.peer.name} wants to send you ${name}`);
  }

  #done({ id, direction, blob, checksum, verified }) {
    const what = direction === "up" ? "Sent" : "Received";
    const words = verified ? `${what} · checksum verified` : `${what} · not verified: the other side told no checksum`;
    const entry = this.#over(id, words);
    if (!entry) return;
    entry.finish(checksum, blob);
    if (direction === "down") this.#onNews(`${entry.name} has arrived`);
    else $("chat-status").textContent = `${entry.name} was sent`;
  }

  #over(id, words) {
    const entry = this.#files.get(id);
    entry?.end(words);
    return entry;
  }

  #addText(text, own) {
    const entry = element("div", `entry ${own ? "own" : "other"}`);
    entry.append(element("span", "unseen", own ? "You: " : `${this.#call.peer.name}: `), element("p", "bubble", text));
    this.#append(entry);
  }

  #addFile(id, { name, size }, own) {
    const entry = new FileEntry({ name, size, own, cancel: () => this.#call?.files.cancel(id) });
    this.#files.set(id, entry);
    this.#append(entry.node);
    return entry;
  }

  #append(node) {
    const log = $("chat-log");
    $("chat-empty").hidden = true;
    log.append(node);
    if (log.children.length > MAX_ENTRIES) log.querySelector(".entry:not([data-kept])")?.remove();
    log.scrollTop = log.scrollHeight;
  }

  #clear() {
    for (const entry of this.#files.values()) entry.forget();
    this.#files.clear();
    $("chat-log").replaceChildren($("chat-empty"));
    $("chat-empty").hidden = false;
    $("chat-text").value = "";
    $("chat-text").placeholder = "Message";
    $("chat-status").textContent = "";
  }
}

/** One file in the conversation. Its progress is no news for screen readers, its end is. */
class FileEntry {
  #state = element("p", "file-state");
  #bar = element("progress", "file-bar");
  #buttons = element("div", "file-buttons");
  #cancel;
  #url = "";

  constructor({ name, size, own, cancel }) {
    this.name = name;
    this.#cancel = cancel;
    this.node = element("div", `entry file ${own ? "own" : "other"}`);
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", `File ${name}`);
    this.node.setAttribute("aria-live", "off");
    this.node.dataset.kept = "";
    this.#bar.max = Math.max(size, 1);
    this.#bar.value = 0;
    this.#bar.setAttribute("aria-label", `Progress of ${name}`);
    const title = element("p", "file-name");
    title.append(icon("file"), element("bdi", "", name));
    this.node.append(title, this.#state, this.#bar, this.#buttons);
    if (own) this.#showCancel();
    else this.#bar.hidden = true;
  }

  say(words) {
    this.#state.textContent = words;
  }

  ask(accept, reject) {
    this.#offer(button("button good small", "Accept file", accept), button("button quiet small", "Decline", reject));
  }

  busy(words) {
    this.say(words);
    this.#bar.hidden = false;
    this.#showCancel();
  }

  progress({ transferred, size, bytesPerSecond }) {
    this.#bar.value = transferred;
    this.say(`${sizeWords(transferred)} of ${sizeWords(size)}${bytesPerSecond ? ` · ${rateWords(bytesPerSecond)}` : ""}`);
  }

  end(words) {
    this.say(words);
    this.#bar.hidden = true;
    this.#offer();
    delete this.node.dataset.kept;
  }

  finish(checksum, blob) {
    this.#state.title = `SHA-256 ${checksum}`;
    this.node.dataset.checksum = checksum;
    if (!blob) return;
    this.#url = URL.createObjectURL(blob);
    const save = element("a", "button primary small", "Save");
    save.href = this.#url;
    save.download = this.name;
    this.#offer(save);
    this.node.dataset.kept = "";
  }

  /** What was received and not saved is let go, after a moment for a download that has just begun. */
  forget() {
    if (this.#url) setTimeout(() => URL.revokeObjectURL(this.#url), 60_000);
  }

  #showCancel() {
    this.#offer(button("button quiet small", "Cancel", () => this.#cancel()));
  }

  /** The button that was pressed goes: its keyboard stays in the chat, before what can be done now. */
  #offer(...buttons) {
    const hadFocus = this.#buttons.contains(document.activeElement);
    this.#buttons.replaceChildren(...buttons);
    if (hadFocus) $("chat-log").focus({ preventScroll: true });
  }
}
