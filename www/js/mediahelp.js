/**
 * The dialog that helps when camera and microphone cannot be opened: nobody has to give up the call.
 */

const $ = (id) => document.getElementById(id);

/** Asks what to open instead. */
export class MediaHelp {
  #resolve = () => {};

  constructor() {
    for (const id of ["media-retry", "media-audio", "media-none", "media-cancel"]) {
      $(id).addEventListener("click", () => this.#answer($(id).value));
    }
    $("media-help").addEventListener("cancel", (event) => {
      event.preventDefault(); // Escape
      this.#answer("");
    });
  }

  /**
   * @param {import("./media.js").MediaError} error What happened.
   * @param {import("./callmedia.js").Wanted} wanted What was tried.
   * @returns {Promise<import("./callmedia.js").Wanted | null>} What to try now; null: no call.
   */
  ask(error, wanted) {
    $("media-title").textContent = wanted === "audio" ? "You cannot be heard" : "You cannot be seen or heard";
    $("media-words").textContent = error.message;
    $("media-retry").hidden = !error.possible;
    $("media-audio").hidden = !error.possible || wanted === "audio";
    $("media-help").showModal();
    return new Promise((resolve) => {
      this.#resolve = (answer) => resolve(answer === "retry" ? wanted : answer || null);
    });
  }

  /** Do not ask any longer: the call is over. */
  dismiss() {
    if ($("media-help").open) this.#answer("");
  }

  #answer(value) {
    $("media-help").close();
    this.#resolve(value);
  }
}
