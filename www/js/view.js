/**
 * The page around the calls: header, sign-in, messages, settings.
 */

const $ = (id) => document.getElementById(id);

/**
 * @typedef {object} Intents
 * @property {(identity: {id: string, name: string}) => void} signIn Sign in.
 * @property {() => void} signOut Sign out.
 * @property {() => void} retry Connect at once.
 * @property {() => string} renewId A fresh id.
 * @property {(id: string) => void} dial Call an id that was typed.
 * @property {(choices: import("./settings.js").Choices) => void} change Settings were changed.
 */

/** Everything on the page except the list of peers and the calls. */
export class View {
  #settings;
  #countdown = 0;

  /**
   * @param {import("./settings.js").Settings} settings What to fill the forms with.
   * @param {Intents} intents What to do when the person asks for it.
   */
  constructor(settings, intents) {
    this.#settings = settings;
    this.#listen(intents);
    $("name").value = settings.name;
    $("own-id").value = settings.id;
    $("relay-only").checked = settings.relayOnly;
    $("relay-transport").value = settings.relayTransport;
    $("ring-tone").checked = settings.ringTone;
    $("foreign-server").textContent = `The link that you followed signs you in at another server: ${settings.foreignHost}`;
    $("foreign-server").hidden = !settings.foreignHost;
  }

  /**
   * Show one of the screens.
   *
   * @param {"signin" | "people"} screen Which.
   */
  screen(screen) {
    if (document.body.dataset.screen !== screen) document.body.dataset.screen = screen;
    for (const id of ["signin", "people"]) $(id).hidden = id !== screen;
  }

  /** Show who we are. */
  showSelf() {
    $("self-id").textContent = this.#settings.id;
    $("self-name").textContent = this.#settings.displayName;
  }

  /**
   * Offer another id in the sign-in form.
   *
   * @param {string} id A fresh one.
   */
  offerId(id) {
    $("own-id").value = id;
    $("sign-in").focus();
  }

  /**
   * Show how the connection to the server stands.
   *
   * @param {{state: string, words: string, retryIn?: number}} status As the signaling says.
   */
  showServer({ state, words, retryIn }) {
    clearInterval(this.#countdown);
    $("server-state").dataset.state = state;
    $("retry").hidden = state !== "waiting";
    $("server-words").textContent = state === "refused" ? "Not signed in" : words;
    $("sign-in").disabled = state === "connecting" && document.body.dataset.screen === "signin";
    if (retryIn === undefined) return;
    const at = performance.now() + retryIn * 1000;
    const show = () => {
      const seconds = Math.max(1, Math.ceil((at - performance.now()) / 1000));
      $("server-words").textContent = `${words} Trying again in ${seconds} s.`;
    };
    show();
    this.#countdown = setInterval(show, 1000);
  }

  /**
   * Show a message above everything, until it is dismissed or replaced.
   *
   * @param {string} words The message; empty to take it away.
   * @param {"info" | "problem"} [tone] How to colour it.
   */
  notify(words, tone = "info") {
    $("notice").hidden = !words;
    $("notice").dataset.tone = tone;
    $("notice-words").textContent = words;
  }

  /** Put the keyboard focus where reading starts. */
  focusTitle() {
    $("people-title").focus();
  }

  #listen(intents) {
    $("signin-form").addEventListener("submit", (event) => {
      event.preventDefault();
      intents.signIn({ id: $("own-id").value.trim(), name: $("name").value.trim() });
    });
    $("dial-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const id = $("dial-id").value.trim();
      if (id) intents.dial(id);
    });
    $("renew-id").addEventListener("click", () => ($("own-id").value = intents.renewId()));
    $("sign-out").addEventListener("click", intents.signOut);
    $("retry").addEventListener("click", intents.retry);
    $("dismiss").addEventListener("click", () => this.notify(""));
    $("copy-link").addEventListener("click", () => this.#copyLink());
    $("open-settings").addEventListener("click", () => $("settings").showModal());
    $("settings").addEventListener("change", () => {
      intents.change({
        relayOnly: $("relay-only").checked,
        relayTransport: $("relay-transport").value,
        ringTone: $("ring-tone").checked,
      });
    });
  }

  async #copyLink() {
    const link = this.#settings.inviteLink;
    try {
      await navigator.clipboard.writeText(link);
      this.notify("The link to this page is in the clipboard: send it to whom you want to call.");
    } catch {
      this.notify(`Copy this link: ${link}`); // no permission, or plain HTTP
    }
  }
}
