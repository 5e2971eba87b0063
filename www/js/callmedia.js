/**
 * What this side sends in a call: microphone, camera, screen.
 *
 * Events:
 *   `trouble` detail words: something that a person asked for did not work.
 */

import { openMedia, openScreen, openTrack } from "./media.js";

/**
 * @typedef {"video" | "audio" | "none"} Wanted What to send: camera and microphone, the microphone alone, nothing.
 */

/** Opens devices for a call, and changes what it sends. */
export class CallMedia extends EventTarget {
  #settings;
  #ask;
  #choosing = false;

  /**
   * @param {import("./settings.js").Settings} settings Preferred devices.
   * @param {(error: import("./media.js").MediaError, wanted: Wanted) => Promise<Wanted | null>} ask
   *   What to open instead of what could not be opened; null: nothing, and no call.
   */
  constructor(settings, ask) {
    super();
    this.#settings = settings;
    this.#ask = ask;
  }

  /**
   * Open what a call needs, or whatever else the person agrees to; a text chat needs nothing.
   *
   * @param {import("./call.js").Call} call Which.
   * @param {Wanted | "data"} wanted What to send.
   * @returns {Promise<import("./media.js").LocalMedia>} The open devices.
   * @throws {import("./media.js").MediaError} If the person wants nothing else, or the call is over.
   */
  async open(call, wanted) {
    if (call.media === "data") return { ...(await openMedia("none", this.#settings)), note: "" };
    for (;;) {
      try {
        return await openMedia(wanted, this.#settings);
      } catch (error) {
        const instead = call.over ? null : await this.#ask(error, wanted);
        if (!instead) throw error;
        wanted = instead;
      }
    }
  }

  /**
   * Mute or unmute; a camera or microphone that is not open yet is opened.
   *
   * @param {import("./call.js").Call | null} call Which; null: there is none.
   * @param {"audio" | "video"} kind Microphone or camera.
   */
  async toggle(call, kind) {
    if (!call) return;
    if (call.local(kind) !== "none") call.toggle(kind);
    else await this.useDevice(call, kind);
  }

  /**
   * Send the device that the settings name, from now on.
   *
   * @param {import("./call.js").Call | null} call Which; null: there is none.
   * @param {"audio" | "video"} kind Microphone or camera.
   */
  async useDevice(call, kind) {
    if (!call?.canSend(kind)) return;
    try {
      await call.use(kind, await openTrack(kind, this.#settings));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("trouble", { detail: error.message }));
    }
  }

  /**
   * Begin or end to share the screen; nothing happens while the browser asks which one.
   *
   * @param {import("./call.js").Call | null} call Which; null: there is none.
   */
  async toggleScreen(call) {
    if (call?.sharing) {
      await call.unshare();
    } else if (call?.canSend("video") && !this.#choosing) {
      this.#choosing = true;
      const screen = await openScreen();
      this.#choosing = false;
      if (screen && call.canSend("video")) await call.share(screen);
      else screen?.stop(); // the call ended while a window was being chosen
    }
  }
}
