/**
 * The page around the calls: header, sign-in, messages.
 */

import { showAvatar } from "./avatar.js";

const $ = (id) => document.getElementById(id);

/**
 * @typedef {object} Intents
 * @property {(entered: Entered) => void} signIn Sign in.
 * @property {() => void} signOut Sign out.
 * @property {() => void} retry Connect at once.
 * @property {() => string} renewId A fresh id.
 * @property {(id: string, media: "video" | "audio") => void} dial Call an id that was typed.
 * @property {() => void} settings Open the settings.
 * @property {() => void} place Open them where the room, the server and the token are.
 * @property {() => void} invite Open the invitation.
 *
 * @typedef {object} Entered What the sign-in form says; null where it did not ask.
 * @property {string} id The own id.
 * @property {string} name The own name.
 * @property {string | null} room Room to join.
 * @property {string | null} password Its password.
 * @property {string | null} token What to show to the server.
 */

/** What the form asks for only when the server does, and which field holds it. */
const QUESTIONS = {
  room: ["room-field", "signin-room"],
  password: ["password-field", "room-password"],
  token: ["token-field", "signin-token"],
};

/** Everything on the page except the list of peers, the calls and the dialogs. */
export class View {
  #settings;
  #countdown = 0;
  #topic = "";

  /** The name of the settings that the form was given: what is typed there goes before it. */
  #shownName = "";

  /** The id that was typed last and belongs to nobody. */
  #unknown = "";

  /**
   * @param {import("./settings.js").Settings} settings What to fill the forms with.
   * @param {Intents} intents What to do when the person asks for it.
   */
  constructor(settings, intents) {
    this.#settings = settings;
    this.#listen(intents);
    $("own-id").value = settings.id;
    $("invited-by").textContent = invitedWords(settings);
    $("invited").hidden = !settings.invitedBy;
    if (settings.invitedBy) $("sign-in").textContent = "Sign in and call";
    this.showPlace();
  }

  /**
   * Show one of the screens. What had the keyboard on the other one leaves it to where reading starts;
   * so does the button to sign in, which has lost it to the page since it cannot be pressed twice.
   *
   * @param {"signin" | "people"} screen Which.
   */
  screen(screen) {
    if (document.body.dataset.screen === screen) return;
    const before = $(document.body.dataset.screen);
    const { activeElement: at } = document;
    const hadFocus = at === document.body || before.contains(at);
    document.body.dataset.screen = screen;
    $(screen).hidden = false;
    before.hidden = true;
    if (hadFocus) $(`${screen}-title`).focus();
  }

  /** Show who we are. */
  showSelf() {
    const { id, displayName: name } = this.#settings;
    $("self-id").textContent = id;
    $("self-name").textContent = name;
    showAvatar($("self-avatar"), { id, name });
  }

  /** Show where we sign in, as far as it is not the usual place. */
  showPlace() {
    const { name, room, foreignHost, linkedServer } = this.#settings;
    if (name !== this.#shownName) $("name").value = this.#shownName = name;
    $("room-chip").textContent = `Asked for room ${room}`; // a server without rooms does not say that it has none
    $("room-chip").hidden = !room;
    $("signin-room").value = room;
    $("room-field").hidden = !room;
    for (const field of ["password-field", "token-field"]) $(field).hidden = true;
    for (const secret of ["room-password", "signin-token"]) $(secret).value = ""; // entered for another place
    const warning = linkedServer ? "The link that you followed signs you in at another server:" : "You sign in at another server:";
    $("foreign-server").textContent = `${warning} ${foreignHost}`;
    $("foreign-server").hidden = !foreignHost;
  }

  /**
   * Ask for what the server wants to know.
   *
   * @param {import("./refusal.js").Question} question What.
   * @param {string} freshId Another id to offer, if that is what is needed.
   */
  ask(question, freshId) {
    if (question === "id") $("own-id").value = freshId;
    const [field, input] = QUESTIONS[question] ?? [];
    if (field) $(field).hidden = false;
    if (question === "room") $("signin-room").select();
    $(input ?? "sign-in").focus();
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
    $("server-countdown").textContent = "";
    $("sign-in").disabled = state === "connecting" && document.body.dataset.screen === "signin";
    if (retryIn === undefined) return;
    const at = performance.now() + retryIn * 1000;
    const show = () => {
      const seconds = Math.max(1, Math.ceil((at - performance.now()) / 1000));
      $("server-countdown").textContent = `Trying again in ${seconds} s.`; // beside the words: not every second is read out
    };
    show();
    this.#countdown = setInterval(show, 1000);
  }

  /**
   * Show a message above everything, until it is dismissed or replaced.
   *
   * @param {string} words The message; empty to take it away.
   * @param {"info" | "problem"} [tone] How to colour it.
   * @param {{href: string, words: string} | null} [link] Where it helps to look.
   * @param {string} [topic] What it is about, for `settle`.
   */
  notify(words, tone = "info", link = null, topic = "") {
    this.#topic = topic;
    $("notice").dataset.empty = String(!words);
    $("dismiss").hidden = !words;
    $("notice").dataset.tone = tone;
    $("notice-words").textContent = words;
    $("notice-link").hidden = !link;
    $("notice-link").textContent = link?.words ?? "";
    if (link) $("notice-link").href = link.href;
  }

  /**
   * Take the message away if it is about something that has been settled.
   *
   * @param {string} topic As in `notify`.
   */
  settle(topic) {
    if (this.#topic === topic) this.notify("");
  }

  /**
   * Be done with an id that was typed to be called: it goes, unless it has to be corrected.
   *
   * @param {string} id Who was called.
   * @param {boolean} known Whether there is such a peer.
   * @returns {boolean} Whether the field has the keyboard focus now.
   */
  settleDial(id, known) {
    const field = $("dial-id");
    const typed = field.value.trim();
    if (known && (typed === id || typed === this.#unknown)) field.value = "";
    if (known || typed !== id) return false;
    this.#unknown = id;
    field.focus();
    field.select();
    return true;
  }

  /** Put the keyboard focus where reading starts. */
  focusTitle() {
    $("people-title").focus();
  }

  #listen(intents) {
    $("signin-form").addEventListener("submit", (event) => {
      event.preventDefault();
      intents.signIn(entered());
    });
    $("dial-form").addEventListener("submit", (event) => {
      event.preventDefault();
      dial(intents, "video");
    });
    $("dial-audio").addEventListener("click", () => dial(intents, "audio"));
    $("renew-id").addEventListener("click", () => ($("own-id").value = intents.renewId()));
    $("sign-out").addEventListener("click", intents.signOut);
    $("retry").addEventListener("click", intents.retry);
    $("dismiss").addEventListener("click", () => this.notify(""));
    $("open-invite").addEventListener("click", intents.invite);
    $("open-settings").addEventListener("click", intents.settings);
    $("more-settings").addEventListener("click", intents.place);
  }
}

/** @returns {Entered} What stands in the sign-in form. */
function entered() {
  const asked = ([field, input]) => ($(field).hidden ? null : $(input).value);
  return {
    id: $("own-id").value.trim(),
    name: $("name").value.trim(),
    room: asked(QUESTIONS.room)?.trim() ?? null,
    password: asked(QUESTIONS.password),
    token: asked(QUESTIONS.token),
  };
}

/** A link may say any name, so the id always stands beside it. */
function invitedWords({ invitedBy, invitedByName }) {
  return invitedByName ? `${invitedByName} (id ${invitedBy})` : `the id ${invitedBy}`;
}

function dial(intents, media) {
  const id = $("dial-id").value.trim();
  if (id) intents.dial(id, media);
  else $("dial-id").focus();
}
