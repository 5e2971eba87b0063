/**
 * The settings dialog. Devices and choices apply at once, the place to sign in by its buttons only:
 * closed by Escape or by a call, the dialog leaves that as it was.
 */

import { canChooseSpeaker, listDevices } from "./media.js";
import { readServerUrl } from "./settings.js";

const $ = (id) => document.getElementById(id);

/**
 * @typedef {object} SettingsIntents
 * @property {() => void} place Where to sign in, or as whom, has changed.
 * @property {(kind: "audio" | "video" | "output") => void} device Another microphone, camera or
 *   loudspeaker was chosen.
 */

/** What each field chooses, and where it says what; of a device also which kind. */
const CHOICES = {
  "relay-only": ["relayOnly", "checked"],
  "relay-transport": ["relayTransport", "value"],
  "ring-tone": ["ringTone", "checked"],
  "camera-choice": ["camera", "value", "video"],
  "microphone-choice": ["microphone", "value", "audio"],
  "speaker-choice": ["speaker", "value", "output"],
};

/** The dialog and what it changes. */
export class SettingsView {
  #settings;
  #intents;
  #shown = { password: "", token: "" };

  /**
   * @param {import("./settings.js").Settings} settings What to show and to change.
   * @param {SettingsIntents} intents Whom to tell.
   */
  constructor(settings, intents) {
    this.#settings = settings;
    this.#intents = intents;
    $("relay-only").checked = settings.relayOnly;
    $("relay-transport").value = settings.relayTransport;
    $("ring-tone").checked = settings.ringTone;
    $("speaker-field").hidden = !canChooseSpeaker;
    $("settings").addEventListener("change", ({ target }) => this.#change(target.id));
    $("settings-server").addEventListener("input", () => $("settings-server").setCustomValidity(""));
    $("settings-form").addEventListener("submit", (event) => this.#submit(event));
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#fillDevices());
  }

  /**
   * Open the dialog, at once: a call that comes a moment later must stand before it.
   *
   * @param {{inCall?: boolean}} [options] Whether to leave out what does not concern a call.
   */
  show({ inCall = false } = {}) {
    const settings = this.#settings;
    $("settings").dataset.call = String(inCall);
    $("calls-legend").textContent = inCall ? "From the next call on" : "Calls";
    $("settings-name").value = settings.name;
    $("settings-room").value = settings.room;
    $("settings-password").value = settings.password;
    $("settings-server").value = settings.customServer;
    $("settings-server").placeholder = location.host;
    $("settings-token").value = settings.token;
    $("settings-server").setCustomValidity("");
    this.#shown = { password: settings.password, token: settings.token };
    if (!$("settings").open) $("settings").showModal();
    this.#fillDevices();
  }

  /** Open the dialog where it says where to sign in. */
  showPlace() {
    this.show();
    $("settings-place").scrollIntoView();
    $("settings-room").focus({ preventScroll: true });
  }

  async #fillDevices() {
    const { video, audio, output } = await listDevices();
    fill($("camera-choice"), video, this.#settings.camera, "Camera");
    fill($("microphone-choice"), audio, this.#settings.microphone, "Microphone");
    fill($("speaker-choice"), output, this.#settings.speaker, "Loudspeaker");
    $("devices-hint").hidden = [...video, ...audio].some(({ label }) => label);
  }

  /** Nothing is read from the other fields: those of the devices are empty until the browser has told which there are. */
  #change(id) {
    if (!(id in CHOICES)) return;
    const [choice, property, device] = CHOICES[id];
    this.#settings.setChoices({ ...this.#settings, [choice]: $(id)[property] });
    if (device) this.#intents.device(device);
  }

  /** An address that cannot be read keeps the dialog open and says so. */
  #submit(event) {
    const typed = $("settings-server").value.trim();
    if (!typed || readServerUrl(typed)) {
      this.#apply();
      return;
    }
    event.preventDefault();
    $("settings-server").setCustomValidity("This is not the address of a server. Write wss://HOST:PORT/ws, or HOST:PORT.");
    $("settings-server").reportValidity();
  }

  #apply() {
    const settings = this.#settings;
    const before = fingerprint(settings);
    settings.setIdentity({ id: settings.id, name: $("settings-name").value.trim() });
    const [server, room] = [$("settings-server").value, $("settings-room").value];
    if (server.trim() !== settings.customServer || room.trim() !== settings.room) settings.setPlace({ server, room });
    // a secret belongs to its place: that of another one is not taken along
    if ($("settings-password").value !== this.#shown.password) settings.password = $("settings-password").value;
    if ($("settings-token").value !== this.#shown.token) settings.token = $("settings-token").value;
    if (fingerprint(settings) !== before) this.#intents.place();
  }
}

function fingerprint({ name, room, password, serverUrl, token }) {
  return JSON.stringify([name, room, password, serverUrl, token]);
}

/**
 * @param {HTMLSelectElement} select Where to choose.
 * @param {MediaDeviceInfo[]} devices From what.
 * @param {string} chosen Id of the preferred one, which may not be plugged in.
 * @param {string} word What to call one that the browser tells no name of.
 */
function fill(select, devices, chosen, word) {
  const entries = devices.map(({ deviceId, label }, index) => new Option(label || `${word} ${index + 1}`, deviceId));
  const known = !chosen || devices.some(({ deviceId }) => deviceId === chosen);
  if (!known) entries.push(new Option("The one chosen before (not here now)", chosen));
  select.replaceChildren(new Option("The browser's choice", ""), ...entries);
  select.value = chosen;
}
