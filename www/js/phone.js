/**
 * The telephone: at most one call at a time, set up and torn down over the signaling.
 *
 * Events:
 *   `change`  the current call, or its state, has changed (`current` may be null now).
 *   `ended`   detail {peer, outgoing, cause, why}: a call is over; the causes are those of words.js.
 *   `missed`  detail {peer}: a call that was turned away, since another is going on.
 */

import { Allowance } from "./allowance.js";
import { Call } from "./call.js";
import { readCandidate } from "./candidate.js";
import { EarlyCandidates } from "./earlycandidates.js";
import { MediaError, closeMedia } from "./media.js";
import { judgeOffer, readOffer } from "./offer.js";
import { hasRelay, restrict } from "./relay.js";
import { LIMIT_S, mayComeBack } from "./restart.js";
import { RestartExchange } from "./restartexchange.js";
import { noRelayWords, relayWords } from "./words.js";

/** How long to let it ring at the other side. */
const RING_S = 60;

/** How long ICE and DTLS may take after the answer. */
const CONNECT_S = 30;

/** How long to wait for the server's echo of our own `bye`. */
const ECHO_S = 2;

/** How long the other side has to say that it is still there after the server said that it is gone. */
const ALIVE_S = 3;

/** What the server says with a `bye` that the operator wants: such a call ends, whether or not it works. */
const ORDERS = new Set(["peer-removed", "call-ended"]);

/** TURN's "Unauthorized": the credential is wrong or expired. */
const UNAUTHORIZED = 401;

/** Everything about calls that is neither media nor picture. */
export class Phone extends EventTarget {
  #signaling;
  #settings;
  #ice;
  #media;
  #nameOf;
  #isHere;
  #call = null;
  #offered = false;
  #timer = 0;
  #ending = null;

  /** @type {RestartExchange | null} Of the current call. */
  #restarts = null;
  #early = new EarlyCandidates();

  /** Answers to who is not in the current call. */
  #allowance = new Allowance();

  /**
   * @param {object} parts What it works with.
   * @param {import("./signaling.js").Signaling} parts.signaling Carries the messages.
   * @param {import("./settings.js").Settings} parts.settings Own id, relay only or not.
   * @param {import("./ice.js").IceServers} parts.ice STUN and TURN servers.
   * @param {import("./callmedia.js").CallMedia} parts.media Opens what a call sends.
   * @param {(id: string) => string} parts.nameOf Name of a peer.
   * @param {(id: string) => boolean} parts.isHere Whether a peer is signed in, as the server said last.
   */
  constructor({ signaling, settings, ice, media, nameOf, isHere }) {
    super();
    this.#signaling = signaling;
    this.#settings = settings;
    this.#ice = ice;
    this.#media = media;
    this.#nameOf = nameOf;
    this.#isHere = isHere;
  }

  /** @returns {Call | null} The call that is going on, in whatever state. */
  get current() {
    return this.#call;
  }

