/**
 * What a call looks like: the screen of one that goes on, and the sheet of one that comes in.
 */

import { showAvatar } from "./avatar.js";
import { IncomingView } from "./incomingview.js";
import { canShareScreen } from "./media.js";
import { readPath } from "./path.js";
import { hasPicture } from "./picture.js";
import { CALL_STATES, pathWords } from "./words.js";

const $ = (id) => document.getElementById(id);

/** How often the time, the path and the picture of the call are looked at. */
const REFRESH_MS = 1000;

/**
 * @typedef {object} CallIntents
 * @property {(wanted?: import("./callmedia.js").Wanted) => void} accept Take the incoming call.
 * @property {() => void} hangUp Reject it, or end the call that goes on.
 * @property {(kind: "audio" | "video") => void} toggle Mute or unmute.
 * @property {() => void} toggleScreen Share the screen, or do not any longer.
 * @property {() => void} settings Open the settings.
 */

/** Screen and sheet of the current call. */
export class CallView {
  #call = null;
  #incoming;
  #panel;
  #speaker = "";
  #timer = 0;

  /**
   * @param {import("./panel.js").Panel} panel Chat and quality beside the picture.
   * @param {CallIntents} intents What to do when the person asks for it.
   */
  constructor(panel, intents) {
    this.#panel = panel;
    this.#incoming = new IncomingView(intents);
    $("hang-up").addEventListener("click", intents.hangUp);
    $("mute").addEventListener("click", () => intents.toggle("audio"));
    $("camera").addEventListener("click", () => intents.toggle("video"));
    $("share").addEventListener("click", intents.toggleScreen);
    $("call-settings").addEventListener("click", intents.settings);
    document.addEventListener("keydown", (event) => this.#key(event));
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
   * Let the other side be heard from a loudspeaker, where the browser leaves the choice.
   *
   * @param {string} id Its device id; empty: the browser's choice.
   */
  async useSpeaker(id) {
    this.#speaker = id;
    try {
      await $("remote-video").setSinkId?.(id);
    } catch (error) {
      console.info("The chosen loudspeaker cannot be used, another one is:", error.name); // it may be unplugged
    }
  }

  /**
   * Show a call as it stands now.
   *
   * @param {import("./call.js").Call | null} call Null: there is none.
   */
  show(call) {
    const changed = call !== this.#call;
    this.#call = call;
    if (call && changed) this.introduce(call);
    this.#incoming.show(call?.state === "incoming");
    this.#screen(Boolean(call?.wanted));
    if (call?.wanted) this.#update(call);
    this.#panel.follow(call);
  }

  /**
   * Say whether the server could be asked for anything now.
   *
   * @param {boolean} online False while it is lost.
   */
  showServer(online) {
    announce($("call-offline"), online ? "" : "server lost, the call goes on");
  }

  /**
   * Say something about the call that goes on.
   *
   * @param {string} words What.
   */
  note(words) {
    if (!this.#call) return;
    this.#call.note = words;
    this.#update(this.#call);
  }

  /**
   * Show who is at the other end.
   *
   * @param {import("./call.js").Call} call The call that goes on.
   */
  introduce(call) {
    showAvatar($("call-avatar"), call.peer);
    $("call-peer").textContent = call.peer.name;
    $("call").setAttribute("aria-label", `Call with ${call.peer.name}`);
    this.#incoming.introduce(call);
  }

  #screen(open) {
    const screen = $("call");
    if (open === !screen.hidden) return;
    screen.hidden = !open;
    for (const id of ["settings", "invite"]) $(id).close(); // they would stand before the call, or outlive it
    for (const id of ["bar", "lobby"]) $(id).inert = open;
    clearInterval(this.#timer);
    if (open) {
      screen.focus();
      this.#timer = setInterval(() => this.#refresh(), REFRESH_MS);
      return;
    }
    attach($("remote-video"), null);
    attach($("local-video"), null);
    $("call-time").hidden = $("path").hidden = true;
    for (const id of ["call-state", "call-note"]) announce($(id), "");
    screen.dataset.state = "";
    screen.dataset.picture = "false";
  }

  #update(call) {
    const screen = $("call");
    if (screen.dataset.state !== call.state) {
      screen.dataset.state = call.state;
      announce($("call-state"), CALL_STATES[call.state] ?? "");
      if (call.state === "connected") this.useSpeaker(this.#speaker); // not before the microphone was allowed
      this.#refresh();
    }
    const started = call.over ? null : call;
    attach($("remote-video"), started?.remoteStream.getTracks().length ? call.remoteStream : null);
    this.#showOwn(call, started);
    $("remote-muted").hidden = call.remoteState.microphone || !call.connectedAt || call.over;
    announce($("call-note"), call.note);
  }

  #showOwn(call, started) {
    const camera = call.local("video");
    const silent = call.media === "data";
    if ($("own-tile").dataset.sharing !== String(call.sharing)) attach($("local-video"), started?.shownStream ?? null);
    else if (!call.sharing) attach($("local-video"), started?.localStream ?? null);
    $("own-tile").dataset.sharing = String(call.sharing);
    $("own-tile").dataset.camera = camera;
    $("own-tile").hidden = silent || !call.localStream || (camera === "none" && !call.sharing);
    $("own-badge").hidden = !call.sharing;
    $("mute").hidden = $("camera").hidden = silent;
    showSwitch($("mute"), call.local("audio"), call.canSend("audio"), "Mute microphone", "Unmute microphone", "M");
    showSwitch($("camera"), camera, call.canSend("video"), "Turn camera off", "Turn camera on", "V");
    $("share").hidden = silent || !canShareScreen;
    $("share").disabled = !call.canSend("video");
    label($("share"), call.sharing ? "Stop sharing the screen" : "Share screen", "S");
    $("share").dataset.lit = String(call.sharing);
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

  #key(event) {
    const typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
    const elsewhere = $("call").hidden || document.querySelector("dialog[open]");
    if (elsewhere || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = { m: "mute", v: "camera", s: "share", c: "open-chat", q: "path-words" }[event.key.toLowerCase()];
    if (!target || $(target).hidden || $(target).disabled) return;
    event.preventDefault(); // the letter must not land in the field that opens
    $(target).click();
  }
}

/**
 * Screen readers read what is put into a live region, even if it is what stood there before.
 *
 * @param {HTMLElement} region Element with the role `status`, always on the screen.
 * @param {string} words What it should say.
 */
function announce(region, words) {
  if (region.textContent !== words) region.textContent = words;
}

/**
 * @param {HTMLVideoElement} video Where to show it.
 * @param {MediaStream | null} stream What to show.
 */
function attach(video, stream) {
  if (video.srcObject === stream) return;
  video.srcObject = stream;
  // interrupted by the next stream, or forbidden until the person touches the page: both mend themselves
  const isExpected = ({ name }) => name === "AbortError" || name === "NotAllowedError";
  if (stream) video.play().catch((error) => isExpected(error) || console.warn("A video does not play:", error));
}

/**
 * @param {HTMLButtonElement} button Mute or camera.
 * @param {"on" | "off" | "none"} state State of the device.
 * @param {boolean} canAdd Whether a device that is not there could be opened.
 * @param {string} offLabel What pressing it does while the device is on.
 * @param {string} onLabel What pressing it does while the device is off.
 * @param {string} key Its key on the keyboard.
 */
function showSwitch(button, state, canAdd, offLabel, onLabel, key) {
  button.disabled = state === "none" && !canAdd;
  button.dataset.lit = String(state !== "on");
  label(button, state === "on" ? offLabel : onLabel, key);
}

/** The label says what pressing the button does, so there is no pressed state beside it: that would turn the words over. */
function label(button, words, key) {
  button.setAttribute("aria-label", words);
  button.title = `${words} (${key})`;
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
