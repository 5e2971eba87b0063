/**
 * What a call looks like: the sheet of an incoming call, and the screen of one that goes on.
 */

import { showAvatar } from "./avatar.js";
import { readPath } from "./path.js";
import { hasPicture } from "./picture.js";
import { CALL_STATES, pathWords } from "./words.js";

const $ = (id) => document.getElementById(id);

/** How often the time, the path and the picture of the call are looked at. */
const REFRESH_MS = 1000;

/**
 * @typedef {object} CallIntents
 * @property {() => void} accept Take the incoming call.
 * @property {() => void} hangUp Reject it, or end the call that goes on.
 * @property {(kind: "audio" | "video") => void} toggle Mute or unmute.
 */

/** Screen and sheet of the current call. */
export class CallView {
  #call = null;
  #timer = 0;

  /**
   * @param {CallIntents} intents What to do when the person asks for it.
   */
  constructor(intents) {
    $("accept").addEventListener("click", intents.accept);
    $("reject").addEventListener("click", intents.hangUp);
    $("incoming").addEventListener("cancel", (event) => {
      event.preventDefault(); // Escape
      intents.hangUp();
    });
    $("hang-up").addEventListener("click", intents.hangUp);
    $("mute").addEventListener("click", () => intents.toggle("audio"));
    $("camera").addEventListener("click", () => intents.toggle("video"));
    document.addEventListener("keydown", (event) => this.#key(event, intents));
    const remote = $("remote-video");
    for (const event of ["loadeddata", "resize", "emptied"]) remote.addEventListener(event, () => this.#fit());
  }

  /**
   * Have the own picture replaced by the own initials while the camera is off.
   *
   * @param {{id: string, name: string}} self Who we are.
   */
  showSelf(self) {
    showAvatar($("own-avatar"), self);
  }

  /**
   * Show a call as it stands now.
   *
   * @param {import("./call.js").Call | null} call Null: there is none.
   */
  show(call) {
    const changed = call !== this.#call;
    this.#call = call;
    const incoming = call?.state === "incoming";
    if (call && changed) this.#introduce(call.peer);
    this.#sheet(incoming);
    this.#screen(Boolean(call) && !incoming);
    if (call && !incoming) this.#update(call);
  }

  #introduce(peer) {
    for (const id of ["call-avatar", "incoming-avatar"]) showAvatar($(id), peer);
    for (const id of ["call-peer", "incoming-name"]) $(id).textContent = peer.name;
    $("incoming-id").textContent = `Id ${peer.id}`;
  }

  #sheet(open) {
    const sheet = $("incoming");
    if (open === sheet.open) return;
    if (open) {
      sheet.showModal();
      $("accept").focus();
    } else {
      sheet.close();
    }
  }

  #screen(open) {
    const screen = $("call");
    if (open === !screen.hidden) return;
    screen.hidden = !open;
    clearInterval(this.#timer);
    if (open) {
      screen.focus();
      this.#timer = setInterval(() => this.#refresh(), REFRESH_MS);
      return;
    }
    attach($("remote-video"), null);
    attach($("local-video"), null);
    $("call-time").hidden = $("path").hidden = true;
    $("path").open = false;
    screen.dataset.state = "";
    screen.dataset.picture = "false";
  }

  #update(call) {
    const screen = $("call");
    if (screen.dataset.state !== call.state) {
      screen.dataset.state = call.state;
      $("call-state").textContent = CALL_STATES[call.state] ?? "";
      this.#refresh();
    }
    const started = call.over ? null : call;
    attach($("remote-video"), started?.remoteStream.getTracks().length ? call.remoteStream : null);
    attach($("local-video"), started?.localStream ?? null);
    showSwitch($("mute"), call.local("audio"), "Mute microphone", "Unmute microphone", "M");
    showSwitch($("camera"), call.local("video"), "Turn camera off", "Turn camera on", "V");
    $("own-tile").dataset.camera = call.local("video");
    $("call-note").textContent = call.note;
    $("call-note").hidden = !call.note;
  }

  async #refresh() {
    const call = this.#call;
    if (!call?.connectedAt || call.over) return;
    this.#fit();
    $("call-time").textContent = duration(performance.now() - call.connectedAt);
    $("call-time").hidden = false;
    const path = await readPath(call.connection);
    if (call !== this.#call || call.over) return;
    const { short, long } = pathWords(path);
    $("path").dataset.path = path.kind;
    $("path-words").textContent = short;
    $("path-hint").textContent = long;
    $("path").hidden = path.kind === "unknown";
  }

  /** Show the other side's picture while there is one, and else whom it would show. */
  #fit() {
    const video = $("remote-video");
    $("call").dataset.picture = String(hasPicture(video));
    $("call").dataset.portrait = String(video.videoHeight > video.videoWidth);
  }

  #key(event, intents) {
    const typing = event.target instanceof HTMLInputElement;
    if ($("call").hidden || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.toLowerCase() === "m") intents.toggle("audio");
    if (event.key.toLowerCase() === "v") intents.toggle("video");
  }
}

/**
 * @param {HTMLVideoElement} video Where to show it.
 * @param {MediaStream | null} stream What to show.
 */
function attach(video, stream) {
  if (video.srcObject === stream) return;
  video.srcObject = stream;
  // interrupted by the end of the call, or forbidden until the person touches the page: both mend themselves
  if (stream) video.play().catch((error) => console.info("A video does not play yet:", error.message));
}

/**
 * @param {HTMLButtonElement} button Mute or camera.
 * @param {"on" | "off" | "none"} state State of the device.
 * @param {string} offLabel What pressing it does while the device is on.
 * @param {string} onLabel What pressing it does while the device is off.
 * @param {string} key Its key on the keyboard.
 */
function showSwitch(button, state, offLabel, onLabel, key) {
  const label = state === "off" ? onLabel : offLabel;
  button.disabled = state === "none";
  button.setAttribute("aria-pressed", String(state === "off"));
  button.setAttribute("aria-label", label);
  button.title = `${label} (${key})`;
}

/**
 * @param {number} ms Length of a call.
 * @returns {string} For example "1:02:03" or "02:03".
 */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(seconds / 3600);
  return (hours ? [hours, ...parts] : parts).join(":");
}