  /**
   * Call somebody.
   *
   * @param {string} id Whom.
   * @param {"video" | "audio"} [media] With the camera or without.
   */
  async dial(id, media = "video") {
    if (this.#call || id === this.#settings.id) return;
    const call = this.#begin({ sessionId: `${this.#settings.id}-${id}`, id, outgoing: true, media });
    await this.#try(call, async () => {
      await this.#open(call, media);
      if (call.over) return;
      const description = await call.makeOffer();
      if (call.over) return;
      this.#send("offer", call, { description, media });
      this.#offered = true;
      this.#expect("ringing", RING_S, () => this.#giveUp("no-answer"));
    });
  }

  /**
   * Take the incoming call.
   *
   * @param {import("./callmedia.js").Wanted} [wanted] What to send; by default what the caller asks for.
   */
  async accept(wanted) {
    const call = this.#call;
    if (call?.state !== "incoming") return;
    call.state = "preparing";
    await this.#try(call, async () => {
      await this.#open(call, wanted ?? call.media);
      if (call.over) return;
      const description = await call.makeAnswer();
      if (call.over) return;
      this.#send("answer", call, { description });
      if (call.state === "preparing") this.#expect("connecting", CONNECT_S, () => this.#noPath());
    });
  }

  /** End the call, whatever its state: hang up, cancel, or reject. */
  hangUp() {
    const call = this.#call;
    if (!call || call.over) return;
    if (call.state === "incoming") this.#giveUp("rejected");
    else this.#giveUp(call.outgoing && !call.connectedAt ? "cancelled" : "hung-up");
  }

  /**
   * Take a message of the server that concerns calls.
   *
   * @param {string} type Message type.
   * @param {any} data Its content.
   */
  receive(type, data) {
    if (type === "leave") this.#left(data);
    else if (data === null || typeof data !== "object") return;
    else if (type === "offer") this.#offeredBy(data);
    else if (type === "answer") this.#answered(data);
    else if (type === "candidate") this.#candidate(data);
    else if (type === "bye") this.#bye(data);
    else if (type === "error") this.#refused(data);
  }

  /** The server is gone: a call that is not set up yet cannot be, one that runs needs no server. */
  serverLost() {
    const call = this.#call;
    if (!call) return;
    if (call.state === "ending") this.#finish();
    else if (!call.connectedAt) this.#end("server-lost");
    else call.peerLeft = true; // if it said `bye` a moment before, that was its own
  }

  /** The operator removed us: a call that needs no server ends all the same. */
  removed() {
    if (this.#call) this.#end("removed");
  }

  /** The network has changed, or the server is back: an interrupted call need not wait any longer. */
  hurry() {
    this.#restarts?.hurry();
  }

  #begin({ sessionId, id, outgoing, media, offer }) {
    const call = new Call({ sessionId, peer: { id, name: this.#nameOf(id) }, outgoing, media, offer });
    this.#call = call;
    this.#offered = !outgoing;
    this.#restarts = new RestartExchange(call, {
      signaling: this.#signaling,
      ice: this.#ice,
      send: (type, content) => this.#send(type, call, content),
      giveUp: () => this.#giveUp("connection-lost"),
      gone: () => this.#end("peer-hung-up"),
    });
    call.addEventListener("state", () => this.#changed(call));
    call.addEventListener("remote", () => this.#changed(call));
    call.addEventListener("channel", () => this.#changed(call));
    call.addEventListener("candidate", ({ detail }) => this.#send("candidate", call, { candidate: detail }));
    call.addEventListener("broken", ({ detail }) => (detail === "no-path" ? this.#noPath() : this.#giveUp(detail)));
    for (const candidate of this.#early.take(sessionId, id)) call.addCandidate(candidate);
    this.#changed(call);
    return call;
  }

  async #open(call, wanted) {
    const [media, offered] = await Promise.all([this.#media.open(call, wanted), this.#ice.get()]);
    const { relayOnly, relayTransport } = this.#settings;
    const servers = restrict(offered, relayTransport);
    if (!call.over && relayOnly && !hasRelay(servers)) this.#giveUp("failed", noRelayWords(relayTransport, this.#ice.problem));
    call.relayTransport = relayTransport;
    if (call.over) closeMedia(media.stream); // for example while the browser was asking for the camera
    else call.open(media, servers, relayOnly);
  }

  async #try(call, steps) {
    try {
      await steps();
    } catch (error) {
      if (!call.over) this.#giveUp(error instanceof MediaError ? "no-media" : "failed", error.message);
    }
  }

  #offeredBy(data) {
    const offer = readOffer(data);
    if (!offer || offer.from === this.#settings.id) return;
    if (data.restart !== undefined) {
      this.#restartedBy(offer, data.restart);
      return;
    }
    const own = this.#call;
    const judgement = judgeOffer(offer, own, this.#offered, this.#settings.id);
    if (judgement === "restart") this.#end("connection-lost");
    if (judgement === "take-theirs") this.#yield(own);
    if (judgement === "turn-away" || judgement === "keep-ours") this.#turnAway(offer, judgement === "turn-away");
    if (this.#call) return;
    this.#begin({ sessionId: offer.sessionId, id: offer.from, outgoing: false, media: offer.media, offer: offer.description });
    if (judgement === "take-theirs") this.accept(own.media); // the person wanted this call anyway
  }

  /** Say that the line is busy; who goes on asking, like no person does, is not answered each time. */
  #turnAway({ from, sessionId }, isNews) {
    if (!this.#allowance.take(from)) return;
    this.#sayBye(sessionId);
    if (isNews) this.#emit("missed", { peer: { id: from, name: this.#nameOf(from) } });
  }

  /** Drop our own call for that of the same peer. */
  #yield(own) {
    if (this.#offered) this.#sayBye(own.sessionId);
    this.#finish();
  }

  async #answered({ from, session_id: sessionId, description, restart }) {
    const call = this.#mine(sessionId, from);
    if (call && restart !== undefined) this.#restarts.answered(description, restart);
    if (!call?.outgoing || call.state !== "ringing" || typeof description?.sdp !== "string") return;
    this.#expect("connecting", CONNECT_S, () => this.#noPath());
    await this.#try(call, () => call.acceptAnswer(description));
  }

  /** The caller looks for another path. Whoever asks for a call that is not there any more is told so. */
  #restartedBy({ sessionId, from, description }, number) {
    const call = this.#mine(sessionId, from);
    if (call && !call.outgoing && call.restartable) {
      this.#restarts.offered(description, number);
    } else if (this.#call?.sessionId !== sessionId && this.#allowance.take(from)) {
      this.#signaling.send("answer", { to: from, from: this.#settings.id, session_id: sessionId, description: null, restart: number });
      this.#sayBye(sessionId);
    }
  }

  #candidate({ from, session_id: sessionId, candidate: data }) {
    const candidate = readCandidate(data);
    if (typeof sessionId !== "string" || !candidate) return;
    const call = this.#mine(sessionId, from);
    if (call) call.addCandidate(candidate);
    else if (this.#call?.sessionId !== sessionId && typeof from === "string") this.#early.keep(sessionId, from, candidate);
  }

  #bye({ session_id: sessionId, code, reason }) {
    this.#early.forget(sessionId);
    if (this.#call?.sessionId !== sessionId) return;
    if (ORDERS.has(code)) this.#obey(code, typeof reason === "string" ? reason : "");
    else if (this.#call.state === "ending") this.#finish();
    else if (this.#call.connectedAt) this.#doubtBye();
    else if (this.#call.state === "preparing") this.#end("peer-hung-up");
    else if (this.#call.state === "ringing") this.#end("peer-rejected");
    else if (this.#call.state === "incoming") this.#end("peer-cancelled");
    else this.#end("peer-gave-up");
  }

  /** That the other side hung up is what we may have noticed before: it obeyed more quickly. */
  #obey(cause, reason) {
    if (this.#ending && this.#ending.cause !== "peer-hung-up") this.#finish();
    else this.#end(cause, reason);
  }

  /** Of a call that is connected: either somebody hung up, or it follows a refused restart. */
  #doubtBye() {
    if (this.#restarts.takeEcho()) return;
    this.#call.peerLeft = false; // who really has left is told after this
    this.#doubt("peer-hung-up");
  }

  #left(id) {
    if (this.#call?.peer.id !== id || this.#call.over) return;
    this.#call.peerLeft = true;
    this.#doubt("peer-left");
  }

  /**
   * The server says that the other side is gone. That is also what it says when it stops itself, or
   * when only the other side's connection to it broke, so ask on the direct way, if there is one. If
   * that way is broken as well, both sides may be about to come back.
   */
  async #doubt(cause) {
    const call = this.#call;
    const limit = performance.now() + LIMIT_S * 1000;
    const wasBroken = call.state === "interrupted"; // before the server said anything: that is the network
    do {
      if (call.chat?.ready && (await call.chat.alive(ALIVE_S))) {
        call.peerLeft = false;
        return;
      }
      if (call !== this.#call || call.over) return;
    } while (mayComeBack(call, wasBroken || this.#isHere(call.peer.id), this.#signaling.onlineSince) && performance.now() < limit);
    this.#end(call.peerLeft ? "peer-left" : cause);
  }

  #refused({ request, reason, code }) {
    const call = this.#call;
    if (!call) return;
    if (request === "bye" && call.state === "ending") this.#finish();
    else if ((request === "offer" && call.outgoing) || (request === "answer" && !call.outgoing)) {
      if (call.connectedAt && call.outgoing) this.#restarts.refused();
      if (call.connectedAt || call.over) return;
      const unknown = code === "not-found" || /not found/i.test(String(reason));
      this.#end(unknown ? "not-found" : "refused", String(reason ?? ""));
    }
  }

  #mine(sessionId, from) {
    const call = this.#call;
    return call?.sessionId === sessionId && call.peer.id === from && !call.over ? call : null;
  }

  #sayBye(sessionId) {
    return this.#signaling.send("bye", { session_id: sessionId, from: this.#settings.id });
  }

  #send(type, call, content) {
    const data = { to: call.peer.id, from: this.#settings.id, ...content, session_id: call.sessionId };
    this.#signaling.send(type, data);
  }

  #expect(state, seconds, otherwise) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#call?.state === state && otherwise(), seconds * 1000);
    this.#call.state = state;
  }

  #noPath() {
    const { relayTrouble: trouble, relayOnly } = this.#call;
    if (trouble.errors.some(({ code }) => code === UNAUTHORIZED)) this.#ice.forget();
    this.#giveUp("no-path", relayWords(trouble, relayOnly));
  }

  /** End the call from this side: tell the server, and keep the line busy until its echo is back. */
  #giveUp(cause, why = "") {
    const call = this.#call;
    if (!call || call.over) return;
    this.#ending = { cause, why };
    if (!this.#offered || !this.#sayBye(call.sessionId)) {
      this.#finish();
      return;
    }
    call.close();
    this.#expect("ending", ECHO_S, () => this.#finish());
  }

  /** End the call at once: there is nobody left to tell. */
  #end(cause, why = "") {
    this.#ending = { cause, why };
    this.#finish();
  }

  #finish() {
    const call = this.#call;
    const ending = this.#ending;
    clearTimeout(this.#timer);
    this.#call = this.#restarts = this.#ending = null;
    call.close();
    call.state = "ended";
    this.#emit("change", null);
    if (ending) this.#emit("ended", { ...ending, peer: call.peer, outgoing: call.outgoing });
  }

  #changed(call) {
    if (call === this.#call) this.#emit("change", call);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
